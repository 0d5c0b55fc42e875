package main

import "io"

// streams are where a command writes: what was asked for to out, what went
// wrong and hints to err.
type streams struct{ out, err io.Writer }
