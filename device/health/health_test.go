package health

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestHealthyNamesTheSilentPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		if err := r.Healthy(); err != nil {
			t.Fatalf("with no parts: %v", err)
		}
		line := r.Register("line xn-550", 10*time.Second)
		writer := r.Register("spool writer", 30*time.Second)

		time.Sleep(10 * time.Second)
		if err := r.Healthy(); err != nil {
			t.Fatalf("at the deadline: %v", err)
		}
		line()
		time.Sleep(10*time.Second + time.Millisecond)
		err := r.Healthy()
		if !errors.Is(err, ErrSilent) || err.Error() != "no progress: line xn-550 for 10.001s (deadline 10s)" {
			t.Fatalf("one silent part: %v", err)
		}
		time.Sleep(15 * time.Second)
		if err := r.Healthy(); err == nil || !strings.Contains(err.Error(), "line xn-550 for 25.001s (deadline 10s); spool writer for 35.001s") {
			t.Fatalf("two silent parts: %v", err)
		}
		line()
		writer()
		if err := r.Healthy(); err != nil {
			t.Fatalf("after progress: %v", err)
		}
		time.Sleep(time.Hour)
		r.Remove("line xn-550")
		r.Remove("spool writer")
		if err := r.Healthy(); err != nil {
			t.Fatalf("after both were removed: %v", err)
		}
	})
}

func TestRegisterAgainForgetsThePredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		old := r.Register("lims", time.Second)
		r.Register("lims", time.Second)
		time.Sleep(2 * time.Second)
		old()
		if err := r.Healthy(); err == nil {
			t.Fatal("a report of the replaced part counted for its successor")
		}
	})
}

func TestReadyWaitsForEveryCondition(t *testing.T) {
	var r Registry
	spool, listener := r.Expect("spool"), r.Expect("listener astm :4010")
	if err := r.Ready(); err == nil || err.Error() != "waiting for listener astm :4010, spool" {
		t.Fatalf("nothing met: %v", err)
	}
	spool()
	spool() // met twice is met
	if err := r.Ready(); err == nil || err.Error() != "waiting for listener astm :4010" {
		t.Fatalf("one met: %v", err)
	}
	listener()
	if err := r.Ready(); err != nil {
		t.Fatalf("all met: %v", err)
	}
}

func TestReadyWhileWhatIsRequiredHolds(t *testing.T) {
	var r Registry
	var full error
	r.Require(func() error { return full })
	r.Require(func() error { return nil })
	if err := r.Ready(); err != nil {
		t.Fatalf("all holds: %v", err)
	}
	full = errors.New("the card is full")
	met := r.Expect("listener astm :4010")
	if err := r.Ready(); err == nil || err.Error() != "waiting for listener astm :4010; the card is full" {
		t.Fatalf("one waits, one does not hold: %v", err)
	}
	met()
	if err := r.Ready(); err == nil || err.Error() != "the card is full" {
		t.Fatalf("one does not hold: %v", err)
	}
	select {
	case <-r.readiness():
	default:
		t.Error("systemd is kept waiting for what may never come")
	}
	full = nil
	if err := r.Ready(); err != nil {
		t.Fatalf("it holds again: %v", err)
	}
}

func TestHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		met := r.Expect("spool")
		ask := func(h http.Handler, code int, body string) {
			t.Helper()
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
			if w.Code != code || w.Body.String() != body {
				t.Errorf("got %d %q, want %d %q", w.Code, w.Body, code, body)
			}
		}
		r.Register("lims", time.Second)
		ask(r.Healthz(), 200, "ok\n")
		ask(r.Readyz(), 503, "waiting for spool\n")
		met()
		time.Sleep(2 * time.Second)
		ask(r.Healthz(), 503, "no progress: lims for 2s (deadline 1s)\n")
		ask(r.Readyz(), 200, "ok\n")
	})
}
