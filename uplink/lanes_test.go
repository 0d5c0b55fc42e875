package uplink

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// elsewhere is another destination on the same spool.
type elsewhere struct {
	*lims
	name string
}

func (e elsewhere) Name() string { return e.name }

// TestDeadDestination has one destination that never comes back from a
// delivery: the other one is not delayed by a moment, and only the dead one
// falls silent towards the watchdog.
func TestDeadDestination(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		dead := elsewhere{&lims{answer: func(context.Context, envelope.Envelope) error {
			<-release // whatever becomes of ctx
			return nil
		}}, "dead"}
		well := elsewhere{&lims{}, "well"}
		settings := spool.Defaults()
		settings.Directory = t.TempDir()
		q, err := spool.Open(t.Context(), settings, spool.Options{Destinations: []spool.Destination{{Name: "dead"}, {Name: "well"}}})
		if err != nil {
			t.Fatal(err)
		}
		b := &bench{t: t, spool: q}
		var mu sync.Mutex
		moved := map[string]time.Time{}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for _, to := range []elsewhere{dead, well} {
			running.Go(func() {
				err := Run(ctx, q, to, Options{Progress: func() {
					mu.Lock()
					defer mu.Unlock()
					moved[to.name] = time.Now()
				}})
				if err != nil {
					t.Errorf("%s: %v", to.name, err)
				}
			})
		}
		for i := range 60 {
			b.put(fmt.Sprint("lane", i%3), fmt.Sprint(i))
			at := time.Now()
			synctest.Wait()
			took := well.of(fmt.Sprint(i))
			if len(took) != 1 || !took[0].at.Equal(at) {
				t.Fatalf("message %d beside a dead destination: %+v", i, took)
			}
			time.Sleep(10 * time.Second)
		}
		mu.Lock()
		if silent := time.Since(moved["well"]); silent > 2*progressEvery {
			t.Errorf("the one that is well has been silent for %s", silent)
		}
		if silent := time.Since(moved["dead"]); silent < 4*time.Minute {
			t.Errorf("the dead one has reported progress %s ago", silent)
		}
		mu.Unlock()
		close(release)
		cancel()
		running.Wait()
		if err := q.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestLargeBacklog starts on many pending messages: every lane has its turn in
// order, and memory does not grow with what is pending. PENDING says how many,
// in up to 1000 lanes; 3000 in up to 200 without it.
func TestLargeBacklog(t *testing.T) {
	pending := 3000
	if text := os.Getenv("PENDING"); text != "" {
		var err error
		if pending, err = strconv.Atoi(text); err != nil {
			t.Fatalf("PENDING: %v", err)
		}
	}
	most := min(1000, pending/15)
	enough := most + most/5 // show whose turn it is
	for _, lanes := range []int{1, 20, most} {
		t.Run(fmt.Sprint(lanes, " lanes"), func(t *testing.T) {
			settings := spool.Defaults()
			settings.Directory = t.TempDir()
			open := func() *spool.Spool {
				q, err := spool.Open(t.Context(), settings, spool.Options{Destinations: []spool.Destination{{Name: "lims"}}})
				if err != nil {
					t.Fatal(err)
				}
				return q
			}
			q := open()
			empty := heap()
			var list []envelope.Envelope
			for i := range pending {
				id := fmt.Sprintf("%08d-0000-7000-8000-000000000000", i)
				list = append(list, envelope.Envelope{
					ID: id, MessageID: id, Protocol: envelope.ASTM, Instrument: "line", Lane: fmt.Sprint("lane", i%lanes),
					ReceivedAt: time.Now().UTC(), Clock: envelope.ClockSet, Digest: id, Intake: envelope.Accepted,
					Kind: envelope.KindResult, SampleID: fmt.Sprint(i), Raw: []byte(id),
				})
				if len(list) == 1000 {
					if _, err := q.Put(t.Context(), list...); err != nil {
						t.Fatal(err)
					}
					list = nil
				}
			}
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			q = open()
			defer q.Close()
			for _, batch := range []int{1, 100} {
				l := &lims{}
				done := make(chan struct{})
				ctx, cancel := context.WithCancel(t.Context())
				var used uint64
				l.answer = func(context.Context, envelope.Envelope) error {
					if n := l.count(); n%100 == 0 {
						used = max(used, heap())
					}
					return nil
				}
				o := Options{Observer: Observer{Delivered: func(envelope.Envelope, time.Duration) {
					if l.count() >= enough {
						cancel()
					}
				}}}
				go func() {
					defer close(done)
					if err := Run(ctx, q, &crowd{lims: l, batch: batch}, o); err != nil {
						t.Error(err)
					}
				}()
				<-done
				cancel()
				wantTurns(t, l.took(), lanes, enough)
				if used > empty+20<<20 {
					t.Errorf("batch %d: %d bytes in use, %d with an empty store", batch, used, empty)
				}
			}
		})
	}
}

// wantTurns expects every lane in order, and none far ahead of another.
func wantTurns(t *testing.T, took []string, lanes, enough int) {
	t.Helper()
	last := map[int]int{}
	turns := make([]int, lanes)
	for _, sample := range took {
		var n int
		if _, err := fmt.Sscan(sample, &n); err != nil {
			t.Fatal(err)
		}
		if before, any := last[n%lanes]; any && n != before+lanes {
			t.Fatalf("lane %d: %d came after %d", n%lanes, n, before)
		}
		last[n%lanes] = n
		turns[n%lanes]++
	}
	if len(took) < enough || slices.Max(turns)-slices.Min(turns) > 100 {
		t.Errorf("of %d messages a lane had %d, another %d", len(took), slices.Min(turns), slices.Max(turns))
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
