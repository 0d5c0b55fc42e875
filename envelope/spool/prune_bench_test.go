package spool

import (
	"testing"
	"time"
)

// BenchmarkFindFinished looks for what may go behind 100 000 parked messages:
// the first time after an opening, and every time after that.
func BenchmarkFindFinished(b *testing.B) {
	d := newDial()
	s, _ := openAt(b, settings(b), d, lims)
	fillPending(b, s, 100_000, 20)
	do(b, s.writer.write(b.Context(), func(t *tx) error { return t.parkPending("lims", "a benchmark") }))
	do(b, s.writer.fold(b.Context()))
	d.at = time.Now().AddDate(3, 0, 0) // all are older than any limit
	first := func() {
		s.retention.finished.next = 1
		s.retention.expired.reset()
		s.retention.expireAt = 0
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			first()
			do(b, s.retain(b.Context()))
		}
	})
	b.Run("later", func(b *testing.B) {
		for b.Loop() {
			s.retention.expireAt = 0
			s.retention.size = 1
			do(b, s.retain(b.Context()))
		}
	})
}

// BenchmarkPutWhilePruning tells how long a Put waits while everything that is
// finished goes, beside one that has the store for itself.
func BenchmarkPutWhilePruning(b *testing.B) {
	for _, name := range []string{"alone", "pruning"} {
		b.Run(name, func(b *testing.B) {
			d := newDial()
			s, _ := openAt(b, settings(b), d, lims)
			fillDelivered(b, s, d, 20_000)
			stop := make(chan struct{})
			done := make(chan struct{})
			go func() {
				defer close(done)
				for name == "pruning" {
					select {
					case <-stop:
						return
					default:
					}
					if more, err := s.pruneOldest(b.Context(), pruneRows, "a benchmark"); err != nil || !more {
						return
					}
				}
			}()
			var slowest time.Duration
			i := uint64(0)
			for b.Loop() {
				i++
				start := time.Now()
				_, err := s.Put(b.Context(), kilobyte("b", i))
				do(b, err)
				slowest = max(slowest, time.Since(start))
			}
			close(stop)
			<-done
			b.ReportMetric(float64(slowest.Microseconds()), "µs-slowest")
			b.ReportMetric(float64(s.retention.pruned.Load()), "pruned")
		})
	}
}
