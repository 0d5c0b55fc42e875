package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Waves says from when which share of a fleet may install a version. Whoever runs
// the fleet signs it, as a file of its own. No version without it goes to a box by
// itself.
type Waves struct {
	// Version is the release that this is about.
	Version string `json:"version"`
	// Paused is the reason why no box may install the version for now, empty where
	// that is not so.
	Paused string `json:"paused,omitempty"`
	// Waves are in the order of time.
	Waves []Wave `json:"waves"`
}

// Wave is one step: from a time on, this share of all boxes may install.
type Wave struct {
	Share float64   `json:"share"` // percent of all boxes, with those of the waves before
	From  time.Time `json:"from"`
}

const (
	// CanaryShare is the most that the first wave may have, in percent.
	CanaryShare = 5
	// CanaryTime is how long the first wave runs at least, before the next.
	CanaryTime = 24 * time.Hour

	maxWaves  = 64
	maxReason = 1024 // bytes
)

// ParseWaves reads a wave file, and validates it. It takes nothing that it does not
// know: a misspelt "paused" must not let a release go out.
func ParseWaves(data []byte) (Waves, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	var waves Waves
	if err := decoder.Decode(&waves); err != nil {
		return Waves{}, fmt.Errorf("wave file: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Waves{}, errors.New("wave file: something follows its end")
	}
	return waves, waves.Validate()
}

// Validate says what of the waves cannot be right, naming the key.
func (w Waves) Validate() error {
	if err := checkVersion(w.Version); err != nil {
		return fmt.Errorf("version: %w", err)
	}
	if len(w.Paused) > maxReason {
		return fmt.Errorf("paused: %d bytes, more than %d", len(w.Paused), maxReason)
	}
	if err := checkText("paused", w.Paused); err != nil {
		return err
	}
	if len(w.Waves) == 0 || len(w.Waves) > maxWaves {
		return fmt.Errorf("waves: %d entries: there must be 1 to %d", len(w.Waves), maxWaves)
	}
	for i, wave := range w.Waves {
		var before *Wave
		if i > 0 {
			before = &w.Waves[i-1]
		}
		if err := wave.follows(before); err != nil {
			return fmt.Errorf("waves: number %d: %w", i+1, err)
		}
	}
	if len(w.Waves) > 1 {
		if lead := w.Waves[1].From.Sub(w.Waves[0].From); lead < CanaryTime {
			return fmt.Errorf("waves: number 2 comes %v after the first: the first wave runs at least %v, to show what goes wrong", lead, CanaryTime)
		}
	}
	return nil
}

// follows says why the wave cannot come after the one before, nil for the first.
func (w Wave) follows(before *Wave) error {
	switch {
	case !(w.Share > 0 && w.Share <= 100):
		return fmt.Errorf("share %v: must be above 0 and at most 100 percent", w.Share)
	case w.From.IsZero():
		return errors.New("from is missing: write a time such as 2031-05-04T08:00:00Z")
	case before == nil && w.Share > CanaryShare:
		return fmt.Errorf("share %v: the first wave has at most %d percent", w.Share, CanaryShare)
	case before != nil && w.Share <= before.Share:
		return fmt.Errorf("share %v: must be above that of the wave before, %v: shares count all boxes so far", w.Share, before.Share)
	case before != nil && !w.From.After(before.From):
		return errors.New("from is not after that of the wave before")
	}
	return nil
}

// Open reports whether a box may install the version, and from when on it may
// where it may not yet: zero where no wave has the box in it, or all is paused. The
// draw is the box's own random number, from 0 to below 100, the same for all time.
// The waves are valid.
func (w Waves) Open(draw float64, at time.Time) (open bool, next time.Time) {
	if w.Paused != "" {
		return false, time.Time{}
	}
	for _, wave := range w.Waves {
		if draw >= wave.Share {
			continue
		}
		if at.Before(wave.From) {
			return false, wave.From
		}
		return true, time.Time{}
	}
	return false, time.Time{}
}
