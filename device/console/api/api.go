// Package api is the HTTP API over the spool, and its client.
//
// The API is one handler in three places: below /api of the console, on the unix
// socket beside the spool, and in process where no gateway runs. `assaygate spool`
// speaks to the last two through [Client], so that a command behaves alike whether
// the gateway runs or not. In these two places the API also moves the records as a
// whole ([Control]); the console does not offer that.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// bodyLimit is how long a body may be, in bytes.
const bodyLimit = 64 << 10

// byHeader carries who asks, where the asker is to be believed.
const byHeader = "X-Assaygate-By"

// ListLimit is how many messages are listed at most.
const ListLimit = 10000

// AuditLimit is how many rows of the audit trail are listed at most.
const AuditLimit = 1000

// API returns the HTTP API over the store. Answers are JSON; an error is an
// object with `error`, for people, and `code`, for programs. docs/api.md tells of
// every path.
//
// The audit names who answers for a change. By gives that name; nil believes the
// caller, which is right on the unix socket (only who may open the store's
// files may open it) and nowhere else.
func API(store *spool.Spool, by func(*http.Request) string) http.Handler {
	if by == nil {
		by = believed
	}
	mux := muxOf(api{store: store, by: by}.routes())
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		Answer(w, nil, noSuchPath(r.Method+" "+r.URL.Path))
	})
	return mux
}

// noSuchPath is the error of a path that is not there, or not with that method.
type noSuchPath string

// Error implements error.
func (p noSuchPath) Error() string { return "there is no " + string(p) + "; docs/api.md has the paths" }

// Unwrap says which kind it is.
func (noSuchPath) Unwrap() error { return spool.ErrNotFound }

// route is one path of the API.
type route struct {
	pattern string // as of http.ServeMux
	handle  http.HandlerFunc
}

func (a api) routes() []route {
	return []route{
		{"GET /v1/status", a.status},
		{"GET /v1/messages", a.list},
		{"GET /v1/messages/{id}", a.show},
		{"GET /v1/messages/{id}/raw", a.raw},
		{"POST /v1/messages/{id}/retry", a.retry},
		{"POST /v1/messages/{id}/drop", a.drop},
		{"POST /v1/retry", a.retryAll},
		{"GET /v1/audit", a.audit},
		{"POST /v1/verify", a.verify},
	}
}

func muxOf(routes []route) *http.ServeMux {
	mux := http.NewServeMux()
	for _, one := range routes {
		mux.HandleFunc(one.pattern, one.handle)
	}
	return mux
}

// Patterns are the paths of [API], and of those that [Control] has beside them.
func Patterns() (everywhere, control []string) {
	for _, one := range (api{}).routes() {
		everywhere = append(everywhere, one.pattern)
	}
	for _, one := range (&controlAPI{}).routes() {
		control = append(control, one.pattern)
	}
	return everywhere, control
}

func believed(r *http.Request) string { return r.Header.Get(byHeader) }

type api struct {
	store *spool.Spool
	by    func(*http.Request) string
}

func (a api) status(w http.ResponseWriter, r *http.Request) {
	status, err := a.store.Status(r.Context())
	Answer(w, status, err)
}

func (a api) list(w http.ResponseWriter, r *http.Request) {
	filter, err := ParseFilter(r.URL.Query())
	if err != nil {
		Answer(w, nil, err)
		return
	}
	messages, err := a.store.List(r.Context(), filter)
	if err != nil && errors.Is(r.Context().Err(), context.DeadlineExceeded) {
		err = fmt.Errorf("listing messages: %w: name a sample, a state, or the time around it", context.DeadlineExceeded)
	}
	if messages == nil {
		messages = []spool.Summary{} // an array also where there is nothing
	}
	Answer(w, messages, err)
}

func (a api) show(w http.ResponseWriter, r *http.Request) {
	message, err := Show(r.Context(), a.store, r.PathValue("id"))
	Answer(w, message, err)
}

