//go:build !linux

package port

import (
	"errors"
	"fmt"
	"os"
)

// OpenPTY makes a pseudo terminal, on Linux only; elsewhere its error wraps
// errors.ErrUnsupported.
func OpenPTY() (master *os.File, slavePath string, err error) {
	return nil, "", fmt.Errorf("open a pseudo terminal: %w", errors.ErrUnsupported)
}
