package lis02

import (
	"bytes"
	"runtime"
	"testing"
)

// bounded fails where use, fed with input, allocates more than 64 times its
// size and 64 KiB. What else runs in the process counts too, so that only the
// least of several tries tells.
func bounded(t testing.TB, what string, input []byte, use func(input []byte)) {
	t.Helper()
	limit := uint64(64*len(input) + 64<<10)
	least := ^uint64(0)
	for range 5 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		use(input)
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least <= limit {
			return
		}
	}
	t.Errorf("%s: %d bytes for %d of %.40q", what, least, len(input), input)
}

// repeated makes an input long enough for bounded to tell: what is allocated for
// a short one hides behind the 64 KiB.
func repeated(unit []byte) []byte {
	if len(unit) == 0 {
		return nil
	}
	return bytes.Repeat(unit, max(1, 16<<10/len(unit)))
}

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
			bounded(t, name, bytes.Repeat([]byte(unit), 1<<18/len(unit)), use)
		}
	}
}