func (a api) raw(w http.ResponseWriter, r *http.Request) {
	raw, err := a.store.Raw(r.Context(), r.PathValue("id"))
	if err != nil {
		Answer(w, nil, err)
		return
	}
	WriteRaw(w, raw)
}

// WriteRaw sends the bytes as kept. A failed write means that the reader left.
func WriteRaw(w http.ResponseWriter, raw []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(raw)))
	_, _ = w.Write(raw)
}

// audit lists the audit trail.
func (a api) audit(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	before, limit := uint64(0), AuditLimit
	var err error
	if text := query.Get("before"); text != "" {
		if before, err = parseNumber(text); err != nil {
			Answer(w, nil, BadRequest{fmt.Errorf("before: %w", err)})
			return
		}
	}
	if text := query.Get("limit"); text != "" {
		if limit, err = parseLimit(text, AuditLimit); err != nil {
			Answer(w, nil, BadRequest{fmt.Errorf("limit: %w", err)})
			return
		}
	}
	rows, err := a.store.Trail(r.Context(), before, limit)
	Answer(w, rows, err)
}

func (a api) retry(w http.ResponseWriter, r *http.Request) {
	Answer(w, struct{}{}, a.store.Retry(r.Context(), r.PathValue("id"), a.by(r)))
}

func (a api) drop(w http.ResponseWriter, r *http.Request) {
	var body dropRequest
	if err := ReadBody(w, r, &body); err != nil {
		Answer(w, nil, err)
		return
	}
	Answer(w, struct{}{}, a.store.Drop(r.Context(), r.PathValue("id"), a.by(r), body.Reason))
}

func (a api) retryAll(w http.ResponseWriter, r *http.Request) {
	var body retryAllRequest
	if err := ReadBody(w, r, &body); err != nil {
		Answer(w, nil, err)
		return
	}
	var n int
	var err error
	if body.DryRun {
		n, err = a.store.Selected(r.Context(), body.Selection)
	} else {
		n, err = a.store.RetryAll(r.Context(), body.Selection, a.by(r))
	}
	Answer(w, retryAllReply{Retried: n}, err)
}

type dropRequest struct {
	Reason string `json:"reason"`
}

type retryAllRequest struct {
	spool.Selection
	DryRun bool `json:"dry_run"`
}

type retryAllReply struct {
	Retried int `json:"retried"`
}

// ReadBody decodes a small JSON object strictly.
func ReadBody(w http.ResponseWriter, r *http.Request, into any) error {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyLimit))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		return BadRequest{fmt.Errorf("body: %w", err)}
	}
	return nil
}

// ParseFilter reads a list's query; pages and API share it.
func ParseFilter(query map[string][]string) (spool.Filter, error) {
	var f spool.Filter
	var errs []error
	for key, values := range query {
		value := values[len(values)-1]
		if value == "" {
			continue // an empty field of a form
		}
		var err error
		switch key {
		case "state":
			f.State = spool.State(value)
		case "destination":
			f.Destination = value
		case "reason":
			f.Reason = value
		case "intake":
			f.Intake = envelope.Intake(value)
		case "kind":
			f.Kind = envelope.Kind(value)
		case "instrument":
			f.Instrument = value
		case "sample_id":
			f.SampleID = value
		case "message_id":
			f.MessageID = value
		case "since":
			f.Since, err = parseTime(value)
		case "until":
			f.Until, err = parseTime(value)
		case "before":
			f.Before, err = parseNumber(value)
		case "limit":
			f.Limit, err = parseLimit(value, ListLimit)
		default:
			err = errors.New("unknown")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return f, BadRequest{err}
	}
	return f, nil
}

func parseTime(text string) (time.Time, error) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, fmt.Errorf("%q is no time; write for example 2026-11-27T14:05:00Z", text)
	}
	return at, nil
}

func parseNumber(text string) (uint64, error) {
	n, err := strconv.ParseUint(text, 10, 63) // what the store can count to
	if err != nil {
		return 0, fmt.Errorf("%q is no number", text)
	}
	return n, nil
}

func parseLimit(text string, most int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, fmt.Errorf("want 1 to %d", most)
	}
	return n, nil
}
