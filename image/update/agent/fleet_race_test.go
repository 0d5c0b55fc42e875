//go:build race

package agent

import "time"

// The race detector makes a fleet five times as slow, so its boxes ask less often.
const fleetInterval = 3 * time.Hour
