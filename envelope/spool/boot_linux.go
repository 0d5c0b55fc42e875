package spool

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// bootTime returns the kernel's id of this boot and the nanoseconds since its
// start, which go on over a restart of the process.
func bootTime() (id string, monotonic func() int64) {
	text, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return processTime()
	}
	return strings.TrimSpace(string(text)), func() int64 {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
			return 0
		}
		return t.Nano()
	}
}
