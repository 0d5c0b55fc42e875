package agent

import "context"

// Installer writes bundles to the other slot. An error that has a method
// Refused() bool returning true says that the same bundle would be refused again;
// all others say nothing of the bundle.
type Installer interface {
	// Install returns once the bundle is in the other slot, and that is what starts
	// next.
	Install(ctx context.Context, file string, progress func(percent int, step string)) error
	// Slots returns the slot that runs and the other one.
	Slots(ctx context.Context) (running, other Slot, err error)
	// StartNext makes the slot that runs, or the other one, the first that is started. The
	// other of them stays as one to fall back to.
	StartNext(ctx context.Context, running bool) error
}

// Slot is one of the two systems on the card.
type Slot struct {
	Name string `json:"slot"` // A or B
	// Good is false of a slot that the boot loader would not start: it was given up,
	// or its installation was cut off.
	Good bool `json:"good"`
	// Version is what is in it, empty where that is not known.
	Version string `json:"version,omitempty"`
}

// Gateway knows whether analysers are at work.
type Gateway interface {
	Busy(ctx context.Context) (Busy, error)
}

// Busy is what the gateway is doing.
type Busy struct {
	Sessions int // messages being received
	Commits  int // messages on their way to the card
}

// Rebooter has the box start anew, in good order. It returns once that is on its
// way.
type Rebooter interface {
	Reboot(ctx context.Context) error
}
