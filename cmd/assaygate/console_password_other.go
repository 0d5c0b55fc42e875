//go:build !unix

package main

import "io/fs"

// likeBefore has nothing to do: the folder decides here whose a file is.
func likeBefore(string, fs.FileInfo) error { return nil }
