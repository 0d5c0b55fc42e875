package spool

import (
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// BenchmarkSearch measures what people wait for in a store that keeps very many
// messages: a page of each search. BENCH_KEPT says how many it keeps, as for
// [BenchmarkKept].
func BenchmarkSearch(b *testing.B) {
	many := 50_000
	if text := os.Getenv("BENCH_KEPT"); text != "" {
		var err error
		if many, err = strconv.Atoi(text); err != nil {
			b.Fatalf("BENCH_KEPT: %v", err)
		}
	}
	s := keeping(b, many)
	now := time.Now()
	for _, search := range []struct {
		name   string
		filter Filter
	}{
		{"newest", Filter{}},
		{"sample", Filter{SampleID: "none"}},
		{"instrument", Filter{Instrument: "xn"}},
		{"no-instrument", Filter{Instrument: "none"}},
		{"day", Filter{Since: now.AddDate(0, 0, -1), Until: now.AddDate(0, 0, 1)}},
		{"day-before", Filter{Since: now.AddDate(0, 0, -3), Until: now.AddDate(0, 0, -2)}},
		{"day-kind", Filter{Since: now.AddDate(0, 0, -1), Kind: envelope.KindQC}},
		{"parked", Filter{State: Parked}},
		{"delivered", Filter{State: Delivered}},
		{"kind", Filter{Kind: envelope.KindQC}},
		{"intake", Filter{Intake: envelope.Incomplete}},
		{"reason", Filter{Reason: "nowhere"}},
		{"destination-reason", Filter{Destination: lims.Name, Reason: "nowhere"}},
	} {
		b.Run(fmt.Sprintf("%s/kept=%d", search.name, many), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.List(b.Context(), search.filter); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
