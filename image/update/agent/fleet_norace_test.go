//go:build !race

package agent

import "time"

const fleetInterval = time.Hour
