package uplink

import "errors"

// Kind says what a failed delivery means for the message and for the
// destination. Its text is also the result that [Observer] is told.
type Kind string

// The kinds.
const (
	// Transient: the destination cannot be reached or cannot answer now.
	Transient Kind = "transient"
	// Unknown: the message was sent and no answer came, so it may have been
	// taken. It is sent again under the same id.
	Unknown Kind = "unknown"
	// Refusal: the destination answered that it failed. Whether the message is
	// the reason is not known.
	Refusal Kind = "refused"
	// Invalid: the destination says that the message itself is at fault.
	Invalid Kind = "invalid"
	// Hold: nothing in the scope will be taken until a person changes
	// something, such as a password.
	Hold Kind = "held"
)

// delivered is the result of an attempt that did not fail.
const delivered = "delivered"

// Results returns every result that Observer.Attempt can be told.
func Results() []string {
	return []string{delivered, string(Transient), string(Unknown), string(Refusal), string(Invalid), string(Hold)}
}

// Failure is the error of a delivery.
type Failure struct {
	Kind Kind
	// Scope limits a Hold to the messages of one receiver; "" is all of them.
	Scope string
	Err   error
}

// Error implements error.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }

// failure returns err as a Failure. A destination that does not say what its
// error means is tried again: that loses nothing.
func failure(err error) *Failure {
	var f *Failure
	if errors.As(err, &f) {
		return &Failure{Kind: f.Kind, Scope: f.Scope, Err: err}
	}
	return &Failure{Kind: Transient, Err: err}
}
