package spool

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

const fewKept = 1000

// BenchmarkKept compares what a message costs in a store that keeps very many
// with one that keeps a thousand: to store it, alone; and to deliver it, that is
// to find the heads of lanes, load one and note that it was taken. The two stores
// take turns, message by message. put-ratio and delivery-ratio are medians of the
// large one's times by those of the small one's. BENCH_KEPT says how many the
// large store keeps: 50 000 without it; a million take about 3 GB and ten minutes
// to store.
func BenchmarkKept(b *testing.B) {
	many := 50_000
	if text := os.Getenv("BENCH_KEPT"); text != "" {
		var err error
		if many, err = strconv.Atoi(text); err != nil {
			b.Fatalf("BENCH_KEPT: %v", err)
		}
	}
	few, large := keeping(b, fewKept), keeping(b, many)
	b.Run(fmt.Sprint("kept=", many), func(b *testing.B) {
		var costs [2]struct{ put, delivery []time.Duration }
		n := uint64(0)
		for b.Loop() {
			for i, s := range []*Spool{few, large} {
				n++
				e := kilobyte(fmt.Sprint("lane ", n%20), n)
				begun := time.Now()
				if _, err := s.Put(b.Context(), e); err != nil {
					b.Fatal(err)
				}
				stored := time.Now()
				deliverOne(b, s)
				costs[i].put = append(costs[i].put, stored.Sub(begun))
				costs[i].delivery = append(costs[i].delivery, time.Since(stored))
			}
		}
		ratio := func(few, many []time.Duration) float64 { return float64(middle(many)) / float64(middle(few)) }
		b.ReportMetric(ratio(costs[0].put, costs[1].put), "put-ratio")
		b.ReportMetric(ratio(costs[0].delivery, costs[1].delivery), "delivery-ratio")
		b.ReportMetric(float64(middle(costs[1].put)), "ns/put")
		b.ReportMetric(float64(middle(costs[1].delivery)), "ns/delivery")
	})
}

func middle(times []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(times))[len(times)/2]
}

func deliverOne(b *testing.B, s *Spool) {
	heads, err := s.Heads(b.Context(), lims.Name)
	if err != nil || len(heads) != 1 {
		b.Fatalf("%d heads, %v", len(heads), err)
	}
	entry, err := s.Load(b.Context(), lims.Name, heads[0].Sequence)
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Delivered(b.Context(), lims.Name, entry.Envelope.Sequence, ""); err != nil {
		b.Fatal(err)
	}
}

// keeping is a store that keeps so many delivered messages.
func keeping(b *testing.B, n int) *Spool {
	b.Helper()
	given := settings(b)
	given.KeepDays, given.KeepSize = 0, 0
	s := open(b, given, lims)
	for from := 0; from < n; from += 1000 {
		var messages [][]record
		for i := from; i < min(n, from+1000); i++ {
			records, err := s.records([]envelope.Envelope{kilobyte(fmt.Sprint("lane ", i%20), uint64(i))})
			if err != nil {
				b.Fatal(err)
			}
			messages = append(messages, records)
		}
		err := s.writer.write(b.Context(), func(t *tx) error {
			if err := t.storeAll(messages); err != nil {
				return err
			}
			for _, records := range messages {
				d, err := t.delivery(lims.Name, records[0].sequence)
				if err != nil {
					return err
				}
				if err := t.settle(&d, Delivered, auditDelivered, "", ""); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	// Opened again, it has neither a long WAL nor warm caches from the filling.
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	return open(b, given, lims)
}
