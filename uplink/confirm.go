package uplink

import (
	"context"
	"errors"

	"github.com/assaygate/assaygate/envelope"
)

// ErrMayNotRead says that the destination takes messages and shows nothing:
// the account may not read there. Only a person can change that, so nothing is
// read back any more until the next start.
var ErrMayNotRead = errors.New("the account may not read back what was delivered")

// Confirmer is a [Destination] that can read back what became of a message. Its
// "taken" is no proof: the importer behind it may have failed without a word.
type Confirmer interface {
	// Confirm looks whether the results of e stand at the destination. It
	// changes nothing there. An error wraps [ErrMayNotRead], or is a [*Failure]
	// of the kind Transient: nothing was found out, and it may be asked again.
	// Like that of Deliver its text holds nothing of the message's content.
	Confirm(ctx context.Context, e envelope.Envelope) (Finding, error)
}

// Finding is what a [Confirmer] saw. Its texts name tests, and hold no value, no
// sample id and nothing of a patient.
type Finding struct {
	// Nothing: the message holds nothing that could be read back, such as no
	// sample id or no patient's result. It stays delivered.
	Nothing bool
	// Missing is what does not stand there, for people: "GLU has no result".
	// Where it is empty, and Nothing is false, the message is confirmed.
	Missing []string
	// Note is what a person may want to know of a confirmed message; "" for
	// none. Nobody waits for it: a test that was not ordered stands here.
	Note string
}
