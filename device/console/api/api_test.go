package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// transports runs a test over both ways to the API: what works on a running
// gateway works without one.
func transports(t *testing.T, test func(t *testing.T, store *spool.Spool, client *Client)) {
	t.Run("socket", func(t *testing.T) {
		store := spooltest.New(t)
		path := filepath.Join(t.TempDir(), "control")
		listener, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewUnstartedServer(API(store, nil))
		server.Listener.Close()
		server.Listener = listener
		server.Start()
		t.Cleanup(server.Close)
		test(t, store, &Client{Transport: Socket(path), By: "anna"})
	})
	t.Run("in process", func(t *testing.T) {
		store := spooltest.New(t)
		test(t, store, &Client{Transport: InProcess(API(store, nil)), By: "anna"})
	})
}

func TestClientReads(t *testing.T) {
	transports(t, func(t *testing.T, store *spool.Spool, client *Client) {
		if messages, err := client.List(t.Context(), spool.Filter{}); err != nil || messages == nil || len(messages) != 0 {
			t.Errorf("list of nothing: %v, error %v", messages, err)
		}
		first := spooltest.Put(t, store, "S-1", nil)
		second := spooltest.Put(t, store, "S-2/ü &?", spooltest.Parked)

		status, err := client.Status(t.Context())
		if err != nil || status.Messages != 2 || len(status.Destinations) != 2 {
			t.Errorf("status: %+v, error %v", status, err)
		}
		messages, err := client.List(t.Context(), spool.Filter{})
		if err != nil || len(messages) != 2 || messages[0].ID != second || messages[1].ID != first {
			t.Fatalf("list: %+v, error %v", messages, err)
		}
		if messages[0].States["lims"] != spool.Parked || messages[0].States["captures"] != spool.Pending {
			t.Errorf("states: %v", messages[0].States)
		}
		for name, filter := range map[string]spool.Filter{
			"sample":   {SampleID: "S-2/ü &?"},
			"state":    {State: spool.Parked},
			"intake":   {Intake: envelope.Parked},
			"kind":     {Kind: envelope.KindResult, Limit: 1},
			"reason":   {Reason: "No Terminator"},
			"limit":    {Limit: 1},
			"combined": {Destination: "lims", State: spool.Parked, Instrument: "xn-550", Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Until: time.Date(2026, 4, 1, 0, 0, 0, 1, time.UTC)},
		} {
			if found, err := client.List(t.Context(), filter); err != nil || len(found) != 1 || found[0].ID != second {
				t.Errorf("%s: %+v, error %v", name, found, err)
			}
		}
		if found, err := client.List(t.Context(), spool.Filter{Before: messages[0].Sequence}); err != nil || len(found) != 1 || found[0].ID != first {
			t.Errorf("before: %+v, error %v", found, err)
		}

		message, err := client.Show(t.Context(), second)
		if err != nil || message.SampleID != "S-2/ü &?" || message.Intake != envelope.Parked || message.Reason != "no terminator record" || len(message.Audit) == 0 {
			t.Errorf("show: %+v, error %v", message, err)
		}
		var e envelope.Envelope
		if err := json.Unmarshal(message.Envelope, &e); err != nil || e.ID != second || len(e.Results) != 1 {
			t.Errorf("the envelope in it: %+v, error %v", e, err)
		}
		raw, err := client.Raw(t.Context(), first)
		if err != nil || string(raw) != "\x021H|\\^&\r\x0341\r\n\x022L|1|N\r\x0305\r\n" {
			t.Errorf("raw: %q, error %v", raw, err)
		}
	})
}

func TestClientDecides(t *testing.T) {
	transports(t, func(t *testing.T, store *spool.Spool, client *Client) {
		one, two, three := spooltest.Put(t, store, "S-1", spooltest.Parked), spooltest.Put(t, store, "S-2", spooltest.Parked), spooltest.Put(t, store, "S-3", spooltest.Parked)
		if err := client.Retry(t.Context(), one); err != nil {
			t.Fatal(err)
		}
		spooltest.ExpectState(t, store, one, spool.Pending)
		if err := client.Drop(t.Context(), two, ""); !errors.Is(err, spool.ErrRefused) {
			t.Errorf("drop without a reason: %v", err)
		}
		if err := client.Drop(t.Context(), two, "a test tube"); err != nil {
			t.Fatal(err)
		}
		spooltest.ExpectState(t, store, two, spool.Dropped)
		which := spool.Selection{Destination: "lims", Instrument: "xn-550", State: spool.Parked, Reason: "no terminator"}
		if n, err := client.Selected(t.Context(), which); err != nil || n != 1 {
			t.Errorf("selected: %d, error %v", n, err)
		}
		spooltest.ExpectState(t, store, three, spool.Parked)
		if n, err := client.RetryAll(t.Context(), which); err != nil || n != 1 {
			t.Errorf("retry all: %d, error %v", n, err)
		}
		spooltest.ExpectState(t, store, three, spool.Pending)

		message, err := client.Show(t.Context(), two)
		if err != nil {
			t.Fatal(err)
		}
		if last := message.Audit[len(message.Audit)-1]; last.Who != "anna" || !strings.Contains(last.Detail, "a test tube") {
			t.Errorf("the audit does not say who dropped it and why: %+v", message.Audit)
		}
	})
}

