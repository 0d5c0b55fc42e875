//go:build !linux

package spool

// corruptFileSystem has no name here: the gateway runs on Linux.
var corruptFileSystem []error
