package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/assaygate/assaygate/image/update/rauc"
	"github.com/assaygate/assaygate/image/update/rauc/rauctest"
	"github.com/assaygate/assaygate/image/update/release"
)

// busInstaller is RAUC as the agent wants it.
type busInstaller struct{ client *rauc.Client }

func (i busInstaller) Install(ctx context.Context, file string, progress func(int, string)) error {
	return i.client.Install(ctx, file, func(p rauc.Progress) { progress(p.Percent, p.Step) })
}

func (i busInstaller) Slots(ctx context.Context) (running, other Slot, err error) {
	slots, err := i.client.Slots(ctx)
	for _, slot := range slots {
		to := &other
		if slot.Booted {
			to = &running
		}
		*to = Slot{Name: slot.Bootname, Good: slot.Good, Version: slot.Version}
	}
	if err == nil && (running.Name == "" || other.Name == "") {
		err = errors.New("RAUC does not know which slot runs")
	}
	return running, other, err
}

func (i busInstaller) StartNext(ctx context.Context, running bool) error {
	_, err := i.client.Mark(ctx, rauc.Active, map[bool]string{true: rauc.Booted, false: rauc.Other}[running])
	return err
}

// stickAt is a stick with one bundle on it.
type stickAt struct{ offer Offer }

func (s stickAt) Offers(_ context.Context, box release.Box) (Answer, error) {
	offer := s.offer
	offer.Refused = offer.Release.Permit(box)
	return Answer{Offers: []Offer{offer}}, nil
}

func (s stickAt) Download(_ context.Context, _ Offer, file string, progress func(int64)) error {
	progress(s.offer.Length)
	return os.WriteFile(file, []byte("bundle"), 0o600)
}

type restarts chan struct{}

func (r restarts) Reboot(context.Context) error {
	r <- struct{}{}
	return nil
}

// A stick's release in real time, with real files, over a real bus: to the restart, and
// after it to the outcome; or to RAUC's refusal.
func TestOverTheBus(t *testing.T) {
	t.Parallel()
	for name, refused := range map[string]string{"good": "", "refused": "signature verification failed"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := rauctest.NewBus(t)
			service := bus.NewRAUC(t, boardName)
			directory := t.TempDir()
			store, restart, reports := Directory(directory), make(restarts, 1), make(chan Status, 1000)
			service.Put(filepath.Join(directory, "abc"+bundleSuffix), rauctest.Bundle{Compatible: boardName, Version: "2.0.0", Refused: refused})
			if err := save(store, verdictFile("A"), Verdict{Slot: "A", Version: "1.0.0", Good: true}); err != nil {
				t.Fatal(err)
			}
			options := Options{
				Box: release.Box{Compatible: boardName, Version: "1.0.0"}, Boot: "1", Store: store, Bundles: directory,
				Sources: []Source{{Name: "stick", Local: true, Every: time.Minute, Repository: stickAt{Offer{
					Release: release.Release{Version: "2.0.0", Boards: []string{boardName}}, Hash: "abc", Length: 6,
				}}}},
				Installer: busInstaller{&rauc.Client{Address: bus.Address}}, Rebooter: restart, ClockSet: func() bool { return true },
				Gateway: gatewayFunc(func(context.Context) (Busy, error) { return Busy{}, errors.New("no gateway") }),
				Report:  func(s Status) { reports <- s },
			}
			stop := runs(t, options)
			if refused != "" {
				for s := range reports {
					if s.Outcome != nil {
						stop()
						if s.Outcome.Result != Refused || s.Outcome.Running != (Runs{"A", "1.0.0"}) {
							t.Errorf("the outcome is %+v", s.Outcome)
						}
						return
					}
				}
			}
			<-restart
			stop()
			if _, first := service.Slot("B"); !first {
				t.Error("the other slot would not be started")
			}
			if files, _ := filepath.Glob(filepath.Join(directory, "*"+bundleSuffix)); len(files) != 0 {
				t.Errorf("the bundle takes room: %v", files)
			}

			service.Restart("B")
			options.Box.Version, options.Boot = "2.0.0", "2"
			if err := save(store, verdictFile("B"), Verdict{Slot: "B", Version: "2.0.0", Good: true}); err != nil {
				t.Fatal(err)
			}
			for len(reports) > 0 {
				<-reports
			}
			stop = runs(t, options)
			for s := range reports {
				if s.Outcome != nil {
					if s.Outcome.Result != Installed || s.Outcome.Running != (Runs{"B", "2.0.0"}) || s.Other != (Slot{"A", true, "1.0.0"}) {
						t.Errorf("the status is %+v, %+v", s, s.Outcome)
					}
					break
				}
			}
			stop()
			var kept Outcome
			if err := load(store, outcomeFile, &kept); err != nil || kept.Result != Installed {
				t.Errorf("the outcome file has %+v, %v", kept, err)
			}
		})
	}
}

func runs(t *testing.T, options Options) (stop func()) {
	t.Helper()
	agent, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- agent.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
