package agent

import (
	"fmt"
	"time"
)

// Settings are when updates may happen.
type Settings struct {
	// Interval is how often a repository on the network is asked, 0 for an hour.
	Interval time.Duration `yaml:"interval"`
	// Window is when a box may be updated, in its own local time: "22:00-04:30".
	// Empty is at any time.
	Window string `yaml:"window"`
	// ForceAfter is how long a release waits at most for the window and for analysers
	// to be silent, counted from when the box first saw that it may install it. 0 is for
	// ever.
	ForceAfter time.Duration `yaml:"force_after"`
}

const (
	usualInterval    = time.Hour
	shortestInterval = time.Minute
	longestInterval  = 7 * 24 * time.Hour
	shortestForce    = time.Hour
)

// Validate says what of the settings cannot be right, naming the key.
func (s Settings) Validate() error {
	if s.Interval != 0 && (s.Interval < shortestInterval || s.Interval > longestInterval) {
		return fmt.Errorf("interval: %s is not between %s and %s", s.Interval, shortestInterval, longestInterval)
	}
	if s.ForceAfter != 0 && s.ForceAfter < shortestForce {
		return fmt.Errorf("force_after: %s is less than %s: a release could not wait for an analyser to end its session", s.ForceAfter, shortestForce)
	}
	if _, err := ParseWindow(s.Window); err != nil {
		return fmt.Errorf("window: %w", err)
	}
	return nil
}

func (s Settings) interval() time.Duration {
	if s.Interval == 0 {
		return usualInterval
	}
	return s.Interval
}
