package agent

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// logged is a log that a test reads.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// What was said of a slot before counts for nothing that is installed into it later.
func TestVerdictOfAnEarlierTrial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.healthy = func(version string) string { return map[string]string{"2.0.0": "no store"}[version] }
		stop := b.during(t)
		time.Sleep(5 * time.Hour)
		if is := b.outcome(); is.Reason != "no store" {
			t.Fatalf("the outcome is %+v", is)
		}
		b.change(func() { b.starts = func(version string) bool { return version != "2.0.0" } })
		if err := b.agent.Again(""); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Hour)
		stop()
		b.want(t, "A", "1.0.0", FellBack)
		if is := b.outcome(); !strings.Contains(is.Reason, "did not start") {
			t.Errorf("the reason is that of the time before: %q", is.Reason)
		}
	})
}

// A bundle that was here, and made room for another, is fetched again before it is
// installed: RAUC refuses for good what it cannot open.
func TestBundleThatMadeRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.busy = func() Busy { return Busy{Sessions: 1} }
		b.at = func(what string) {
			if what == "at 10 % of the download" {
				b.change(func() { // the agent has removed the other one
					for hash := range b.fetched {
						if b.fetched[hash] == bundleSize {
							delete(b.fetched, hash)
						}
					}
				})
			}
		}
		stop := b.during(t)
		time.Sleep(3 * time.Hour)
		repository.offer("3.0.0", open("3.0.0"))
		time.Sleep(time.Hour + 2*time.Minute)
		repository.change(func(o *Offer) { o.Waves.Paused = "bad" })
		time.Sleep(2 * time.Hour)
		b.change(func() { b.busy = func() Busy { return Busy{} } })
		time.Sleep(3 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
	})
}

// A card that spoils a bundle while it waits is not the bundle's fault, and analysers
// that begin while it is fetched again are not interrupted.
func TestBundleThatTheCardHasSpoilt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.busy = func() Busy { return Busy{Sessions: 1} }
		stop := b.during(t)
		time.Sleep(3 * time.Hour)
		b.change(func() { b.fetched["hash-of-2.0.0"] = 0 })
		b.change(func() { b.busy = func() Busy { return Busy{} } })
		time.Sleep(30 * time.Second)
		b.change(func() { b.busy = func() Busy { return Busy{Sessions: 1} } })
		time.Sleep(3 * time.Hour)
		if b.installations() != 0 {
			t.Errorf("an analyser was interrupted: %v", b.events)
		}
		b.change(func() { b.busy = func() Busy { return Busy{} } })
		time.Sleep(3 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
	})
}

// A download that takes longer than the pause between two questions is interrupted
// by each of them, and is no failure for that.
func TestLongDownload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		var text logged
		b.log = slog.New(slog.NewTextHandler(&text, nil))
		b.settings.Interval = time.Minute
		b.live(time.Hour)
		b.want(t, "B", "2.0.0", Installed)
		if strings.Contains(text.String(), "does not get on") {
			t.Errorf("the log says %s", text.String())
		}
	})
}

// A system that fails its trial, and has none to go back to, stays. The next release may
// be what mends it.
func TestTrialWithoutAWayBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.healthy = func(version string) string { return map[string]string{"2.0.0": "no store"}[version] }
		b.at = func(what string) {
			if what == "after the reboot was asked for" {
				b.change(func() { b.left[otherOf(b.order[0])] = 0 }) // the card has spoilt what ran
			}
		}
		stop := b.during(t)
		time.Sleep(5 * time.Hour)
		b.want(t, "B", "2.0.0", Failed)
		if s := b.status(); !strings.Contains(s.Outcome.Reason, "no store; there is no other system") || s.NoWayBack == "" {
			t.Errorf("the status is %+v", s)
		}
		repository.offer("2.0.1", open("2.0.1"))
		time.Sleep(5 * time.Hour)
		stop()
		b.want(t, "A", "2.0.1", Installed)
	})
}

// A system that nobody can judge, as with an analyser's adapter that is broken, stays as long as
// there is nothing else, and is not held against its release.
func TestTrialThatNobodyJudges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.judges = func(version string) bool { return version != "2.0.0" }
		busy := 0
		b.at = func(what string) {
			if what == "at 0 % of the installation" && b.installations() == 2 {
				if o := b.outcome(); o.Result != Failed || o.Version != "2.0.0" || !strings.Contains(o.Reason, "gave no verdict") {
					t.Errorf("the outcome is %+v", o)
				}
			}
		}
		b.busy = func() Busy { return Busy{Sessions: busy} }
		stop := b.during(t)
		time.Sleep(24 * time.Hour)
		b.want(t, "B", "2.0.0", "")
		if s := b.status(); s.Phase != OnTrial || !strings.Contains(s.Why, "nobody has judged it") {
			t.Errorf("the status is %+v", s)
		}
		b.change(func() { busy = 1 })
		repository.offer("2.0.1", open("2.0.1"))
		time.Sleep(5 * time.Hour)
		synctest.Wait()
		if s := b.status(); s.Phase != OnTrial || s.Offered != "2.0.1" || !strings.Contains(s.Why, "no analyser transmits") {
			t.Errorf("the status is %+v", s)
		}
		b.change(func() { busy = 0 })
		time.Sleep(5 * time.Hour)
		stop()
		b.want(t, "A", "2.0.1", Installed)
		if refused := string(b.files[refusedFile]); strings.Contains(refused, "2.0.0") {
			t.Errorf("it is held against the release: %s", refused)
		}
	})
}

func TestBackOff(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{1: time.Minute, 2: 2 * time.Minute, 6: 32 * time.Minute, 7: time.Hour, 10_000: time.Hour} {
		low, high := backOff(failures, time.Hour, 0), backOff(failures, time.Hour, 1)
		if low != want/2 || high != want*3/2 {
			t.Errorf("after %d failures from %s to %s, want around %s", failures, low, high, want)
		}
	}
	at := time.Date(2031, 5, 4, 12, 34, 0, 0, time.UTC)
	for draw, want := range map[float64]string{0: "13:00", 50: "13:30", 56: "13:33", 57: "12:34", 99.9: "12:59"} {
		if is := at.Add(untilTurn(at, time.Hour, draw)).Format("15:04"); is != want {
			t.Errorf("the turn of %v is at %s, want %s", draw, is, want)
		}
	}
}

// RAUC that is away, and comes back.
func TestRAUCIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.rauc = errors.New("RAUC is not there")
		stop := b.during(t)
		time.Sleep(3 * time.Hour)
		if s := b.status(); !strings.Contains(s.SlotsError, "not there") || !strings.Contains(s.Why, "not there") {
			t.Errorf("the status is %+v", s)
		}
		b.change(func() { b.rauc = nil })
		time.Sleep(3 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
	})
}
