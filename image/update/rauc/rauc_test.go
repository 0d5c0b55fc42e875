package rauc

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/image/update/rauc/rauctest"
)

const (
	board = "assaygate-test"
	file  = "/data/update/bundle.raucb"
)

func standIn(t *testing.T) (*rauctest.Bus, *rauctest.RAUC, *Client) {
	t.Helper()
	bus := rauctest.NewBus(t)
	return bus, bus.NewRAUC(t, board), &Client{Address: bus.Address}
}

func TestInstall(t *testing.T) {
	t.Parallel()
	_, rauc, client := standIn(t)
	rauc.Put(file, rauctest.Bundle{Compatible: board, Version: "2.0.0", Install: func(say func(int, string)) error {
		say(20, "Checking bundle")
		say(10, "Checking slot rootfs.1") // nested steps go back; what people see does not
		say(80, "Copying image to rootfs.1")
		return nil
	}})
	var seen []Progress
	if err := client.Install(t.Context(), file, func(p Progress) { seen = append(seen, p) }); err != nil {
		t.Fatal(err)
	}
	want := []Progress{{0, "Installing"}, {20, "Checking bundle"}, {20, "Checking slot rootfs.1"}, {80, "Copying image to rootfs.1"}, {100, "Installing done."}}
	if !slices.Equal(seen, want) {
		t.Errorf("progress was %v, want %v", seen, want)
	}
	if slot, primary := rauc.Slot("B"); !primary || slot.Version != "2.0.0" {
		t.Errorf("the other slot is %+v, the first to be started: %v", slot, primary)
	}
	// And a second one knows nothing of the first one's end.
	rauc.Put(file, rauctest.Bundle{Compatible: board, Version: "2.0.1", Install: func(func(int, string)) error { return errors.New("No space left") }})
	if err := client.Install(t.Context(), file, nil); err == nil {
		t.Error("an installation that fails is taken for the one before")
	}
}

func TestInstallFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bundle  rauctest.Bundle
		refused bool
		says    string
	}{
		"no valid signature": {rauctest.Bundle{Compatible: board, Refused: "signature verification failed: self-signed certificate"}, true, "self-signed"},
		"another board":      {rauctest.Bundle{Compatible: "assaygate-other"}, true, "Compatible mismatch"},
		"a card that takes no writes": {rauctest.Bundle{Compatible: board, Install: func(func(int, string)) error {
			return errors.New("Failed updating slot rootfs.1: Input/output error")
		}}, false, "Input/output error"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, rauc, client := standIn(t)
			rauc.Put(file, test.bundle)
			var failure *Error
			if err := client.Install(t.Context(), file, nil); !errors.As(err, &failure) {
				t.Fatalf("it ended with %v", err)
			}
			if failure.Refused() != test.refused || !strings.Contains(failure.Error(), test.says) {
				t.Errorf("refused %v: %v", failure.Refused(), failure)
			}
			if _, primary := rauc.Slot("A"); !primary {
				t.Error("the box would start the other slot")
			}
		})
	}
}

