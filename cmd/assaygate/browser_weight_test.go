package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	"github.com/assaygate/assaygate/envelope/spool"
)

// heaviestPage is the most that a page may have with all that it loads, in
// bytes as they go over the line: a technician may look at it over a telephone.
const heaviestPage = 100 << 10

// heaviestBacklog is the same for the page of a line, which comes with what went
// over it lately.
const heaviestBacklog = 512 << 10

// paints is how often each page is loaded to see when it is painted first.
const paints = 3

// TestBrowserPageWeight writes a table of what each page weighs, and of when it
// is painted first. Only the weight is held to a bound: times are the machine's.
func TestBrowserPageWeight(t *testing.T) {
	chromiumProgram(t)
	r, _ := laboratory(t)
	for n := range 60 { // more than one page of messages
		r.sendSample(fmt.Sprintf("SIM-%d", 1001+n))
	}
	r.settled()
	found, err := r.store.List(t.Context(), spool.Filter{Limit: 1})
	if err != nil || len(found) != 1 {
		t.Fatalf("%+v, %v", found, err)
	}
	b := r.browse()
	b.visit("/")
	paths := evaluate[[]string](b, "[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))")
	var table strings.Builder
	table.WriteString("| page | requests | KiB | first contentful paint, ms |\n|---|---|---|---|\n")
	for _, path := range append(paths, "/messages/"+found[0].ID, "/live/lan", "/commission/lan") {
		var weighed pageWeight
		var painted []float64
		for range paints {
			weighed = b.weigh(path)
			painted = append(painted, weighed.Paint)
		}
		most := heaviestPage
		if path == "/live/lan" {
			most = heaviestBacklog
		}
		if weighed.Bytes > most {
			t.Errorf("%s has %d bytes, more than %d", path, weighed.Bytes, most)
		}
		slices.Sort(painted)
		fmt.Fprintf(&table, "| %s | %d | %.1f | %.0f |\n", strings.Replace(path, found[0].ID, "ID", 1), weighed.Requests,
			float64(weighed.Bytes)/1024, painted[paints/2])
	}
	fmt.Fprintln(t.Output(), table.String())
}

// pageWeight is what a page costs somebody who opens it first of all.
type pageWeight struct {
	Requests, Bytes int
	Paint           float64 // in milliseconds since the click
}

// weigh opens a path with nothing in the cache.
func (b *tab) weigh(path string) pageWeight {
	b.t.Helper()
	b.do(perform(network.ClearBrowserCache, cdp.Empty{}))
	b.load(200, chromedp.Navigate(b.console+path))
	// A page is painted with the next frame, which may come after it is loaded. Streams have no end and no entry.
	return evaluate[pageWeight](b, `new Promise(done => {
		const weigh = paint => {
			const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
			done({ Requests: all.length, Bytes: all.reduce((sum, e) => sum + e.transferSize, 0), Paint: paint.startTime });
		};
		new PerformanceObserver((list, observer) => {
			const paint = list.getEntriesByName('first-contentful-paint')[0];
			if (paint) { observer.disconnect(); weigh(paint); }
		}).observe({ type: 'paint', buffered: true });
	})`)
}
