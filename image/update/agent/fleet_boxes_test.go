package agent

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// fleet is many boxes and their repository, in one process.
type fleet struct {
	t          *testing.T
	begun      time.Time
	repository *fleetRepository
	boxes      []*simBox
	draws      []float64
	interval   time.Duration // at which boxes ask

	record record
}

// newFleet draws numbers and weaknesses from a seed: shares that are drawn anew at each run
// would be off by more than three points now and then. One canary is among the weak: of
// fifty, none is in one fleet of thirteen.
func newFleet(t *testing.T, dir string, size int, interval time.Duration, failing func(version string) float64) *fleet {
	f := &fleet{t: t, begun: time.Now(), repository: newFleetRepository(t, dir), interval: interval}
	f.record.boxes = size
	random := rand.New(rand.NewPCG(1, 2))
	seen := false // that a canary is weak
	for i := range size {
		b := newSimBox(t, "1.0.0", nil)
		b.random = rand.New(rand.NewPCG(uint64(i), 2))
		draw := random.Float64() * 100
		b.files[drawFile] = fmt.Appendf(nil, "%.4f\n", draw)
		weakness, phase := random.Float64(), time.Duration(random.Float64()*float64(5*time.Minute))
		b.healthy = func(version string) string {
			if weakness < failing(version) {
				return "readyz: the store does not verify"
			}
			return ""
		}
		// Analysers transmit for two minutes of five, by day.
		b.busy = func() (busy Busy) {
			now := time.Now().Add(phase)
			if hour := now.UTC().Hour(); hour >= 6 && hour < 20 && now.Sub(now.Truncate(5*time.Minute)) < 2*time.Minute {
				busy.Sessions = 1
			}
			return busy
		}
		b.settings.Interval = interval
		if i%5 == 0 { // a fifth is updated by night only
			b.settings.Window = "01:00-04:00"
		} else if draw < release.CanaryShare && !seen {
			weakness, seen = 0, true
		}
		home := filepath.Join(dir, fmt.Sprint("box-", i))
		if err := os.Mkdir(home, 0o700); err != nil {
			t.Fatal(err)
		}
		b.bundles = filepath.Join(home, "bundles")
		f.boxes, f.draws = append(f.boxes, b), append(f.draws, draw)
	}
	return f
}

// run has all boxes run, with the server and the cron of the repository. The result ends them.
func (f *fleet) run(dir string) (end func()) {
	ctx, cancel := context.WithCancel(f.t.Context())
	var running sync.WaitGroup
	var hangUp []func()
	running.Go(func() { _ = f.repository.server.Serve(f.repository) }) // until it is closed
	running.Go(func() { f.repository.cron(ctx) })
	for i, b := range f.boxes {
		source, disconnect := f.repository.asBoxSees(filepath.Join(dir, fmt.Sprint("box-", i)))
		b.only, b.others = true, []Source{{Name: fleetAddress, Repository: source}}
		hangUp = append(hangUp, disconnect)
		running.Go(func() { b.run(ctx) })
	}
	return func() {
		cancel()
		f.repository.server.Close()
		for _, disconnect := range hangUp {
			disconnect()
		}
		running.Wait()
	}
}

// day is a time of the week.
func (f *fleet) day(days float64) time.Time {
	return f.begun.Add(time.Duration(days * float64(24*time.Hour)))
}

// sampleEvery is how often it is recorded which box runs what.
const sampleEvery = 2 * time.Hour

// until lets time pass.
func (f *fleet) until(days float64) {
	for end := f.day(days); time.Now().Before(end); {
		next := time.Now().Truncate(sampleEvery).Add(sampleEvery)
		if next.After(end) {
			time.Sleep(time.Until(end))
			return
		}
		time.Sleep(time.Until(next))
		synctest.Wait()
		runs := map[string]float64{}
		for _, b := range f.boxes {
			runs[b.version()] += 100 / float64(len(f.boxes))
		}
		f.record.samples = append(f.record.samples, sample{next.Sub(f.begun), runs})
	}
}

