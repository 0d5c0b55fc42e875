// Package memorytest holds the decoders of the protocols to a bound of memory:
// whatever an instrument sends, none allocates more than 64 times its input and
// 64 KiB. Only tests import it.
package memorytest

import (
	"bytes"
	"runtime"
	"testing"
)

// Bounded fails the test where use, fed with input, allocates more than it may.
// What else runs in the process counts too, so only the least of several tries
// tells.
func Bounded(t testing.TB, what string, input []byte, use func(input []byte)) {
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

// Repeated makes an input long enough for Bounded to tell: what is allocated for
// a short one hides behind the 64 KiB.
func Repeated(unit []byte) []byte {
	if len(unit) == 0 {
		return nil
	}
	return bytes.Repeat(unit, max(1, 16<<10/len(unit)))
}
