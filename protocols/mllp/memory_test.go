package mllp

import (
	"bytes"
	"testing"

	"github.com/assaygate/assaygate/protocols/memorytest"
)

// everything is each decoder of this package.
func everything() map[string]func(input []byte) {
	return map[string]func(input []byte){
		"Split": func(in []byte) {
			for n := 1; n > 0 && len(in) > 0; in = in[n:] {
				n, _, _ = Split(in, true)
			}
		},
	}
}

func TestMemory(t *testing.T) {
	for _, unit := range []string{"\x0b", "\x1c", "\x0b\x1c", "\x0b\x1c\r", "\x0ba\x1cb", "\r", "a", "\x0bMSH|\r\x1c\n"} {
		for name, use := range everything() {
			memorytest.Bounded(t, name, bytes.Repeat([]byte(unit), 1<<18/len(unit)), use)
		}
	}
}
