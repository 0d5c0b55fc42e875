package agent

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// story is an update with its end.
type story struct {
	world  func(b *simBox)
	slot   string
	runs   string
	result Result
	most   int // installations, where the agent is ended once
}

func stories() map[string]story {
	return map[string]story{
		"good": {func(*simBox) {}, "B", "2.0.0", Installed, 2},
		"never healthy": {func(b *simBox) {
			b.healthy = func(version string) string { return map[string]string{"2.0.0": "no store"}[version] }
		}, "A", "1.0.0", FellBack, 2},
		// A power cut between RAUC's end and the note of it cannot be told from one before:
		// it costs one more try.
		"does not start": {func(b *simBox) {
			b.starts = func(version string) bool { return version != "2.0.0" }
		}, "A", "1.0.0", FellBack, 2},
		// It waits for an analyser when it is paused, loses its power, and goes on some hours later.
		"paused before its start": {func(b *simBox) {
			start := time.Now()
			b.busy = func() Busy {
				return Busy{Sessions: map[bool]int{true: 1}[b.content["B"] == "2.0.0" && time.Since(start) < 4*time.Hour]}
			}
			time.AfterFunc(2*time.Hour, func() { b.source.change(func(o *Offer) { o.Waves.Paused = "boxes fell back" }) })
			time.AfterFunc(6*time.Hour, func() { b.reboot <- "the power failed" })
			time.AfterFunc(10*time.Hour, func() { b.source.change(func(o *Offer) { o.Waves.Paused = "" }) })
		}, "B", "2.0.0", Installed, 2},
		"refused by RAUC": {func(b *simBox) {
			b.installs = func(string) error { return refusal{"no valid signature"} }
		}, "A", "1.0.0", Refused, 0},
	}
}

// tell has the box live through the story for long enough, and asks cut at all
// points where the agent may be ended whether it is: with killed, powerCut or nil.
func (s story) tell(t *testing.T, cut func(point int) (end any)) (points int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		repository := &simRepository{}
		repository.offer("2.0.0", open("2.0.0"))
		b := newSimBox(t, "1.0.0", repository)
		s.world(b)
		var mu sync.Mutex
		var where []string
		b.at = func(what string) {
			mu.Lock()
			points++
			if ends := cut(points); ends != nil {
				where = append(where, what)
				defer panic(ends)
			}
			mu.Unlock()
		}
		defer func() {
			if t.Failed() {
				t.Logf("ended at %q", where)
			}
		}()
		b.live(3 * 24 * time.Hour)
		b.want(t, s.slot, s.runs, s.result)
		for file := range b.files {
			if file == trialFile {
				t.Error("the trial stays")
			}
		}
		if s.most >= 0 && b.installations() > s.most {
			t.Errorf("it was installed %d times", b.installations())
		}
		if refused := strings.Contains(string(b.files[refusedFile]), "hash-of-2.0.0"); refused != (s.result != Installed) {
			t.Errorf("it is remembered as refused: %v", refused)
		}
		if t.Failed() {
			t.Log(strings.Join(b.events, "\n"))
		}
	})
	return points
}

// Wherever the agent is ended, by a signal or with the whole box: the update comes to
// its end, and the box is never without a system.
func TestCuts(t *testing.T) {
	t.Parallel()
	for name, story := range stories() {
		for how, end := range map[string]any{"killed": killed{}, "power cut": powerCut{}} {
			t.Run(name+", "+how, func(t *testing.T) {
				t.Parallel()
				points := story.tell(t, func(int) any { return nil })
				if points < 20 {
					t.Fatalf("only %d points", points)
				}
				for at := 1; at <= points && !t.Failed(); at++ {
					story.tell(t, func(point int) any {
						if point == at {
							return end
						}
						return nil
					})
				}
			})
		}
	}
}

// And again and again, at any points.
func TestManyCuts(t *testing.T) {
	t.Parallel()
	for name, story := range stories() {
		story.most = mostAttempts
		for seed := range uint64(10) {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				t.Parallel()
				random, left := rand.New(rand.NewPCG(seed, seed)), 4
				story.tell(t, func(int) any {
					if left == 0 || random.Float64() > 0.15 {
						return nil
					}
					left--
					if random.Float64() < 0.5 {
						return killed{}
					}
					return powerCut{}
				})
			})
		}
	}
}
