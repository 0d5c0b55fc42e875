package lis02

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/assaygate/assaygate/protocols/memorytest"
)

// everything is each decoder of this package.
func everything() map[string]func(input []byte) {
	return map[string]func(input []byte){
		"Parse": func(in []byte) {
			m, _ := Parse(in)
			runtime.KeepAlive(m)
		},
		"Fields":   func(in []byte) { Record{Raw: in, Delimiters: DefaultDelimiters()}.Fields() },
		"Unescape": func(in []byte) { Unescape(nil, in, DefaultDelimiters()) },
		"Complete": func(in []byte) {
			Complete(in)
			Carries(in)
		},
		"Cut": func(in []byte) {
			for ok := true; ok; {
				_, in, ok = Cut(in)
			}
		},
		"Joiner": func(in []byte) {
			var j Joiner
			for len(in) > 0 {
				n := min(240, len(in))
				j.Add(in[:n], n == len(in))
				for _, ok := j.Next(); ok; _, ok = j.Next() {
				}
				in = in[n:]
			}
		},
	}
}

func TestMemory(t *testing.T) {
	for _, unit := range []string{
		"\r", "L\r", "H|\r", "|", "||\r", "\n", "&", "&X41", "&X41&", "&XFF&", "H|\\^&\rR|1|a^b\\c^d\rL|1|N\r", "L\n", "H||\n", " ",
	} {
		for name, use := range everything() {
			memorytest.Bounded(t, name, bytes.Repeat([]byte(unit), 1<<18/len(unit)), use)
		}
	}
}
