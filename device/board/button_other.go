//go:build !linux

package board

// Button is a push button that connects a line of a GPIO chip with ground.
type Button struct{}

// Button finds none: boxes run Linux.
func (System) Button(Pin) (*Button, error) { return nil, ErrNoButton }

// Pressed reports whether it is, now.
func (*Button) Pressed() (bool, error) { return false, ErrNoButton }

// Close gives the line back.
func (*Button) Close() error { return nil }
