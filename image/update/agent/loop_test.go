package agent

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// live has the box run for so long, and then ends it.
func (b *simBox) live(long time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), long)
	defer cancel()
	b.run(ctx)
}

// during has the box run beside the test.
func (b *simBox) during(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.run(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// open is a version that may be installed by all boxes since long ago.
func open(version string) *release.Waves { return allWaves(version, time.Now().Add(-48*time.Hour)) }

func (b *simBox) installations() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, event := range b.events {
		if strings.Contains(event, "installing") {
			n++
		}
	}
	return n
}

func (b *simBox) want(t *testing.T, slot, version string, result Result) {
	t.Helper()
	synctest.Wait()
	is := b.outcome()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.slot != slot || b.content[slot] != version {
		t.Errorf("slot %s runs with %q, want %s with %s", b.slot, b.content[b.slot], slot, version)
	}
	if is.Result != result || result != "" && (is.Running != Runs{slot, version}) {
		t.Errorf("the outcome is %+v, want %q", is, result)
	}
	if t.Failed() {
		t.Log(strings.Join(b.events, "\n"))
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.at = func(what string) {
			if what == "before writing outcome.json" {
				if _, err := (simStore{b}).Read(verdictFile("B")); err != nil {
					t.Error("an outcome is told before the verdict")
				}
			}
		}
		b.live(4 * time.Hour)
		b.want(t, "B", "2.0.0", Installed)
		o := b.outcome()
		if o.Version != "2.0.0" || o.From != "1.0.0" || o.Source != "https://updates.example.org" || o.Reason != "" || o.Clock != "set" || o.Attempts != 1 || o.Format != 1 {
			t.Errorf("the outcome is %+v", o)
		}
		if b.installations() != 1 || b.left["A"] != 3 || b.left["B"] != 3 || b.boot != 2 {
			t.Errorf("%d installations, %v starts left, %d starts: a planned one costs none", b.installations(), b.left, b.boot)
		}
		s := b.status()
		if s.Phase != Idle || s.Why != "" || s.NoWayBack != "" || s.Offered != "" || s.Other.Version != "1.0.0" || s.Checked.IsZero() || s.Outcome == nil {
			t.Errorf("the status is %+v", s)
		}
		if _, is := b.files[trialFile]; is {
			t.Error("the trial stays")
		}
	})
}

// A release that never gets healthy is tried once, and then known.
func TestUpdateFallsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.healthy = func(version string) string {
			return map[string]string{"2.0.0": "readyz: the store is closed"}[version]
		}
		stop := b.during(t)
		time.Sleep(30 * 24 * time.Hour)
		s := b.status()
		b.want(t, "A", "1.0.0", FellBack)
		if o := b.outcome(); o.Reason != "readyz: the store is closed" || o.Version != "2.0.0" {
			t.Errorf("the outcome is %+v", o)
		}
		if b.installations() != 1 {
			t.Errorf("it was installed %d times", b.installations())
		}
		if !strings.Contains(s.Why, "the store is closed") || !strings.Contains(s.Why, "takes only a higher version") || s.NoWayBack == "" {
			t.Errorf("the status is %+v", s)
		}
		// A person has mended what was wrong, and says so.
		b.change(func() { b.healthy = func(string) string { return "" } })
		if err := b.agent.Again("v2.0.0"); err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
	})
}

// The next release is another bundle, and gets its chance.
func TestUpdateAfterOneThatFailed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.starts = func(version string) bool { return version != "2.0.0" }
		stop := b.during(t)
		time.Sleep(5 * time.Hour)
		b.want(t, "A", "1.0.0", FellBack)
		if !strings.Contains(b.outcome().Reason, "did not start") {
			t.Errorf("the reason is %q", b.outcome().Reason)
		}
		repository.offer("2.0.1", open("2.0.1"))
		time.Sleep(5 * time.Hour)
		stop()
		b.want(t, "B", "2.0.1", Installed)
	})
}

func TestUpdateThatRAUCRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		asked := 0
		b.installs = func(string) error { asked++; return refusal{"signature verification failed"} }
		b.live(10 * 24 * time.Hour)
		b.want(t, "A", "1.0.0", Refused)
		if !strings.Contains(b.outcome().Reason, "signature verification failed") || asked != 1 || b.boot != 1 || b.left["B"] != 3 {
			t.Errorf("asked %d times, %d starts, %+v", asked, b.boot, b.outcome())
		}
	})
}

