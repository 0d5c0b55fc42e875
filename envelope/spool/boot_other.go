//go:build !linux

package spool

// bootTime takes the process for the boot where the system tells no boot id.
func bootTime() (id string, monotonic func() int64) { return processTime() }
