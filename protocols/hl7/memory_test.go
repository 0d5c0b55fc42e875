package hl7

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
		"ParseHeader": func(in []byte) {
			m, _ := ParseHeader(in)
			runtime.KeepAlive(m)
			MessageType(m)
		},
		"Fields": func(in []byte) {
			Segment{Name: "MSH", Raw: append([]byte("MSH|"), in...), Delimiters: DefaultDelimiters()}.Fields()
		},
		"Unescape": func(in []byte) { Unescape(nil, in, DefaultDelimiters()) },
		"Escape":   func(in []byte) { Escape(nil, in, DefaultDelimiters()) },
		"Ack":      func(in []byte) { Ack(in, Acknowledgment{Code: Accept}) },
		"Parts": func(in []byte) {
			for p := range Parts(in) {
				p.Count()
			}
		},
	}
}

func TestMemory(t *testing.T) {
	for _, unit := range []string{
		"\r", "L\r", "MSH|\r", "MSH|", "|", "||\r", "\n", "SPM\r", "ORC\r", "MSH|^~\\&|||||||OML^O33\rSPM\rORC\r", "FHS\r", "BTS|1\n", "MSH",
		"\\", "\\X41\\", "\\XFF\\", "\\.sp99\\", "\\.sk40\\", "\\X41", "\x00", "msh|\rpid|",
	} {
		long := bytes.Repeat([]byte(unit), 1<<18/len(unit))
		for name, use := range everything() {
			bounded(t, name, long, use)
			bounded(t, name, append([]byte("MSH|^~\\&|||||||OML^O33\rSPM\r"), long...), use)
		}
	}
}