// In 1970 a certificate is not valid yet. That must not be remembered of a release.
func TestUpdateThatRAUCRefusesWithoutAClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", nil)
		b := newSimBox(t, "1.0.0", nil)
		b.clockSet = false
		b.others = []Source{{Name: "stick", Repository: simView{b}, Local: true, Every: time.Minute}}
		b.source, b.only = repository, true
		b.installs = func(string) error {
			if !b.clockSet {
				return refusal{"certificate is not yet valid"}
			}
			return nil
		}
		stop := b.during(t)
		time.Sleep(3 * 24 * time.Hour)
		b.want(t, "A", "1.0.0", "")
		b.change(func() { b.clockSet = true })
		time.Sleep(5 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
	})
}

// A card that takes no writes wears out no further.
func TestUpdateThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.files[drawFile] = []byte("50") // the first try after half an hour, the second after an hour and a half
		b.installs = func(string) error { return errors.New("input/output error") }
		stop := b.during(t)
		time.Sleep(70 * time.Minute)
		if s := b.status(); !strings.Contains(s.NoWayBack, "slot B") || !strings.Contains(s.Why, "input/output error; tries again") {
			t.Errorf("the status is %+v", s)
		}
		time.Sleep(10 * 24 * time.Hour)
		stop()
		b.want(t, "A", "1.0.0", Failed)
		if b.installations() != mostAttempts || !strings.Contains(b.outcome().Reason, "input/output error") {
			t.Errorf("it was tried %d times: %+v", b.installations(), b.outcome())
		}
	})
}

// A server that fails for a week costs nothing but the time.
func TestServerFails(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{down: errors.New("503")}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		once := sync.OnceFunc(func() { repository.fail(errors.New("connection reset")) })
		b.at = func(what string) {
			if what == "at 50 % of the download" {
				once()
			}
		}
		stop := b.during(t)
		time.Sleep(7 * 24 * time.Hour)
		synctest.Wait()
		if asked, _ := repository.traffic(); asked < 7*23 || asked > 7*25+10 {
			t.Errorf("it was asked %d times in a week", asked)
		}
		synctest.Wait()
		if b.boot != 1 || b.installations() != 0 || b.left["A"] != 3 || b.left["B"] != 3 || b.outcome().Result != "" {
			t.Errorf("the box was touched: %v", b.events)
		}
		if s := b.status(); s.Sources[0].Error != "503" {
			t.Errorf("the status is %+v", s)
		}
		// It comes back, and goes away in the middle of the download.
		repository.fail(nil)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if b.installations() != 0 || b.fetched["hash-of-2.0.0"] == 0 {
			t.Errorf("a part of a bundle is installed: %v", b.events)
		}
		repository.fail(nil)
		synctest.Wait()
		_, before := repository.traffic()
		time.Sleep(4 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
		if _, after := repository.traffic(); after-before > bundleSize*6/10 {
			t.Errorf("%d bytes were fetched again", after-before)
		}
	})
}

func TestUpdateWaitsForAnalysers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		now := Busy{Sessions: 1}
		b.at = func(what string) {
			if what == "after the installation" {
				b.change(func() { now.Sessions = 1 }) // one begins while RAUC writes
			}
		}
		b.busy = func() Busy { return now }
		stop := b.during(t)
		time.Sleep(5 * time.Hour)
		if s := b.status(); b.installations() != 0 || s.Phase != Waiting || s.Offered != "2.0.0" || s.OfferedFrom != s.Sources[0].Name || !strings.Contains(s.Why, "open now: 1") {
			t.Errorf("installed %d times, %+v", b.installations(), s)
		}
		b.change(func() { now = Busy{} })
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := b.status(); b.boot != 1 || !strings.Contains(s.Why, "installed, and starts when the box does") {
			t.Errorf("started %d times, %+v", b.boot, s)
		}
		b.change(func() { now = Busy{} })
		time.Sleep(time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
	})
}

type gatewayFunc func(ctx context.Context) (Busy, error)

func (f gatewayFunc) Busy(ctx context.Context) (Busy, error) { return f(ctx) }

func TestGatewayThatDoesNotAnswerIsFree(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.gateway = gatewayFunc(func(ctx context.Context) (Busy, error) {
			start := time.Now()
			<-ctx.Done()
			if took := time.Since(start); took > answerWithin {
				t.Errorf("it was waited for %s", took)
			}
			return Busy{Sessions: 7}, ctx.Err()
		})
		b.live(3 * time.Hour)
		b.want(t, "B", "2.0.0", Installed)
	})
}

