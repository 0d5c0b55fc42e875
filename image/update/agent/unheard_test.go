package agent

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pausedUnheard is a box whose agent is ended after RAUC has installed 2.0.0, and before it could
// note it. Meanwhile the release is paused.
func pausedUnheard(t *testing.T, at func(b *simBox, what string)) (b *simBox, repository *simRepository, stop func()) {
	repository = &simRepository{}
	repository.offer("2.0.0", open("2.0.0"))
	b = newSimBox(t, "1.0.0", repository)
	var once sync.Once
	b.at = func(what string) {
		at(b, what)
		if what == "after the installation" {
			once.Do(func() {
				repository.change(func(o *Offer) { o.Waves.Paused = "boxes fell back" })
				panic(killed{})
			})
		}
	}
	return b, repository, b.during(t)
}

// What RAUC has finished, and nobody has heard of, is not started by a power cut.
func TestInstallationThatNobodyHeardOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, repository, stop := pausedUnheard(t, func(*simBox, string) {})
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		if s := b.status(); b.order[0] != "A" || b.installations() != 1 || !strings.Contains(s.Why, "paused by whoever runs the fleet") || strings.Contains(s.Why, "power cut") {
			t.Errorf("next is %v, %v, %+v", b.order, b.events, s)
		}
		for range 4 {
			b.reboot <- "the power failed"
			time.Sleep(time.Hour)
		}
		synctest.Wait()
		b.want(t, "A", "1.0.0", "")
		repository.change(func(o *Offer) { o.Waves.Paused = "" })
		time.Sleep(3 * time.Hour)
		stop()
		b.want(t, "B", "2.0.0", Installed)
	})
}

// Until the boot loader can be told, people are told what a power cut would do.
func TestBootLoaderThatCannotBeTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		deaf := errors.New("the card is read-only")
		b, _, stop := pausedUnheard(t, func(b *simBox, what string) {
			switch what {
			case "before a slot is made the first":
				b.change(func() { b.rauc = deaf })
			case "after a slot was made the first":
				b.change(func() { b.rauc = nil })
			}
		})
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if s := b.status(); b.order[0] != "B" || !strings.Contains(s.Why, "was cut off"+startsAllTheSame) {
			t.Errorf("next is %v, %+v", b.order, s)
		}
		b.change(func() { deaf = nil })
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if s := b.status(); b.order[0] != "A" || strings.Contains(s.Why, startsAllTheSame) {
			t.Errorf("next is %v, %+v", b.order, s)
		}
		stop()
		b.want(t, "A", "1.0.0", "")
	})
}

// A release whose installations end unheard again and again is given up, and not
// started after that was said.
func TestInstallationsThatNobodyHearsOf(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]func(b *simBox){
		"the agent ends": func(b *simBox) {
			b.at = func(what string) {
				if what == "after the installation" {
					panic(killed{})
				}
			}
		},
		"the bus goes away": func(b *simBox) { b.unheard = errors.New("the bus went away") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				repository := &simRepository{}
				repository.offer("2.0.0", open("2.0.0"))
				b := newSimBox(t, "1.0.0", repository)
				ends(b)
				stop := b.during(t)
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				b.want(t, "A", "1.0.0", Failed)
				b.reboot <- "the power failed"
				time.Sleep(time.Hour)
				stop()
				b.want(t, "A", "1.0.0", Failed)
				if b.installations() != mostAttempts {
					t.Errorf("it was installed %d times", b.installations())
				}
			})
		})
	}
}
