package lis01

import (
	"bytes"
	"runtime"
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
		"Pending": func(in []byte) { Pending(in) },
		"ParseFrame": func(in []byte) {
			f, _ := ParseFrame(in)
			runtime.KeepAlive(f)
		},
		"Receiver": func(in []byte) {
			var r Receiver
			for n, token := 1, []byte(nil); n > 0 && len(in) > 0; in = in[n:] {
				if n, token, _ = Split(in, true); token == nil {
					continue
				}
				if _, deliver, _ := r.Step(token); deliver {
					r.Commit(true)
				}
			}
		},
	}
}

func TestMemory(t *testing.T) {
	for _, unit := range []string{
		"\x02", "\x05", "\x02\x03", "\x021\x17", "\x05\x021a\x0300\r\n", "\x05\x02", "\r", "a", "\x05\x021\x03\x04", frame('1', "L|1|N\r", true),
	} {
		for name, use := range everything() {
			memorytest.Bounded(t, name, bytes.Repeat([]byte(unit), 1<<18/len(unit)), use)
			memorytest.Bounded(t, name, append([]byte("\x05\x021"), bytes.Repeat([]byte(unit), 1<<18/len(unit))...), use)
		}
	}
}
