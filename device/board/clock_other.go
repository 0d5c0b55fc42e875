//go:build !linux

package board

import (
	"errors"
	"time"
)

// kernelSynchronised is not known elsewhere.
func kernelSynchronised() bool { return false }

func setKernelClock(time.Time) error { return errors.ErrUnsupported }
