package agent

import (
	"fmt"
	"strings"
	"time"
)

// record is what became of a fleet in a week. All times are since its begin.
type record struct {
	boxes     int
	versions  []string // in the order of their releases
	waves     []opened
	marks     []mark
	samples   []sample
	rows      []row
	stretches []stretch
	idle      int // the stretch in which nothing is new
}

// opened is a wave, and when it was to begin.
type opened struct {
	at      time.Duration
	version string
	share   float64 // percent, as are those below
}

// mark is what was done to the fleet.
type mark struct {
	what     string
	version  string // that it was about, "" for all
	from, to time.Duration
}

// sample is how many boxes run each version.
type sample struct {
	at   time.Duration
	runs map[string]float64
}

// row is how far a version was.
type row struct {
	at                    time.Duration
	version, when         string
	share, runs, fellBack float64
}

// realBundle is that of docs/image-tests.md, in MiB.
const realBundle = 42.2

// text is all that is to be read, in Markdown.
func (r record) text() string {
	var s strings.Builder
	fmt.Fprintf(&s, "| day | version | when | share | run it | went back |\n|---:|---|---|---:|---:|---:|\n")
	for _, row := range r.rows {
		fmt.Fprintf(&s, "| %.2f | %s | %s | %.0f%% | %.1f%% | %.1f%% |\n", days(row.at), row.version, row.when, row.share, row.runs, row.fellBack)
	}
	fmt.Fprintf(&s, "\n| part of the week | boxes ask every | asks | requests | most in one second | bytes an ask | bundles | most at once |\n")
	fmt.Fprintf(&s, "|---|---|---:|---:|---:|---:|---:|---:|\n")
	bundles, metadata := 0, int64(0)
	for _, one := range r.stretches {
		fmt.Fprintf(&s, "| %s | %.0f h | %d | %d | %d | %d | %d | %d |\n",
			one.when, one.interval.Hours(), one.asks(), one.requests, one.peak, one.perAsk(), one.kinds[kindBundle], one.atOnce)
		bundles += one.kinds[kindBundle]
		metadata += one.metadata
	}
	idle := r.stretches[r.idle]
	const month = 30 * 24 // asks
	fmt.Fprintf(&s, "\n| figure | |\n|---|---|\n")
	fmt.Fprintf(&s, "| an ask while nothing is new | %d requests, %d bytes |\n", idle.requests/max(idle.asks(), 1), idle.perAsk())
	fmt.Fprintf(&s, "| a month of that, a box that asks every hour | %.1f MB |\n", float64(idle.perAsk()*month)/1e6)
	fmt.Fprintf(&s, "| the week without bundles | %.1f MB in all, %.1f kB a box |\n", float64(metadata)/1e6, float64(metadata)/1e3/float64(r.boxes))
	fmt.Fprintf(&s, "| the week's bundles | %d downloads, with %.1f MiB each %.1f GiB in all |\n", bundles, realBundle, float64(bundles)*realBundle/1024)
	return s.String()
}

// asks are the questions that came as far as the timestamp.
func (s stretch) asks() int { return s.kinds[kindTimestamp] }

// perAsk is what an ask brings and takes, in bytes, the bundles left out.
func (s stretch) perAsk() int64 { return s.metadata / int64(max(s.asks(), 1)) }

func days(at time.Duration) float64 { return at.Hours() / 24 }
