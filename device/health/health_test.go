package health

import (
	"errors"
	"fmt"
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
		line, lineEnded := r.Watch("line xn-550", 10*time.Second)
		writer, writerEnded := r.Watch("spool writer", 30*time.Second)

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
		if err := r.Healthy(); err == nil || !strings.Contains(err.Error(), "spool writer for 35.001s (deadline 30s); line xn-550 for 25.001s (deadline 10s)") {
			t.Fatalf("two silent parts: %v", err)
		}
		line()
		writer()
		if err := r.Healthy(); err != nil {
			t.Fatalf("after progress: %v", err)
		}
		time.Sleep(time.Hour)
		lineEnded()
		writerEnded()
		if err := r.Healthy(); err != nil {
			t.Fatalf("after both were removed: %v", err)
		}
	})
}

func TestWatchAgainForgetsThePredecessor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		old, oldEnded := r.Watch("lims", time.Second)
		r.Watch("lims", time.Second)
		time.Sleep(2 * time.Second)
		old()
		oldEnded()
		if err := r.Healthy(); err == nil {
			t.Fatal("what the replaced part reports counted for its successor")
		}
	})
}

// A text that names hundreds of connections helps nobody.
func TestHealthyNamesTheLongestSilentFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		r.Watch("spool writer", time.Second)
		time.Sleep(time.Second)
		for i := range 500 {
			r.Watch(fmt.Sprint("line ", i), time.Second)
		}
		time.Sleep(2 * time.Second)
		err := r.Healthy()
		if err == nil || !strings.HasPrefix(err.Error(), "no progress: spool writer for 3s") || !strings.HasSuffix(err.Error(), "and 481 more") {
			t.Errorf("got %v", err)
		}
		if n := len(r.Parts()); n != 501 {
			t.Errorf("%d parts", n)
		}
	})
}

// A process that was stopped finds all of its parts silent, though they go on at
// once.
func TestAStandstillOfTheProcessIsNoSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		progress, _ := r.Watch("lims", time.Minute)
		r.look()
		time.Sleep(time.Hour)
		if err := r.Healthy(); err == nil || err.Error() != "no progress: the watch over the parts for 1h0m0s (deadline 1m0s)" {
			t.Errorf("while nobody looks: %v", err)
		}
		if late := r.look(); late != time.Hour-mostLate {
			t.Errorf("late by %s", late)
		}
		watched := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(time.Second) {
				if late := r.look(); late != 0 {
					t.Errorf("late by %s", late)
				}
			}
		}
		watched(30 * time.Second)
		if err := r.Healthy(); err != nil {
			t.Errorf("40 s that count: %v", err)
		}
		watched(30 * time.Second)
		if err := r.Healthy(); err == nil || err.Error() != "no progress: lims for 1m10s (deadline 1m0s)" {
			t.Errorf("70 s that count: %v", err)
		}
		progress()
		if err := r.Healthy(); err != nil {
			t.Errorf("after progress: %v", err)
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
	case <-r.readiness.reached():
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
		r.Watch("lims", time.Second)
		ask(r.Healthz(), 200, "ok\n")
		ask(r.Readyz(), 503, "waiting for spool\n")
		met()
		time.Sleep(2 * time.Second)
		ask(r.Healthz(), 503, "no progress: lims for 2s (deadline 1s)\n")
		ask(r.Readyz(), 200, "ok\n")
	})
}
