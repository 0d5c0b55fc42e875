package agent

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// heldBox has 2.0.0 installed, and an analyser at work, when that is paused.
func heldBox(t *testing.T) (b *simBox, repository *simRepository, stop func()) {
	repository = &simRepository{}
	repository.offer("2.0.0", open("2.0.0"))
	b = newSimBox(t, "1.0.0", repository)
	b.busy = func() Busy { return Busy{Sessions: map[bool]int{true: 1}[b.content["B"] == "2.0.0"]} }
	stop = b.during(t)
	time.Sleep(3 * time.Hour)
	synctest.Wait()
	if b.installations() != 1 || b.boot != 1 {
		t.Fatalf("it was not installed, or was started: %v", b.events)
	}
	repository.change(func(o *Offer) { o.Waves.Paused = "boxes fell back" })
	time.Sleep(2 * time.Hour)
	b.change(func() { b.busy = func() Busy { return Busy{} } })
	time.Sleep(24 * time.Hour)
	synctest.Wait()
	return b, repository, stop
}

// wantHeld is the box as long as nobody has it go on.
func (b *simBox) wantHeld(t *testing.T, why string) {
	t.Helper()
	s := b.status()
	b.want(t, "A", "1.0.0", "")
	b.mu.Lock()
	defer b.mu.Unlock()
	if s.Phase != Waiting || s.Offered != "2.0.0" || !strings.Contains(s.Why, "is not started: "+why) {
		t.Errorf("the status is %+v", s)
	}
	if b.order[0] != "A" || b.left["A"] == 0 || b.left["B"] == 0 {
		t.Errorf("next is %v, with %v starts left", b.order, b.left)
	}
}

// A pause reaches a box that has installed the release, and no power cut starts it. Both
// systems stay ones that could start.
func TestPauseReachesABoxBeforeTheRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, repository, stop := heldBox(t)
		b.wantHeld(t, "paused by whoever runs the fleet: boxes fell back")
		if b.boot != 1 {
			t.Errorf("it was started anew: %v", b.events)
		}
		for range 4 {
			b.reboot <- "the power failed"
			time.Sleep(5 * time.Hour)
		}
		synctest.Wait()
		b.wantHeld(t, "paused by whoever runs the fleet: boxes fell back")
		if b.boot != 5 || b.left["B"] != 3 {
			t.Errorf("%d starts, and %v left", b.boot, b.left)
		}
		repository.change(func(o *Offer) { o.Waves.Paused = "" })
		time.Sleep(3 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
		if b.installations() != 1 || b.boot != 6 {
			t.Errorf("%d installations, %d starts", b.installations(), b.boot)
		}
	})
}

// What is held makes room for what mends it.
func TestReleaseThatFollowsAWithdrawnOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, repository, stop := heldBox(t)
		repository.mu.Lock()
		repository.offers = nil
		repository.mu.Unlock()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		b.wantHeld(t, "no repository offers it any more")
		repository.offer("2.0.1", open("2.0.1"))
		time.Sleep(3 * time.Hour)
		stop()
		b.want(t, "B", "2.0.1", Installed)
		if b.installations() != 2 || b.outcome().From != "1.0.0" {
			t.Errorf("%d installations, %+v", b.installations(), b.outcome())
		}
	})
}

// A release that is brought by hand needs no fleet's word, whatever it waits for.
func TestStickThatIsPulledOutBeforeTheRestart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", nil)
		b := newSimBox(t, "1.0.0", nil)
		b.source, b.only = repository, true
		b.others = []Source{{Name: "stick", Repository: simView{b}, Local: true, Every: time.Minute}}
		b.busy = func() Busy { return Busy{Sessions: map[bool]int{true: 1}[b.content["B"] == "2.0.0"]} }
		stop := b.during(t)
		time.Sleep(time.Hour)
		repository.fail(ErrNothingThere)
		time.Sleep(time.Hour)
		synctest.Wait()
		if b.installations() != 1 || b.boot != 1 || b.order[0] != "B" {
			t.Errorf("next is %v: %v", b.order, b.events)
		}
		b.change(func() { b.busy = func() Busy { return Busy{} } })
		time.Sleep(time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
	})
}

