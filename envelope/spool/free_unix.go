//go:build linux || darwin

package spool

import "golang.org/x/sys/unix"

// freeSpace returns what asks for the bytes that this process may still write
// in the directory, and the size of its file system.
func freeSpace(directory string) func() (bytes, total uint64, err error) {
	return func() (bytes, total uint64, err error) {
		var s unix.Statfs_t
		if err := unix.Statfs(directory, &s); err != nil {
			return 0, 0, err
		}
		return s.Bavail * uint64(s.Bsize), s.Blocks * uint64(s.Bsize), nil
	}
}
