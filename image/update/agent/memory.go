package agent

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// The files of the agent's directory. A verdict is written by who judges the slot.
const (
	drawFile    = "draw"         // the box's number from 0 to below 100, as text
	refusedFile = "refused.json" // {HASH: Refusal}
	seenFile    = "seen.json"    // {HASH: sighting}
	slotsFile   = "slots.json"   // {SLOT: version}
	trialFile   = "trial.json"   // Trial
	outcomeFile = "outcome.json" // Outcome
)

func verdictFile(slot string) string { return "verdict-" + slot + ".json" }

// Refusal is a bundle that this box does not install by itself again.
type Refusal struct {
	Version string    `json:"version"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
}

// sighting is what is remembered of a bundle that is offered.
type sighting struct {
	Version string `json:"version"`
	// First is when it was first seen as one that this box may install; zero while the
	// clock was not set: it counts from when that is known.
	First time.Time `json:"first_seen,omitzero"`
	// Attempts are installations that were begun.
	Attempts int `json:"attempts,omitempty"`
}

// mostAttempts is how often an installation is begun before the agent takes it
// that it will not succeed: each wears the card.
const mostAttempts = 5

// memory is what the agent remembers, as in its files.
type memory struct {
	draw    float64
	refused map[string]Refusal
	seen    map[string]sighting
	slots   map[string]string
	trial   *Trial
	outcome *Outcome
}

// remember reads all files. Its errors are for the log.
func remember(store Store) (memory, []error) {
	var m memory
	var trial Trial
	var outcome Outcome
	var errs []error
	for name, value := range map[string]any{
		refusedFile: &m.refused, seenFile: &m.seen, slotsFile: &m.slots, trialFile: &trial, outcomeFile: &outcome,
	} {
		if err := load(store, name, value); err != nil {
			errs = append(errs, err)
		}
	}
	if m.refused == nil {
		m.refused = map[string]Refusal{}
	}
	if m.seen == nil {
		m.seen = map[string]sighting{}
	}
	if m.slots == nil {
		m.slots = map[string]string{}
	}
	if trial.valid() {
		m.trial = &trial
	}
	if outcome.Result != "" {
		m.outcome = &outcome
	}
	var err error
	if m.draw, err = draw(store); err != nil {
		errs = append(errs, err)
	}
	return m, errs
}

// draw returns the box's number, which is made once. Where it cannot be kept it is
// another one after the next start.
func draw(store Store) (float64, error) {
	text, err := store.Read(drawFile)
	if err == nil {
		number, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
		if err == nil && number >= 0 && number < 100 {
			return number, nil
		}
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // never fails
	number := float64(binary.BigEndian.Uint32(random[:])%1_000_000) / 10_000
	if err := store.Write(drawFile, fmt.Appendf(nil, "%.4f\n", number)); err != nil {
		return number, fmt.Errorf("keep %s: %w", drawFile, err)
	}
	return number, nil
}

// again forgets refusals of a version, or all where it is empty.
func (m *memory) again(version string) (changed bool) {
	lifted := func(remembered string) bool {
		return version == "" || release.Plain(remembered) == release.Plain(version)
	}
	before := len(m.refused)
	maps.DeleteFunc(m.refused, func(_ string, r Refusal) bool { return lifted(r.Version) })
	for hash, s := range m.seen {
		if lifted(s.Version) && s.Attempts > 0 {
			s.Attempts = 0
			m.seen[hash] = s
			changed = true
		}
	}
	return changed || len(m.refused) != before
}
