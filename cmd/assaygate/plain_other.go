//go:build !unix

package main

import "os"

// openPlain opens a file for reading. A box runs Linux: elsewhere nobody puts
// anything in its place.
func openPlain(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = notPlain(path)
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}
