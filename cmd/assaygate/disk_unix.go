//go:build unix

package main

import "golang.org/x/sys/unix"

// diskFree is the space that is left where the directory is, in bytes.
func diskFree(directory string) (bytes float64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(directory, &s); err != nil {
		return 0, false
	}
	return float64(s.Bavail) * float64(s.Bsize), true
}
