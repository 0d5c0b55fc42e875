package rauc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/godbus/dbus/v5"
)

// ErrAbsent is RAUC, or the bus, that is not there or went away. In the middle of an
// installation that leaves the other slot without a system that could start.
var ErrAbsent = errors.New("RAUC is not there")

// ErrBusy is RAUC at another installation, for longer than it was waited.
var ErrBusy = errors.New("RAUC is at another installation")

// Error is an installation that RAUC has ended without success.
type Error struct {
	Reason string // in RAUC's words
	// Bundle is set where RAUC does not take the bundle itself: no valid signature,
	// another board, no bundle at all. Else it failed at its work, such as at a card
	// that takes no writes.
	Bundle bool
}

func (e *Error) Error() string {
	if e.Bundle {
		return "RAUC refuses the bundle: " + e.Reason
	}
	return "RAUC could not install the bundle: " + e.Reason
}

// Refused reports whether the same bundle would be refused again.
func (e *Error) Refused() bool { return e.Bundle }

// Names of errors that the bus itself gives, or the library when the bus is away.
const (
	unknownService = bus + ".Error.ServiceUnknown"
	noOwner        = bus + ".Error.NameHasNoOwner"
	noReply        = bus + ".Error.NoReply"
	timedOut       = bus + ".Error.TimedOut"
	unknownMethod  = bus + ".Error.UnknownMethod"
	unknownObject  = bus + ".Error.UnknownObject"
	unknownFace    = bus + ".Error.UnknownInterface"
	notSpawned     = bus + ".Error.Spawn."
	ofBus          = bus + ".Error."
	notActivated   = "org.freedesktop.systemd1."
)

// absent reports whether a call failed because nobody has taken it: it may be made
// again without harm.
func absent(err error) bool {
	switch name := name(err); name {
	case unknownService, noOwner, timedOut,
		// RAUC has its name a moment before its object.
		unknownObject, unknownFace, unknownMethod:
		return true
	default:
		return strings.HasPrefix(name, notSpawned) || strings.HasPrefix(name, notActivated)
	}
}

// answered reports whether an error is RAUC's own answer, and not the bus's.
func answered(err error) bool {
	name := name(err)
	return name != "" && !strings.HasPrefix(name, ofBus) && !strings.HasPrefix(name, notActivated)
}

func name(err error) string {
	var e dbus.Error
	if errors.As(err, &e) {
		return e.Name
	}
	return ""
}

// named gives the error its kind.
func named(err error) error {
	var said dbus.Error
	switch {
	case absent(err), name(err) == noReply, errors.Is(err, dbus.ErrClosed):
		return fmt.Errorf("%w: %w", ErrAbsent, err)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%w, or does not answer: %w", ErrAbsent, err)
	case errors.As(err, &said):
		return said
	}
	return err
}
