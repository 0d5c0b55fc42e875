package spool

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool/cardtest"
)

// notModelled is said with every result.
const notModelled = "cards that lie about flushing are not modelled"

// cuts returns how many random cuts `make powercut` asks for, or 0 in an
// ordinary run of the tests.
func cuts(t testing.TB) int {
	text := os.Getenv("CUTS")
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("CUTS is %q, not a number of cuts", text)
	}
	return n
}

// thinned is n for `make powercut`, one part of it in an ordinary run, and much
// less where an emulator runs the tests.
func thinned(t testing.TB, n, part int) int {
	if cuts(t) > 0 {
		return n
	}
	if os.Getenv("TEST_EXEC") != "" {
		part *= 12
	}
	return max(1, n/part)
}

// recorded plays a script on a card, from the opening of the store to its close,
// and returns all that was written. before is the run whose store it goes on
// with; nil: a new one. prepare may change the store first.
func recorded(t *testing.T, before *run, s script, prepare ...*step) (*run, *cardtest.Recording) {
	t.Helper()
	r := newRun(t)
	if before != nil {
		r.continued(before)
	}
	recording := r.card.Record(t)
	if err := r.open(); err != nil {
		t.Fatal(err)
	}
	r.play(append(script{inTurn(prepare...)}, s...))
	if err := r.spool.Close(); err != nil {
		t.Fatal(err)
	}
	r.card.Stop()
	return r, recording
}

// cutResult sums up many cuts.
type cutResult struct {
	mu       sync.Mutex
	cuts     int
	compared int
	lost     int
	broken   int // cuts after which something was wrong
	first    []string
}

func (c *cutResult) add(f losses, where string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cuts++
	c.compared += f.compared
	c.lost += f.lost
	if len(f.problems) > 0 {
		if c.broken++; len(c.first) < 3 {
			c.first = append(c.first, where+": "+strings.Join(f.problems[:min(len(f.problems), 5)], "; "))
		}
	}
}

func (c *cutResult) String() string {
	return fmt.Sprintf("%d cuts, %d acknowledged messages and drafts compared, lost %d (%s)", c.cuts, c.compared, c.lost, notModelled)
}

// cutAt cuts the power at each of the positions, which rise, and compares what
// is left. Half of the positions each are done by two goroutines.
func cutAt(t *testing.T, r *run, recording *cardtest.Recording, seed uint64, positions []int) *cutResult {
	t.Helper()
	result := &cutResult{}
	workers := min(2, runtime.GOMAXPROCS(0))
	var wait sync.WaitGroup
	for w := range workers {
		wait.Go(func() {
			disk := recording.Disk(seed)
			for i := w; i < len(positions); i += workers {
				disk.Advance(positions[i])
				directory := filepath.Join(r.settings.Directory+" cut", fmt.Sprint(i))
				chance := rand.New(rand.NewPCG(seed, uint64(i)))
				if err := disk.Cut(directory, chance); err != nil {
					t.Error(err)
					return
				}
				f := r.afterCut(directory, r.promisedAt(recording, positions[i]))
				result.add(f, fmt.Sprintf("seed %d, cut %d, before operation %d of %d", seed, i, positions[i], len(recording.Operations)))
				if err := os.RemoveAll(directory); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	return result
}

// afterCut opens what is left as the gateway does, and compares.
func (r *run) afterCut(directory string, p promised) (f losses) {
	s := r.settings
	s.Directory = directory
	spool, err := Open(context.Background(), s, Options{Destinations: scripted()})
	if err != nil {
		f.problem("it does not open: %v", err)
		f.lost = len(p.values)
		return f
	}
	f = r.check(spool, p)
	if err := spool.Close(); err != nil {
		f.problem("closing: %v", err)
	}
	return f
}

// spread returns n positions of a recording at equal distances, the last among
// them.
func spread(recording *cardtest.Recording, from, n int) []int {
	last := len(recording.Operations)
	positions := make([]int, n)
	for i := range positions {
		positions[i] = last - (last-from)*(n-1-i)/n
	}
	return positions
}

func randomPositions(recording *cardtest.Recording, n int, seed uint64) []int {
	chance := rand.New(rand.NewPCG(seed, 1))
	at := make([]int, len(recording.Operations)+1)
	for range n {
		at[chance.IntN(len(at))]++
	}
	positions := make([]int, 0, n)
	for position, times := range at {
		for range times {
			positions = append(positions, position)
		}
	}
	return positions
}

func wantNothingLost(t *testing.T, name string, c *cutResult) {
	t.Helper()
	fmt.Printf("power cuts, %s: %v\n", name, c)
	if c.lost > 0 || c.broken > 0 {
		t.Errorf("%v; after %d cuts something was wrong: %s", c, c.broken, strings.Join(c.first, "\n"))
	}
	if c.cuts == 0 || c.compared == 0 {
		t.Error("nothing was compared")
	}
}

// cutRun is a run from the creation of the store through everything, for `make
// powercut`, and otherwise one that is small enough.
func cutRun(t *testing.T, prepare ...*step) (*run, *cardtest.Recording) {
	t.Helper()
	if cuts(t) > 0 {
		return recorded(t, nil, fullScript(), prepare...)
	}
	return recorded(t, closedStore(t), shortScript(), prepare...)
}

// TestPowerCutAtEveryOperation cuts before each write, truncation, flush,
// deletion, renaming and acknowledgement, and after the last.
func TestPowerCutAtEveryOperation(t *testing.T) {
	r, recording := cutRun(t)
	positions := spread(recording, -1, thinned(t, len(recording.Operations)+1, 1))
	wantNothingLost(t, "at every operation", cutAt(t, r, recording, 1, positions))
}

// TestPowerCutAtRandom cuts a run that calls everything.
func TestPowerCutAtRandom(t *testing.T) {
	n, seed := max(cuts(t), thinned(t, 40, 2), 5), rand.Uint64()
	r, recording := recorded(t, nil, fullScript())
	wantNothingLost(t, "at random", cutAt(t, r, recording, seed, randomPositions(recording, n, seed)))
}

// TestPowerCutWithoutFullSync is the negative control: with synchronous=NORMAL
// SQLite does not flush at a commit, and the same cuts must find that.
func TestPowerCutWithoutFullSync(t *testing.T) {
	r, recording := cutRun(t, pragma("synchronous = NORMAL"))
	const n, seed = 30, 1
	result := cutAt(t, r, recording, seed, randomPositions(recording, n, seed))
	fmt.Printf("power cuts with synchronous=NORMAL, the negative control: %v\n", result)
	if result.lost == 0 {
		t.Errorf("%v: cuts that lose nothing then prove nothing", result)
	}
}
