package agent

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/image/update/rauc"
	"github.com/assaygate/assaygate/image/update/rauc/rauctest"
	"github.com/assaygate/assaygate/image/update/release"
)

// RAUC has taken the bundle, and does not come to its end, or nobody hears of it. Nothing
// counts as installed then: it is counted, begun again, and told of only once it was judged.
func TestInstallationThatEndsInItsMiddle(t *testing.T) {
	t.Parallel()
	for name, ends := range map[string]struct {
		cut  func(*rauctest.Bus, *rauctest.RAUC) error
		says string
	}{
		"RAUC fails":       {func(*rauctest.Bus, *rauctest.RAUC) error { return errors.New("Input/output error") }, "Input/output error"},
		"RAUC dies":        {func(_ *rauctest.Bus, r *rauctest.RAUC) error { r.Die(); return nil }, "ended in the middle of an installation"},
		"the bus goes off": {func(b *rauctest.Bus, _ *rauctest.RAUC) error { b.Stop(); return nil }, "the bus went away in the middle"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory := t.TempDir()
			store, restart, reports := Directory(directory), make(restarts, 1), make(chan Status, 1000)
			file := filepath.Join(directory, "abc"+bundleSuffix)
			if err := save(store, verdictFile("A"), Verdict{Slot: "A", Version: "1.0.0", Good: true}); err != nil {
				t.Fatal(err)
			}
			options := Options{
				Box: release.Box{Compatible: boardName, Version: "1.0.0"}, Boot: "1", Store: store, Bundles: directory,
				Sources: []Source{{Name: "stick", Local: true, Every: time.Minute, Repository: stickAt{Offer{
					Release: release.Release{Version: "2.0.0", Boards: []string{boardName}}, Hash: "abc", Length: 6,
				}}}},
				Rebooter: restart, ClockSet: func() bool { return true }, Report: func(s Status) { reports <- s },
				Gateway: gatewayFunc(func(context.Context) (Busy, error) { return Busy{}, nil }),
			}
			// on has the box's agent run beside a RAUC of its own.
			on := func(bundle rauctest.Bundle) (*rauctest.Bus, *rauctest.RAUC, func()) {
				bus := rauctest.NewBus(t)
				service := bus.NewRAUC(t, boardName)
				bundle.Compatible, bundle.Version = boardName, "2.0.0"
				service.Put(file, bundle)
				options.Installer = busInstaller{&rauc.Client{Address: bus.Address, Patience: time.Millisecond}}
				return bus, service, runs(t, options)
			}
			kept := func(phase string, attempts int) {
				t.Helper()
				var trial Trial
				if err := load(store, trialFile, &trial); err != nil || trial.Phase != phase || trial.Attempts != attempts {
					t.Errorf("the trial is %+v, %v, want %s at attempt %d", trial, err, phase, attempts)
				}
				if _, err := store.Read(outcomeFile); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("an outcome is told before the verdict (%v)", err)
				}
			}

			var bus *rauctest.Bus
			var service *rauctest.RAUC
			var stop func()
			heard := make(chan struct{})
			half := rauctest.Bundle{Install: func(say func(int, string)) error {
				say(50, "Copying image to rootfs.1")
				<-heard
				return ends.cut(bus, service)
			}}
			bus, service, stop = on(half)
			hear := sync.OnceFunc(func() { close(heard) })
			for s := range reports {
				if s.Percent == 50 {
					hear()
				}
				if s.Phase == Restarting || s.Outcome != nil {
					t.Fatalf("the status is %+v", s)
				}
				if strings.Contains(s.Why, ends.says) && strings.Contains(s.Why, "tries again at") {
					break
				}
			}
			stop()
			kept(installing, 1)
			if len(restart) != 0 {
				t.Error("the box is started anew")
			}

			// The next process of the agent does not wait.
			_, next, again := on(rauctest.Bundle{})
			<-restart
			again()
			kept(installed, 2)

			next.Restart("B")
			options.Box.Version, options.Boot = "2.0.0", "2"
			if err := save(store, verdictFile("B"), Verdict{Slot: "B", Version: "2.0.0", Good: true}); err != nil {
				t.Fatal(err)
			}
			stop = runs(t, options)
			for s := range reports {
				if s.Outcome != nil {
					if s.Outcome.Result != Installed || s.Outcome.Attempts != 2 {
						t.Errorf("the outcome is %+v", s.Outcome)
					}
					break
				}
			}
			stop()
		})
	}
}
