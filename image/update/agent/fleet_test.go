package agent

import (
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// The fleet is a small one, unless FLEET says how many boxes it has: `make test-fleet` takes
// the thousand of docs/fleet-simulation.md. Nearly all of the time goes into the signatures
// that each box verifies whenever it asks, so most of the week they ask seldom.
const (
	fewBoxes   = 40
	documented = 1000
	seldom     = 6 * time.Hour
)

func fleetSize(t *testing.T) int {
	if os.Getenv("FLEET") == "" {
		return fewBoxes
	}
	size, err := strconv.Atoi(os.Getenv("FLEET"))
	if err != nil || size < fewBoxes {
		t.Fatalf("FLEET=%s: give a number of boxes, at least %d", os.Getenv("FLEET"), fewBoxes)
	}
	return size
}

// fleetDir is in memory where that can be had: a thousand boxes sync whatever they keep.
func fleetDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "assaygate-fleet-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Boxes with the agent, the verification and the repository that are sold, over a week: a
// release that fails on some is paused while only the canaries have it, the next one goes
// to all, through a power cut of the whole fleet and a repository that is away for six
// hours.
func TestFleet(t *testing.T) {
	if testing.Short() {
		t.Skip("a fleet takes a while")
	}
	size, dir := fleetSize(t), fleetDir(t)
	var record record
	synctest.Test(t, func(t *testing.T) { record = fleetWeek(t, dir, size) })
	t.Log("\n" + record.text())
	if size == documented {
		record.compare(t)
	}
}

func fleetWeek(t *testing.T, dir string, size int) record {
	const old, bad, good, weak = "1.0.0", "2.0.0", "2.0.1", 0.05
	f := newFleet(t, dir, size, seldom, func(version string) float64 { return map[string]float64{bad: weak}[version] })
	f.record.versions = []string{old, bad, good}
	steps := func(from time.Time, shares ...float64) (waves []release.Wave) {
		for i, share := range shares {
			waves = append(waves, release.Wave{Share: share, From: from.AddDate(0, 0, i)})
		}
		return waves
	}
	f.repository.offer(old, steps(f.begun, 5, 100)...)
	end := f.run(dir)
	defer end()

	f.until(0.27)
	f.stretch("the first questions of new boxes")
	f.until(0.5)
	f.stretch("five hours without a release")
	f.idle()
	f.offer(bad, steps(f.day(0.5), 5, 25, 100))

	// Whoever runs the fleet looks at the outcomes every twelve hours, and pauses at the
	// first box that fell back. By then it has asked again.
	f.until(1)
	if _, fellBack := f.reached(bad); fellBack == 0 {
		t.Fatal("nobody has seen that the release is bad before its second wave")
	}
	f.row(bad, "when it is paused, 12 hours after its begin", 5)
	f.repository.pause(bad, "boxes fell back")
	f.mark("pause", bad, 1, 1)
	f.until(2.75)
	f.row(bad, "after its last wave would have been out", 5)
	f.healthy(bad)
	f.stretch("a release that is paused after 12 hours")

	f.offer(good, steps(f.day(2.75), 5, 25, 50, 100))
	f.until(3.74)
	f.row(good, "at the end of the first wave", 5)
	f.stretch("the first wave")
	f.ask(usualInterval)
	f.until(4.15)
	f.mark("power cut", "", 4.15, 4.15)
	for _, b := range f.boxes {
		b.reboot <- "the power of all failed"
	}
	f.until(4.35)
	f.repository.away.Store(true)
	f.mark("repository away", "", 4.35, 4.6)
	f.until(4.6)
	f.repository.away.Store(false)
	f.until(4.74)
	f.row(good, "at the end of the second, with power cut and outage", 25)
	f.stretch("the second wave, with power cut and outage")
	f.ask(seldom)
	f.until(5.74)
	f.row(good, "at the end of the third wave", 50)
	f.stretch("the third wave")
	f.until(6.9)
	f.row(good, "at the end", 100)
	f.stretch("the last wave")
	f.healthy(bad)
	return f.record
}

// offer adds a version, and records its waves.
func (f *fleet) offer(version string, waves []release.Wave) {
	f.repository.offer(version, waves...)
	for _, wave := range waves {
		f.record.waves = append(f.record.waves, opened{wave.From.Sub(f.begun), version, wave.Share})
	}
}

// mark records what is done, between two days.
func (f *fleet) mark(what, version string, from, to float64) {
	f.record.marks = append(f.record.marks, mark{what, version, f.day(from).Sub(f.begun), f.day(to).Sub(f.begun)})
}
