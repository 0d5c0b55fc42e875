package spool

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope/spool/cardtest"
)

// slowCard adds to each flush what cards take, and now and then much more.
type slowCard struct {
	each, stall, every time.Duration

	mu     sync.Mutex
	next   time.Time
	stalls []interval
}

type interval struct{ from, to time.Time }

// flush is what the card does before it flushes.
func (c *slowCard) flush() {
	time.Sleep(c.each)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next.IsZero() {
		c.next = time.Now().Add(c.every)
	}
	if from := time.Now(); from.After(c.next) {
		time.Sleep(c.stall)
		c.stalls = append(c.stalls, interval{from, time.Now()})
		c.next = from.Add(c.every)
	}
}

// stalled reports whether a stall fell into the interval.
func (c *slowCard) stalled(i interval) bool {
	return slices.ContainsFunc(c.stalls, func(s interval) bool { return i.from.Before(s.to) && s.from.Before(i.to) })
}

// BenchmarkSlowCard has 20 instruments store messages of 1 KiB as fast as they
// are acknowledged, on a card that takes 20 ms more for each flush and stalls
// for 2 s. Nothing is scaled but how often it stalls: every 6 s, not every
// minute, so that a short run sees some. It reports how long Put took, apart for
// what a stall fell into. Run it for at least 20 s: -benchtime 20s.
func BenchmarkSlowCard(b *testing.B) {
	const instruments = 20
	dir := settings(b)
	card := cardtest.Insert(b, dir.Directory)
	s := open(b, dir, lims)
	slow := &slowCard{each: 20 * time.Millisecond, stall: 2 * time.Second, every: 6 * time.Second}
	card.OnFlush(slow.flush)
	defer card.OnFlush(nil)
	took := make([][]interval, instruments)
	var next atomic.Int64
	b.ResetTimer()
	var wait sync.WaitGroup
	for p := range instruments {
		wait.Go(func() {
			for {
				n := next.Add(1)
				if n > int64(b.N) {
					return
				}
				e := kilobyte(fmt.Sprint("lane ", p), uint64(n))
				from := time.Now()
				if _, err := s.Put(b.Context(), e); err != nil {
					b.Error(err)
					return
				}
				took[p] = append(took[p], interval{from, time.Now()})
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	var ordinary, inStalls []time.Duration
	for _, i := range slices.Concat(took...) {
		if slow.stalled(i) {
			inStalls = append(inStalls, i.to.Sub(i.from))
		} else {
			ordinary = append(ordinary, i.to.Sub(i.from))
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(milliseconds(percentile(ordinary, 50)), "p50-ms")
	b.ReportMetric(milliseconds(percentile(ordinary, 99)), "p99-ms")
	b.ReportMetric(milliseconds(percentile(ordinary, 100)), "max-ms")
	b.ReportMetric(milliseconds(percentile(inStalls, 100)), "max-in-stalls-ms")
	b.ReportMetric(float64(len(slow.stalls)), "stalls")
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func percentile(list []time.Duration, p int) time.Duration {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(len(list)-1, len(list)*p/100)]
}
