package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Message is one message as the API shows it: what the box knows about it, the
// JSON that destinations get, its fate, and who did what to it.
type Message struct {
	ID          string            `json:"id"`
	MessageID   string            `json:"message_id"`
	Part        int               `json:"part"`
	Sequence    uint64            `json:"sequence"`
	Protocol    envelope.Protocol `json:"protocol"`
	Instrument  string            `json:"instrument"`
	Lane        string            `json:"lane"`
	Profile     string            `json:"profile"`
	Remote      string            `json:"remote"`
	ReceivedAt  time.Time         `json:"received_at"`
	Clock       string            `json:"clock"`
	ControlID   string            `json:"control_id"`
	Kind        envelope.Kind     `json:"kind"`
	SampleID    string            `json:"sample_id"`
	Intake      envelope.Intake   `json:"intake"`
	Reason      string            `json:"reason,omitempty"`
	Withheld    string            `json:"withheld,omitempty"`
	Problem     string            `json:"problem,omitempty"`
	DuplicateOf string            `json:"duplicate_of,omitempty"`
	Repeat      bool              `json:"repeat,omitempty"`
	Damaged     string            `json:"damaged,omitempty"` // why what is above and Envelope are missing
	Envelope    json.RawMessage   `json:"envelope"`
	Deliveries  []spool.Delivery  `json:"deliveries"`
	Audit       []spool.AuditRow  `json:"audit"`

	// Kept is what Envelope was made of, with the bytes as kept, for who is in process.
	Kept envelope.Envelope `json:"-"`
}

// Show returns one message, by the id of its envelope.
func Show(ctx context.Context, store *spool.Spool, id string) (Message, error) {
	detail, err := store.Show(ctx, id)
	if errors.Is(err, spool.ErrDamaged) {
		// Its fate is still known, and a person must be able to decide on it.
		return Message{
			ID: id, Damaged: err.Error(), Envelope: json.RawMessage("null"),
			Deliveries: detail.Deliveries, Audit: detail.Audit,
		}, nil
	}
	if err != nil {
		return Message{}, err
	}
	e := detail.Envelope
	document, err := json.Marshal(e)
	if err != nil {
		return Message{}, fmt.Errorf("message %s: %w", id, err)
	}
	return Message{
		ID: e.ID, MessageID: e.MessageID, Part: e.Part, Sequence: e.Sequence,
		Protocol: e.Protocol, Instrument: e.Instrument, Lane: e.Lane, Profile: e.Profile, Remote: e.Remote,
		ReceivedAt: e.ReceivedAt, Clock: e.Clock, ControlID: e.ControlID, Kind: e.Kind, SampleID: e.SampleID,
		Intake: e.Intake, Reason: e.Reason, Withheld: e.Withheld, Problem: e.Problem,
		DuplicateOf: e.DuplicateOf, Repeat: e.Repeat,
		Envelope: document, Deliveries: detail.Deliveries, Audit: detail.Audit,
		Kept: e,
	}, nil
}

// BadRequest is an error of the asker.
type BadRequest struct{ Err error }

// Error implements error.
func (b BadRequest) Error() string { return b.Err.Error() }

// Unwrap returns what is wrong.
func (b BadRequest) Unwrap() error { return b.Err }

// Failure is how an error travels: for people, and for programs.
type Failure struct {
	Error string `json:"error"`
	Code  string `json:"code"`
}

// fault is one kind of error: how it is told over HTTP, and what a client's
// error wraps for it.
type fault struct {
	code   string
	status int
	is     error
}

// faults are the kinds that a caller can branch on.
func faults() []fault {
	return []fault{
		{"not_found", http.StatusNotFound, spool.ErrNotFound},
		{"refused", http.StatusConflict, spool.ErrRefused},
		{"bad_export", http.StatusUnprocessableEntity, spool.ErrBadExport},
		{"damaged", http.StatusInternalServerError, spool.ErrDamaged},
		{"read_only", http.StatusServiceUnavailable, spool.ErrReadOnly},
		{"closed", http.StatusServiceUnavailable, spool.ErrClosed},
		{"timeout", http.StatusServiceUnavailable, context.DeadlineExceeded},
		{"uncertain", http.StatusInternalServerError, spool.ErrUncertain},
	}
}

// Describe says how an error is told over HTTP.
func Describe(err error) (int, Failure) {
	var bad BadRequest
	if errors.As(err, &bad) {
		return http.StatusBadRequest, Failure{err.Error(), "bad_request"}
	}
	for _, f := range faults() {
		if errors.Is(err, f.is) {
			return f.status, Failure{err.Error(), f.code}
		}
	}
	return http.StatusInternalServerError, Failure{err.Error(), "failed"}
}

// Answer writes the value, or the error where there is one. A failed write means
// that the asker left.
func Answer(w http.ResponseWriter, value any, err error) {
	status := http.StatusOK
	if err != nil {
		status, value = Describe(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n'))
}
