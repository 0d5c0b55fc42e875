package uplink

import (
	"math/rand/v2"
	"time"
)

const (
	firstWait   = time.Second
	longestWait = 5 * time.Minute
)

// backOff returns the wait after the given number of failures in a row (from
// 1): doubled each time, between firstWait and longestWait, with a quarter of
// jitter either way, so that many boxes do not come back to a LIMS at once.
func backOff(failures int) time.Duration {
	wait := longestWait
	if n := failures - 1; n < 9 { // 2^9 s is beyond longestWait
		wait = min(firstWait<<max(0, n), longestWait)
	}
	wait += time.Duration((rand.Float64() - 0.5) / 2 * float64(wait))
	return max(firstWait, min(wait, longestWait))
}
