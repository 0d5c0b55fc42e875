//go:build unix

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// moods are what SENAITE is in twenty changes. In some it has taken what it gives
// no answer for.
var moods = []struct {
	mode  senaitetest.Mode
	often int
}{
	{senaitetest.Up, 9},
	{senaitetest.Down, 2},
	{senaitetest.Hang, 2},
	{senaitetest.Half, 2},
	{senaitetest.Status(500), 1},
	{senaitetest.Status(429), 1},
	{senaitetest.Status(503), 1},
	{senaitetest.Unsuccessful, 1},
	{senaitetest.Cut, 1},
}

// poison is what SENAITE does not take before it is well for good: one of a
// thousand messages of one analyser.
var poison = regexp.MustCompile(`"sample_id":"Hl7-([0-9]*00)?7"`)

// moodyLIMS is a fake SENAITE whose mood changes again and again.
type moodyLIMS struct {
	server *senaitetest.Server
	had    map[senaitetest.Mode]int
}

func newMoodyLIMS(t *testing.T) *moodyLIMS {
	l := &moodyLIMS{newLIMS(t), map[senaitetest.Mode]int{}}
	l.server.Poison(poison.MatchString)
	return l
}

// change changes the mood until ctx ends. Each lasts as long as the given time at
// most, and a quarter of it at least.
func (l *moodyLIMS) change(ctx context.Context, chance *rand.Rand, longest time.Duration) {
	var next []senaitetest.Mode
	for ; ctx.Err() == nil; next = next[1:] {
		if len(next) == 0 {
			for _, mood := range moods {
				next = append(next, slices.Repeat([]senaitetest.Mode{mood.mode}, mood.often)...)
			}
			chance.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
		}
		if err := l.server.Set(next[0]); err != nil {
			panic(err) // its port was taken by another program
		}
		l.had[next[0]]++
		l.server.Slow(time.Duration(chance.Int64N(int64(60 * time.Millisecond))))
		lull(ctx, longest/4+time.Duration(chance.Int64N(int64(longest-longest/4))))
	}
}

// recover makes it well for good.
func (l *moodyLIMS) recover(t *testing.T) {
	t.Helper()
	if err := l.server.Set(senaitetest.Up); err != nil {
		t.Fatal(err)
	}
	l.server.Slow(0)
	l.server.Poison(nil)
}

// history says how often it had which mood.
func (l *moodyLIMS) history() string {
	var parts []string
	for _, mood := range moods {
		parts = append(parts, fmt.Sprintf("%s %d", mood.mode, l.had[mood.mode]))
	}
	return strings.Join(parts, ", ") + " times"
}
