package agent

import (
	"fmt"
	"strings"
	"time"
)

// The plot's measures, in its own units.
const (
	plotWidth, plotHeight = 760, 340
	plotLeft, plotRight   = 46, 744
	plotTop, plotBottom   = 40, 300
	plotDays              = 7
)

func plotX(at time.Duration) float64 { return plotLeft + (plotRight-plotLeft)*days(at)/plotDays }
func plotY(share float64) float64    { return plotBottom - (plotBottom-plotTop)*share/100 }

// plotColours are of the versions, in their order: each to be seen on white and on black.
var plotColours = []string{"#868686", "#d9730d", "#2f80d8"}

// plot is how many boxes run each version over the week, beside how many may, as SVG.
func (r record) plot() string {
	var s strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&s, format+"\n", args...) }
	line(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#808080" role="img">`, plotWidth, plotHeight)
	line(`<title>Which version %d simulated boxes run, over a week</title>`, r.boxes)
	for share := 0; share <= 100; share += 25 {
		y := plotY(float64(share))
		line(`<path d="M%d %.1fH%d" stroke="#808080" stroke-opacity=".3"/>`, plotLeft, y, plotRight)
		line(`<text x="%d" y="%.1f" text-anchor="end">%d%%</text>`, plotLeft-6, y+4, share)
	}
	for day := range plotDays + 1 {
		line(`<text x="%.1f" y="%d" text-anchor="middle">%d</text>`, plotX(time.Duration(day)*24*time.Hour), plotBottom+16, day)
	}
	line(`<text x="%d" y="%d" text-anchor="middle">days</text>`, (plotLeft+plotRight)/2, plotBottom+34)
	for i, mark := range r.marks {
		from, to := plotX(mark.from), plotX(mark.to)
		line(`<rect x="%.1f" y="%d" width="%.1f" height="%d" fill-opacity=".25"/>`, from, plotTop, max(to-from, 1.5), plotBottom-plotTop)
		line(`<text x="%.1f" y="%d">%s</text>`, from+4, plotTop+22+14*i, mark.what)
	}
	for i, version := range r.versions {
		colour := plotColours[i]
		if may := r.mayRun(version); may != "" {
			line(`<path d="%s" fill="none" stroke="%s" stroke-width="1.2" stroke-dasharray="4 3"/>`, may, colour)
		}
		line(`<path d="%s" fill="none" stroke="%s" stroke-width="2.2" stroke-linejoin="round"/>`, r.run(version), colour)
		line(`<text x="%d" y="20" fill="%s" font-weight="bold">%s</text>`, plotLeft+100*i, colour, version)
	}
	line(`<text x="%d" y="20">solid: boxes that run it; dashed: share that the waves let</text>`, plotLeft+100*len(r.versions))
	line(`</svg>`)
	return s.String()
}

// run is the way of a version's line.
func (r record) run(version string) string {
	var way strings.Builder
	for i, sample := range r.samples {
		fmt.Fprintf(&way, "%c%.1f %.1f", "ML"[min(i, 1)], plotX(sample.at), plotY(sample.runs[version]))
	}
	return way.String()
}

// mayRun is the way of its waves, as far as they were not paused.
func (r record) mayRun(version string) string {
	var way strings.Builder
	share := 0.0
	for _, wave := range r.waves {
		if wave.version != version || r.paused(version, wave.at) {
			continue
		}
		x := plotX(wave.at)
		if share == 0 {
			fmt.Fprintf(&way, "M%.1f %.1f", x, plotY(0))
		}
		share = wave.share
		fmt.Fprintf(&way, "H%.1fV%.1f", x, plotY(share))
	}
	if share > 0 {
		end := r.samples[len(r.samples)-1].at
		for _, mark := range r.marks {
			if mark.version == version {
				end = mark.from
			}
		}
		fmt.Fprintf(&way, "H%.1f", plotX(end))
	}
	return way.String()
}

// paused reports whether a version was stopped before then.
func (r record) paused(version string, at time.Duration) bool {
	for _, mark := range r.marks {
		if mark.version == version && mark.from <= at {
			return true
		}
	}
	return false
}
