//go:build !unix

package main

// diskFree is not known here: the gateway runs on Linux.
func diskFree(string) (bytes float64, known bool) { return 0, false }