// force_after interrupts analysers, at a moment when no message is on its way to the
// card, if there is one.
func TestUpdateIsForced(t *testing.T) {
	t.Parallel()
	for name, commits := range map[string]func(second int) int{
		"a moment without commits": func(second int) int { return min(second%20, 1) },
		"commits all the time":     func(int) int { return 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				repository := &simRepository{}
				repository.offer("2.0.0", open("2.0.0"))
				b := newSimBox(t, "1.0.0", repository)
				b.settings = Settings{ForceAfter: 24 * time.Hour, Window: "22:00-22:01"}
				b.busy = func() Busy { return Busy{Sessions: 1, Commits: commits(time.Now().Second())} }
				stop := b.during(t)
				time.Sleep(24 * time.Hour)
				if b.installations() != 0 {
					t.Errorf("it was forced too early: %v", b.events)
				}
				time.Sleep(2 * time.Hour)
				stop()
				b.want(t, "B", "2.0.0", Installed)
			})
		})
	}
}

func TestUpdateInItsWindow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		start := time.Now() // midnight, UTC
		b.settings.Window = start.Add(22*time.Hour).Local().Format("15:04") + "-" + start.Add(23*time.Hour).Local().Format("15:04")
		b.live(40 * time.Hour)
		b.want(t, "B", "2.0.0", Installed)
		if at := b.outcome().Begun.Sub(start); at < 22*time.Hour || at > 22*time.Hour+time.Minute {
			t.Errorf("it was installed after %s", at)
		}
	})
}

// A release that is paused while it is fetched, or waits here, is not installed.
func TestPauseReachesABoxThatHasTheBundle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.change(func() { b.busy = func() Busy { return Busy{Sessions: 1} } })
		stop := b.during(t)
		time.Sleep(3 * time.Hour)
		repository.change(func(o *Offer) { o.Waves.Paused = "boxes fell back" })
		time.Sleep(2 * time.Hour)
		b.change(func() { b.busy = func() Busy { return Busy{} } })
		time.Sleep(24 * time.Hour)
		if s := b.status(); b.installations() != 0 || !strings.Contains(s.Why, "boxes fell back") {
			t.Errorf("installed %d times, %+v", b.installations(), s)
		}
		// And a server that is gone keeps the pause from nobody.
		repository.change(func(o *Offer) { o.Waves.Paused = "" })
		b.change(func() { b.busy = func() Busy { return Busy{Sessions: 1} } })
		time.Sleep(2 * time.Hour)
		repository.fail(errors.New("503"))
		time.Sleep(4 * time.Hour)
		b.change(func() { b.busy = func() Busy { return Busy{} } })
		time.Sleep(24 * time.Hour)
		if s := b.status(); b.installations() != 0 || !strings.Contains(s.Why, "has not answered for too long") {
			t.Errorf("installed %d times, %+v", b.installations(), s)
		}
		stop()
	})
}

func TestStick(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{down: ErrNothingThere}
		repository.offer("2.0.0", nil)
		b := newSimBox(t, "1.0.0", nil)
		b.source, b.only = repository, true
		b.others = []Source{{Name: "stick", Repository: simView{b}, Local: true}}
		stop := b.during(t)
		time.Sleep(24 * time.Hour)
		if s := b.status(); b.installations() != 0 || s.Sources[0].Error != "" {
			t.Errorf("without a stick: %+v", s)
		}
		repository.fail(nil)
		time.Sleep(24 * time.Hour)
		b.agent.Wake()
		time.Sleep(time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
		if b.outcome().Source != "stick" {
			t.Errorf("the outcome is %+v", b.outcome())
		}
	})
}

// Wake looks around at once, also in the middle of a download, which goes on
// afterwards.
func TestWakeInADownload(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		stick := &simRepository{down: ErrNothingThere}
		stick.offer("3.0.0", nil)
		b.others = []Source{{Name: "stick", Repository: simView{&simBox{source: stick, at: b.at, fetched: b.fetched}}, Local: true}}
		var plugged atomic.Bool
		b.at = func(what string) {
			if what == "at 30 % of the download" && plugged.CompareAndSwap(false, true) {
				stick.fail(nil)
				b.agent.Wake()
			}
		}
		b.live(5 * time.Hour)
		b.want(t, "B", "3.0.0", Installed)
		if b.installations() != 1 {
			t.Errorf("it went another way: %v", b.events)
		}
	})
}