func TestClientVerifies(t *testing.T) {
	transports(t, func(t *testing.T, store *spool.Spool, client *Client) {
		for range 5 {
			spooltest.Put(t, store, "S-1", nil)
		}
		var done, total uint64
		report, err := client.Verify(t.Context(), func(d, n uint64) { done, total = d, n })
		if err != nil || report.Messages != 5 || len(report.Problems) != 0 {
			t.Errorf("report: %+v, error %v", report, err)
		}
		if done != total || total == 0 {
			t.Errorf("progress ended at %d of %d", done, total)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Verify(t.Context(), nil); !errors.Is(err, spool.ErrClosed) {
			t.Errorf("with the store closed: %v", err)
		}
	})
}

func TestClientsErrorsAreTheSpools(t *testing.T) {
	transports(t, func(t *testing.T, store *spool.Spool, client *Client) {
		for name, ask := range map[string]func(id string) error{
			"show":  func(id string) error { _, err := client.Show(t.Context(), id); return err },
			"raw":   func(id string) error { _, err := client.Raw(t.Context(), id); return err },
			"retry": func(id string) error { return client.Retry(t.Context(), id) },
			"drop":  func(id string) error { return client.Drop(t.Context(), id, "why") },
		} {
			for _, id := range []string{"none", "a/b", "é ?"} {
				if err := ask(id); !errors.Is(err, spool.ErrNotFound) {
					t.Errorf("%s %q: %v", name, id, err)
				}
			}
		}
		if _, err := client.List(t.Context(), spool.Filter{Limit: ListLimit + 1}); err == nil || !strings.Contains(err.Error(), "limit: want 1 to 10000") {
			t.Errorf("too many: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Status(t.Context()); !errors.Is(err, spool.ErrClosed) {
			t.Errorf("status with the store closed: %v", err)
		}
	})
}

func TestAPIRefusesUnknownFields(t *testing.T) {
	handler := API(spooltest.New(t), nil)
	for path, body := range map[string]string{
		"/v1/retry":           `{"destinations": "lims"}`, // a slip that would retry everything
		"/v1/messages/x/drop": `{"reason": "why", "all": true}`,
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
		if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), `"code":"bad_request"`) {
			t.Errorf("%s %s: %d %s", path, body, w.Code, w.Body)
		}
	}
}

func TestClientWithoutAGateway(t *testing.T) {
	client := &Client{Transport: Socket(filepath.Join(t.TempDir(), "control"))}
	if _, err := client.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "asking the gateway") {
		t.Errorf("no socket: %v", err)
	}
	odd := &Client{Transport: InProcess(http.NotFoundHandler())}
	if _, err := odd.Status(t.Context()); err == nil || !strings.Contains(err.Error(), "the gateway answered") {
		t.Errorf("an answer that is not the API's: %v", err)
	}
}

func TestInProcessEndsTheHandlerWithItsReader(t *testing.T) {
	ended := make(chan error, 1)
	transport := InProcess(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := io.WriteString(w, "more\n"); err != nil {
				ended <- r.Context().Err()
				return
			}
		}
	}))
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://spool/", nil)
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(response.Body, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the handler's context: %v", err)
		}
	default:
		t.Error("the handler still runs after Close")
	}
}

func TestInProcessGivesUpWithItsContext(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	transport := InProcess(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		stop()
		<-r.Context().Done()
	}))
	response, err := transport.RoundTrip(httptest.NewRequestWithContext(ctx, http.MethodGet, "http://spool/", nil))
	if err == nil {
		// The handler may come to its end before the caller sees the context's.
		response.Body.Close()
	} else if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// What is not there is told as any other error.
func TestPathsThatAreNotThere(t *testing.T) {
	handler := API(spooltest.New(t), nil)
	for _, asked := range []string{"GET /v1/nonsense", "DELETE /v1/status", "GET /v1/messages/id/drop", "GET /"} {
		method, path, _ := strings.Cut(asked, " ")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		var failure Failure
		if err := json.Unmarshal(w.Body.Bytes(), &failure); err != nil || w.Code != http.StatusNotFound || failure.Code != "not_found" {
			t.Errorf("%s: %d %s", asked, w.Code, w.Body)
		}
	}
}
