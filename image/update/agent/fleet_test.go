package agent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

const (
	fleetSize = 1000
	// shareWithin is how far from its share a wave may be, in points.
	shareWithin = 3
	// peakWithin is the most requests that the repository gets in one second. A fleet that came
	// all at once would make two thousand.
	peakWithin = 40
)

// fleet is a thousand boxes and their repository, in one process.
type fleet struct {
	repository *simRepository
	boxes      []*simBox
	table      strings.Builder
}

// newFleet draws numbers and weaknesses from a seed, one where canaries are among the weak:
// of fifty, none is in one fleet of thirteen. Shares that are drawn anew at
// each run would be off by more than three points now and then.
func newFleet(t *testing.T, failing func(version string) float64) *fleet {
	f := &fleet{repository: &simRepository{}}
	random := rand.New(rand.NewPCG(20310504, 2))
	for i := range fleetSize {
		b := newSimBox(t, "1.0.0", f.repository)
		b.random = rand.New(rand.NewPCG(uint64(i), 2))
		b.files[drawFile] = fmt.Appendf(nil, "%.4f\n", random.Float64()*100)
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
		b.settings.Interval = fleetInterval
		if i%5 == 0 { // a fifth is updated by night only
			b.settings.Window = "01:00-04:00"
		}
		f.boxes = append(f.boxes, b)
	}
	return f
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
	return runs * 100 / fleetSize, fellBack * 100 / fleetSize
}

// row states how far a version is, and holds it to its share.
func (f *fleet) row(t *testing.T, version, when string, share float64) {
	t.Helper()
	runs, fellBack := f.reached(version)
	fmt.Fprintf(&f.table, "%-8s %-44s %7.1f %7.1f %9.1f\n", version, when, share, runs, fellBack)
	if math.Abs(runs+fellBack-share) > shareWithin {
		t.Errorf("version %s, %s: it has reached %.1f %% of the boxes, and the share is %.1f %%", version, when, runs+fellBack, share)
	}
}

// peak is the most requests in a second since the last call.
func (f *fleet) peak(t *testing.T, when string) {
	t.Helper()
	f.repository.mu.Lock()
	defer f.repository.mu.Unlock()
	most, all := 0, 0
	for _, requests := range f.repository.requests {
		most, all = max(most, requests), all+requests
	}
	f.repository.requests = nil
	fmt.Fprintf(&f.table, "%-53s %7d requests, at most %d in a second\n", when, all, most)
	if most > peakWithin {
		t.Errorf("%s: %d requests in one second", when, most)
	}
}

// A thousand boxes over a week: a release that fails on a twentieth of them is paused
// while only the canaries have it, the next one goes to all, through a power cut of the
// whole fleet and a repository that is away for six hours.
func TestFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("a thousand boxes take a while")
	}
	synctest.Test(t, func(t *testing.T) {
		day := func(days float64) time.Time {
			return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(days * float64(24*time.Hour)))
		}
		until := func(days float64) { time.Sleep(time.Until(day(days))) }
		const bad, good = "2.0.0", "2.0.1"
		f := newFleet(t, func(version string) float64 { return map[string]float64{bad: 0.05}[version] })
		fmt.Fprintf(&f.table, "%-8s %-44s %7s %7s %9s\n", "version", "when", "share", "runs", "fell back")
		f.repository.offer(bad, &release.Waves{Version: bad, Waves: []release.Wave{{Share: 5, From: day(0.5)}, {Share: 25, From: day(1.5)}, {Share: 100, From: day(2.5)}}})

		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for _, b := range f.boxes {
			running.Go(func() { b.run(ctx) })
		}
		until(0.5)
		f.row(t, bad, "before the first wave", 0)
		f.peak(t, "half a day without a release")

		// Whoever runs the fleet looks at the outcomes every four hours, and pauses at the first
		// box that fell back.
		paused := time.Time{}
		for range 6 {
			time.Sleep(4 * time.Hour)
			if _, fellBack := f.reached(bad); fellBack > 0 {
				f.repository.change(func(o *Offer) { o.Waves.Paused = "boxes fell back" })
				paused = time.Now()
				break
			}
		}
		if paused.IsZero() || paused.After(day(1.5)) {
			t.Fatalf("nobody has seen that the release is bad before its second wave")
		}
		f.row(t, bad, fmt.Sprintf("when it is paused, %s after its begin", paused.Sub(day(0.5))), 5)
		until(3)
		f.row(t, bad, "when its last wave would have been out", 5)
		f.healthy(t, bad)

		f.repository.offer(good, &release.Waves{Version: good, Waves: []release.Wave{
			{Share: 5, From: day(3)}, {Share: 25, From: day(4)}, {Share: 50, From: day(5)}, {Share: 100, From: day(6)},
		}})
		f.peak(t, "two and a half days with a release that is paused")
		until(4)
		f.row(t, good, "at the end of the first wave", 5)
		until(4.4)
		for _, b := range f.boxes {
			b.reboot <- "the power of all failed"
		}
		until(4.6)
		f.repository.fail(errors.New("503"))
		until(4.85)
		f.repository.fail(nil)
		until(5)
		f.row(t, good, "second wave, with power cut and outage", 25)
		until(6)
		f.row(t, good, "at the end of the third wave", 50)
		f.peak(t, "three days of waves")
		until(7.2)
		f.row(t, good, "at the end", 100)
		f.peak(t, "the last wave")
		f.healthy(t, bad)
		cancel()
		running.Wait()
		_, bytes := f.repository.traffic()
		fmt.Fprintf(&f.table, "%.1f GB in all, %.1f MB for each box\n", float64(bytes)/1e9, float64(bytes)/1e6/fleetSize)
		t.Log("\n" + f.table.String())
	})
}

// healthy holds that no box runs a version that does not get healthy on it, or has spent a
// start.
func (f *fleet) healthy(t *testing.T, bad string) {
	t.Helper()
	synctest.Wait()
	for i, b := range f.boxes {
		b.mu.Lock()
		runs := b.content[b.slot]
		if why := b.healthy(runs); why != "" || b.left[b.slot] != 3 {
			t.Errorf("box %d runs %s with %d starts left: %s", i, runs, b.left[b.slot], why)
		}
		b.mu.Unlock()
		if o := b.outcome(); o.Version == bad && o.Result == FellBack && o.Reason == "" {
			t.Errorf("box %d fell back, and does not say why", i)
		}
	}
}
