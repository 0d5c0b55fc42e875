package main

import (
	"fmt"
	"io"
)

// readPlain reads at most so many bytes of a file in a directory that somebody else
// owns: the gateway for root, the update agent for the gateway. A link is refused,
// for root could read through it what the other cannot, and so is all else that is
// no file: who waits for a pipe waits for ever. What was opened is looked at, and
// nothing before that: it may be replaced at any moment.
func readPlain(path string, most int64) ([]byte, error) {
	file, err := openPlain(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = notPlain(path)
	}
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(file, most))
}

func notPlain(path string) error { return fmt.Errorf("%s is not a file", path) }
