package board

import "errors"

// ErrNoButton is wrapped where the board's reset button cannot be read: its GPIO
// chip is not there, not for this user, or its line is somebody else's.
var ErrNoButton = errors.New("the reset button cannot be read")