// RAUC or the bus go away in the middle: that says nothing of the bundle, and no
// one waits for ever.
func TestInstallInterrupted(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(*rauctest.Bus, *rauctest.RAUC){
		"RAUC dies":        func(_ *rauctest.Bus, r *rauctest.RAUC) { r.Die() },
		"the bus goes off": func(b *rauctest.Bus, _ *rauctest.RAUC) { b.Stop() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus, rauc, client := standIn(t)
			release := make(chan struct{})
			defer close(release)
			rauc.Put(file, rauctest.Bundle{Compatible: board, Install: func(say func(int, string)) error {
				say(50, "Copying image to rootfs.1")
				<-release
				return nil
			}})
			err := client.Install(t.Context(), file, func(p Progress) {
				if p.Percent == 50 {
					cut(bus, rauc)
				}
			})
			var failure *Error
			if !errors.Is(err, ErrAbsent) || errors.As(err, &failure) {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// Whoever does not wait any longer leaves RAUC at its work. The next one waits for
// that, and does not take its end for that of his own.
func TestInstallGivenUp(t *testing.T) {
	t.Parallel()
	_, rauc, client := standIn(t)
	release := make(chan struct{})
	rauc.Put(file, rauctest.Bundle{Compatible: board, Version: "2.0.0", Install: func(say func(int, string)) error {
		say(50, "Copying image to rootfs.1")
		<-release
		return errors.New("Input/output error")
	}})
	ctx, cancel := context.WithCancel(t.Context())
	if err := client.Install(ctx, file, func(p Progress) {
		if p.Percent == 50 {
			cancel()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Fatalf("it ended with %v", err)
	}
	hasty := &Client{Address: client.Address, Patience: time.Nanosecond}
	if err := hasty.Install(t.Context(), file, nil); !errors.Is(err, ErrBusy) {
		t.Fatalf("beside another installation: %v", err)
	}
	other := "/data/update/other.raucb"
	rauc.Put(other, rauctest.Bundle{Compatible: board, Version: "3.0.0"})
	rauc.WhenBusy(sync.OnceFunc(func() { close(release) }))
	if err := client.Install(t.Context(), other, nil); err != nil {
		t.Fatal(err)
	}
	if slot, _ := rauc.Slot("B"); slot.Version != "3.0.0" {
		t.Errorf("the other slot is %+v", slot)
	}
}

func TestRAUCIsLate(t *testing.T) {
	t.Parallel()
	bus := rauctest.NewBus(t)
	hasty := &Client{Address: bus.Address, Patience: time.Nanosecond}
	if err := hasty.Install(t.Context(), file, nil); !errors.Is(err, ErrAbsent) {
		t.Fatalf("without RAUC: %v", err)
	}
	done := make(chan error)
	go func() {
		_, err := (&Client{Address: bus.Address}).Slots(t.Context())
		done <- err
	}()
	bus.NewRAUC(t, board)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBusIsAway(t *testing.T) {
	t.Parallel()
	bus, _, client := standIn(t)
	bus.Stop()
	client.Patience = time.Nanosecond
	if _, err := client.Slots(t.Context()); err == nil {
		t.Error("slots without a bus")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	client.Patience = 0
	if err := client.Install(ctx, file, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
}

func TestSlots(t *testing.T) {
	t.Parallel()
	_, rauc, client := standIn(t)
	rauc.Put(file, rauctest.Bundle{Compatible: board, Version: "2.0.0"})
	if err := client.Install(t.Context(), file, nil); err != nil {
		t.Fatal(err)
	}
	message, err := client.Mark(t.Context(), Bad, Other)
	if err != nil || message != "marked slot rootfs.1 as bad" {
		t.Errorf("it says %q, %v", message, err)
	}
	slots, err := client.Slots(t.Context())
	want := []Slot{
		{Name: "rootfs.0", Bootname: "A", Device: "/dev/assaygate/rootfs-A", Booted: true, Good: true},
		{Name: "rootfs.1", Bootname: "B", Device: "/dev/assaygate/rootfs-B", Version: "2.0.0"},
	}
	if err != nil || !slices.Equal(slots, want) {
		t.Errorf("slots are %+v, %v", slots, err)
	}
	if _, err := client.Mark(t.Context(), "fine", Booted); err == nil {
		t.Error("a mark that there is not")
	}
	if compatible, err := client.Compatible(t.Context()); err != nil || compatible != board {
		t.Errorf("compatible is %q, %v", compatible, err)
	}
	if slot, err := client.BootSlot(t.Context()); err != nil || slot != "A" {
		t.Errorf("started from %q, %v", slot, err)
	}
}

// patientSlots asks again while RAUC stumbles over what other tests of this machine
// do with loop devices: it looks at all that is mounted.
func patientSlots(t *testing.T, client *Client) (slots []Slot, err error) {
	t.Helper()
	passing := func(err error) bool { return strings.Contains(err.Error(), "loop") }
	err = client.patiently(t.Context(), func() error {
		slots, err = client.Slots(t.Context())
		return err
	}, passing)
	return slots, err
}

// What holds for the stand-in holds for RAUC.
func TestRealRAUC(t *testing.T) {
	t.Parallel()
	bus := rauctest.NewBus(t)
	directory := bus.NewReal(t, board)
	client := &Client{Address: bus.Address}
	want := []Slot{
		{Name: "rootfs.0", Bootname: "A", Device: filepath.Join(directory, "rootfs-a"), Booted: true, Good: true},
		{Name: "rootfs.1", Bootname: "B", Device: filepath.Join(directory, "rootfs-b"), Good: true},
	}
	slots, err := patientSlots(t, client)
	if err != nil || !slices.Equal(slots, want) {
		t.Fatalf("slots are %+v, %v", slots, err)
	}
	if compatible, err := client.Compatible(t.Context()); err != nil || compatible != board {
		t.Errorf("compatible is %q, %v", compatible, err)
	}
	if slot, err := client.BootSlot(t.Context()); err != nil || slot != "A" {
		t.Errorf("started from %q, %v", slot, err)
	}

	bundle := filepath.Join(directory, "bundle.raucb")
	if err := os.WriteFile(bundle, slices.Repeat([]byte("no bundle"), 10000), 0o600); err != nil {
		t.Fatal(err)
	}
	var seen []Progress
	var failure *Error
	if err := client.Install(t.Context(), bundle, func(p Progress) { seen = append(seen, p) }); !errors.As(err, &failure) {
		t.Fatalf("what is no bundle is installed: %v", err)
	}
	if !failure.Refused() || !strings.Contains(failure.Reason, "bundle") || len(seen) == 0 {
		t.Errorf("refused %v, %q, after %v", failure.Refused(), failure.Reason, seen)
	}

	for _, one := range []struct{ slot, first string }{{Other, "B\n"}, {Booted, "A\n"}} {
		_, err := client.Mark(t.Context(), Active, one.slot)
		if first, _ := os.ReadFile(filepath.Join(directory, "primary")); err != nil || string(first) != one.first {
			t.Errorf("first is %q, want %q, %v", first, one.first, err)
		}
	}
	if message, err := client.Mark(t.Context(), Bad, Other); err != nil || !strings.Contains(message, "rootfs.1") {
		t.Errorf("it says %q, %v", message, err)
	}
	want[1].Good = false
	if slots, err := patientSlots(t, client); err != nil || !slices.Equal(slots, want) {
		t.Errorf("slots are %+v, %v", slots, err)
	}
	if _, err := client.Mark(t.Context(), "fine", Booted); err == nil {
		t.Error("a mark that there is not")
	}
}