// A downgrade that its owner has signed is done once: a higher version from
// elsewhere would have the box go to and fro.
func TestDowngrade(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("1.0.0", open("1.0.0")).Release.Downgrade = true
		b := newSimBox(t, "2.0.0", repository)
		stop := b.during(t)
		time.Sleep(3 * time.Hour)
		b.want(t, "B", "1.0.0", Installed)
		repository.offer("3.0.0", open("3.0.0"))
		time.Sleep(24 * time.Hour)
		stop()
		b.want(t, "A", "3.0.0", Installed)
		if b.installations() != 2 {
			t.Errorf("it goes to and fro: %v", b.events)
		}
	})
}

// A bundle whose system is another version than was signed would be offered for
// ever.
func TestMislabelledRelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0")).Release.Version = "2.1.0"
		b := newSimBox(t, "1.0.0", repository)
		b.live(5 * 24 * time.Hour)
		b.want(t, "B", "2.0.0", Failed)
		if b.installations() != 1 || !strings.Contains(b.outcome().Reason, "mixed them up") {
			t.Errorf("installed %d times, %+v", b.installations(), b.outcome())
		}
	})
}

// Without notes nothing is begun: what became of it could not be told.
func TestCardThatTakesNoNotes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.full = errors.New("read-only file system")
		stop := b.during(t)
		time.Sleep(24 * time.Hour)
		if s := b.status(); b.installations() != 0 || !strings.Contains(s.Why, "read-only file system") {
			t.Errorf("installed %d times, %+v", b.installations(), s)
		}
		b.change(func() { b.full = nil })
		time.Sleep(5 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
	})
}

// The same draw, the same wave: for all time.
func TestDrawIsMadeOnce(t *testing.T) {
	t.Parallel()
	store := Directory(t.TempDir())
	first, err := draw(store)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := draw(store); err != nil || again != first {
		t.Errorf("it was %v, and is %v, %v", first, again, err)
	}
	for _, bad := range []string{"", "100", "-1", "NaN", "+Inf", "many"} {
		if err := store.Write(drawFile, []byte(bad)); err != nil {
			t.Fatal(err)
		}
		if number, err := draw(store); err != nil || !(number >= 0 && number < 100) {
			t.Errorf("after %q it is %v, %v", bad, number, err)
		}
	}
	low := 0
	for range 2000 {
		number, _ := draw(Directory(t.TempDir() + "/not/there"))
		if number < 50 {
			low++
		}
	}
	if low < 850 || low > 1150 {
		t.Errorf("%d of 2000 are below 50", low)
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	store := Directory(path)
	if err := store.Remove("x"); err != nil {
		t.Error(err)
	}
	var read map[string]string
	if err := load(store, "x", &read); err != nil || read != nil {
		t.Errorf("a file that is not there: %v, %v", read, err)
	}
	if err := errors.Join(save(store, "x", map[string]string{"a": "b"}), load(store, "x", &read)); err != nil || read["a"] != "b" {
		t.Errorf("%v, %v", read, err)
	}
	if err := errors.Join(store.Write("x", []byte("{")), load(store, "x", &read)); err == nil {
		t.Error("what is no JSON is read")
	}
	if err := store.Remove("x"); err != nil {
		t.Error(err)
	}
	if data, err := store.Read("x"); err == nil {
		t.Errorf("it is still there: %s", data)
	}
}

func FuzzMemory(f *testing.F) {
	f.Add([]byte(`{"phase":"installed","slot":"B","hash":"x"}`), []byte(`{"x":{"version":"1.0.0"}}`))
	f.Add([]byte(`null`), []byte(`null`))
	f.Fuzz(func(t *testing.T, one, other []byte) {
		b := &simBox{at: func(string) {}, files: map[string][]byte{trialFile: one, outcomeFile: one, refusedFile: other, seenFile: other, slotsFile: other}}
		m, _ := remember(simStore{b})
		if m.trial != nil {
			m.trial.judge(running{"B", "1.0.0", "1"}, nil)
		}
		m.again("1.0.0")
		m.refused["x"], m.seen["x"], m.slots["x"] = Refusal{}, sighting{}, "" // they are never nil
		if _, err := json.Marshal(m.refused); err != nil {
			t.Error(err)
		}
	})
}
