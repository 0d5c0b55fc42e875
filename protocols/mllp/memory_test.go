package mllp

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
	}
}

func TestMemory(t *testing.T) {
	for _, unit := range []string{"\x0b", "\x1c", "\x0b\x1c", "\x0b\x1c\r", "\x0ba\x1cb", "\r", "a", "\x0bMSH|\r\x1c\n"} {
		for name, use := range everything() {
			bounded(t, name, bytes.Repeat([]byte(unit), 1<<18/len(unit)), use)
		}
	}
}
