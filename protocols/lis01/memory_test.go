package lis01

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
			bounded(t, name, bytes.Repeat([]byte(unit), 1<<18/len(unit)), use)
			bounded(t, name, append([]byte("\x05\x021"), bytes.Repeat([]byte(unit), 1<<18/len(unit))...), use)
		}
	}
}
