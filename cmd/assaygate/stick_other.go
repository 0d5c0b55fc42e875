//go:build !linux

package main

import "errors"

var errNotTheBox = errors.New("this is for the box's units; there is none on this system")

// Run implements a kong command.
func (stickMount) Run() error { return errNotTheBox }

// Run implements a kong command.
func (stickUnmount) Run() error { return errNotTheBox }

// Run implements a kong command.
func (stickWritable) Run() error { return errNotTheBox }