// ask has boxes ask at another interval from now on. One that installs just now gets to
// know of it a little later.
func (f *fleet) ask(interval time.Duration) {
	f.interval = interval
	for busy := slices.Clone(f.boxes); len(busy) > 0; time.Sleep(10 * time.Second) {
		synctest.Wait()
		busy = slices.DeleteFunc(busy, func(b *simBox) bool {
			settings := b.settings
			settings.Interval = interval
			return b.configure(settings)
		})
	}
}

// reached returns how many percent of the boxes run a version, and how many went back
// from it.
func (f *fleet) reached(version string) (runs, fellBack float64) {
	synctest.Wait()
	for _, b := range f.boxes {
		if b.version() == version {
			runs++
		} else if o := b.outcome(); o.Version == version && o.Result == FellBack {
			fellBack++
		}
	}
	all := float64(len(f.boxes))
	return runs * 100 / all, fellBack * 100 / all
}

// within is how far from its share a wave may be, in points: 3 where there are a thousand boxes,
// which is twice the deviation of numbers that are drawn, and so for fewer.
func (f *fleet) within() float64 { return 3 * math.Sqrt(1000/float64(len(f.boxes))) }

// row states how far a version is, holds it to its share, and that nobody has it who is
// not in that.
func (f *fleet) row(version, when string, share float64) {
	f.t.Helper()
	runs, fellBack := f.reached(version)
	f.record.rows = append(f.record.rows, row{time.Since(f.begun), version, when, share, runs, fellBack})
	if math.Abs(runs+fellBack-share) > f.within() {
		f.t.Errorf("version %s, %s: it has reached %.1f %% of the boxes, and the share is %.1f %%", version, when, runs+fellBack, share)
	}
	for i, b := range f.boxes {
		b.mu.Lock()
		if slices.Contains(b.begun, version) && f.draws[i] >= share {
			f.t.Errorf("version %s, %s: box %d has begun to install it, which is in no wave so far", version, when, i)
		}
		b.mu.Unlock()
	}
}

// peakWithin is the most requests that the repository gets in one second. A fleet that came
// all at once would make two thousand.
const peakWithin = 20

// stretch states the traffic since the last call, and holds that nobody comes in herds.
func (f *fleet) stretch(when string) {
	f.t.Helper()
	taken := f.repository.traffic.take()
	taken.when, taken.interval = when, f.interval
	f.record.stretches = append(f.record.stretches, taken)
	if taken.peak > peakWithin {
		f.t.Errorf("%s: %d requests in one second", when, taken.peak)
	}
}

// idleAsk is the most that a box may bring and take, in bytes, to learn that there is
// nothing new: it does so seven hundred times a month.
const idleAsk = 1500

// idle takes the last stretch for one in which nothing was new.
func (f *fleet) idle() {
	f.t.Helper()
	f.record.idle = len(f.record.stretches) - 1
	last := f.record.stretches[f.record.idle]
	if last.requests != 2*last.asks() || last.perAsk() > idleAsk {
		f.t.Errorf("%s: %d asks took %d requests, and %d bytes each", last.when, last.asks(), last.requests, last.perAsk())
	}
}

// healthy holds that no box runs a version that does not get healthy on it, or has spent a
// start; and that a box from which a version went back has installed it once.
func (f *fleet) healthy(bad string) {
	f.t.Helper()
	synctest.Wait()
	for i, b := range f.boxes {
		b.mu.Lock()
		runs := b.content[b.slot]
		if why := b.healthy(runs); why != "" || b.left[b.slot] != 3 {
			f.t.Errorf("box %d runs %s with %d starts left: %s", i, runs, b.left[b.slot], why)
		}
		tried := 0
		for _, version := range b.begun {
			if version == bad {
				tried++
			}
		}
		weak := b.healthy(bad) != ""
		b.mu.Unlock()
		if tried > 1 && weak {
			f.t.Errorf("box %d has begun to install %s %d times, and it fails there", i, bad, tried)
		}
		o := b.outcome()
		if o.Version == bad && o.Result == FellBack && o.Reason == "" {
			f.t.Errorf("box %d fell back, and does not say why", i)
		}
		if tried > 0 && weak && o.Version == bad && (o.Result != FellBack || runs != o.From) {
			f.t.Errorf("box %d, on which %s fails, runs %s; its outcome: %+v", i, bad, runs, o)
		}
	}
}