// RAUC that is away is asked again. Until it answers the pause keeps the box from starting
// the release, and what a power cut would do is said in the log.
func TestRAUCIsAwayWhenAReleaseIsPaused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		b.busy = func() Busy { return Busy{Sessions: map[bool]int{true: 1}[b.content["B"] == "2.0.0"]} }
		stop := b.during(t)
		time.Sleep(3 * time.Hour)
		b.change(func() { b.rauc = errors.New("RAUC is not there") })
		repository.change(func(o *Offer) { o.Waves.Paused = "boxes fell back" })
		time.Sleep(3 * time.Hour)
		b.change(func() { b.busy = func() Busy { return Busy{} } })
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if b.boot != 1 || b.order[0] != "B" || !strings.Contains(b.status().Why, "boxes fell back") {
			t.Errorf("%d starts, next is %v, %+v", b.boot, b.order, b.status())
		}
		b.change(func() { b.rauc = nil })
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		b.wantHeld(t, "paused by whoever runs the fleet: boxes fell back")
		// It is away again when the release may go on: the box starts nothing but what it says.
		b.change(func() { b.rauc = errors.New("RAUC is not there") })
		repository.change(func(o *Offer) { o.Waves.Paused = "" })
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if b.boot != 1 {
			t.Errorf("it starts anew, and not what it is to try: %v", b.events)
		}
		b.change(func() { b.rauc = nil })
		time.Sleep(3 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
	})
}

// What is held stays so where RAUC does not take what was to replace it: nothing has touched the slot.
func TestReleaseThatFollowsAHeldOneAndIsNotTaken(t *testing.T) {
	t.Parallel()
	for name, not := range map[string]error{"refused": refusal{"no valid signature"}, "not begun": busyRAUC{}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, repository, stop := heldBox(t)
				b.change(func() { b.installs = func(string) error { return not } })
				repository.offer("2.0.1", open("2.0.1"))
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				if s := b.status(); s.Outcome == nil || s.Outcome.Version != "2.0.1" || s.Other.Version != "2.0.0" || b.order[0] != "A" || b.left["B"] != 3 ||
					!strings.Contains(s.Why, "version 2.0.0 is installed, and is not started: paused") {
					t.Errorf("next is %v, the status is %+v", b.order, s)
				}
				b.reboot <- "the power failed"
				time.Sleep(3 * time.Hour)
				repository.mu.Lock()
				repository.offers[0].Waves.Paused = ""
				repository.mu.Unlock()
				time.Sleep(3 * time.Hour)
				stop()
				b.want(t, "B", "2.0.0", Installed)
				if b.installations() != 1 {
					t.Errorf("it was installed %d times", b.installations())
				}
			})
		})
	}
}

// One that RAUC has given the slot up for is gone.
func TestReleaseThatFollowsAHeldOneAndIsCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, repository, stop := heldBox(t)
		b.change(func() { b.installs = func(string) error { return writeError{} } })
		repository.offer("2.0.1", open("2.0.1"))
		time.Sleep(24 * time.Hour)
		repository.mu.Lock()
		repository.offers[0].Waves.Paused = ""
		repository.mu.Unlock()
		b.change(func() { b.installs = func(string) error { return nil } })
		time.Sleep(6 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
		if n := b.installations(); n != 1+mostAttempts+1 {
			t.Errorf("%d installations", n)
		}
	})
}

// busyRAUC is RAUC's word that it has not begun.
type busyRAUC struct{}

func (busyRAUC) Error() string {
	return "RAUC could not install the bundle: already processing a different method"
}
func (busyRAUC) Refused() bool { return false }

// writeError is RAUC's word that it could not come to its end.
type writeError struct{}

func (writeError) Error() string { return "RAUC could not install the bundle: Input/output error" }
func (writeError) Refused() bool { return false }
