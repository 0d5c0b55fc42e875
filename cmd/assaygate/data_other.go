//go:build !linux

package main

// Run implements a kong command.
func (dataPrepare) Run() error { return errNotTheBox }

// Run implements a kong command.
func (dataRequest) Run() error { return errNotTheBox }
