// Package picture shows what analysers send beside their numbers: histograms and
// scattergrams, drawn as SVG, and documents such as PNG images.
//
// [Of] finds the plots of an envelope, in the three forms that are known:
//
//	ASTM M records with packed streams, unfolded by the profile   Horiba Yumizen
//	lines `WBC CURVE;0;0;3;..` of a frame                         CELL-DYN Emerald
//	OBX of type ED, `WBC Histogram. Binary`, in base64            Mindray
//
// [Plot.SVG] draws one without script or style of its own, with its axes, and with a
// text that says the same. What is not laid out as announced is left out: it is still
// in the message. All is bounded, whatever an instrument sends.
//
// [DocumentOf] gives the document that a result's value is, byte for byte.
package picture

import (
	"fmt"
	"math"
	"strings"

	"github.com/assaygate/assaygate/envelope"
)

// The bounds of what one envelope's plots may take.
const (
	mostPlots    = 24
	mostChannels = 4096 // of a curve
	mostPoints   = 1 << 16
	mostMarks    = 16
	mostText     = 120 // characters of a name
)

// Plot is one picture: a curve, a cloud of points or a bitmap.
type Plot struct {
	Test string // the instrument's code for it: RbcAlongRes
	Name string // what it belongs to, for people, or "": RBC/PLT

	// X and Y are the points, in pairs. Of a curve X rises.
	X, Y []float64
	// Quantities and Populations say of each point how many cells it stands for, and
	// which population those are of; nil where the instrument does not tell.
	Quantities, Populations []float64
	Cloud                   bool // points that no line joins

	// Bits are the rows of a bitmap from the top, nil for points.
	Bits [][]bool

	Left, Right, Bottom, Top float64 // of the axes
	Ticks                    []float64
	Marks                    []float64 // thresholds on the X axis
}

// Of returns the plots of an envelope, in the order in which they came.
func Of(e envelope.Envelope) []Plot {
	list := ofRecords(e.Records.M)
	list = append(list, ofFrame(frameOf(e))...)
	list = append(list, ofObservations(e)...)
	usable := list[:0]
	for _, p := range list {
		if p.settle() && len(usable) < mostPlots {
			usable = append(usable, p)
		}
	}
	return usable
}

// settle bounds a plot, gives it axes where it has none, and reports whether there
// is something to draw.
func (p *Plot) settle() bool {
	p.Test, p.Name = shortened(p.Test), shortened(p.Name)
	if p.Bits != nil {
		p.Right, p.Top = float64(len(p.Bits[0])), float64(len(p.Bits))
		return true
	}
	if len(p.X) != len(p.Y) || len(p.X) == 0 || !p.Cloud && len(p.X) > mostChannels || len(p.X) > mostPoints {
		return false
	}
	for i := range p.X {
		if !finite(p.X[i]) || !finite(p.Y[i]) {
			return false
		}
	}
	left, right := bounds(p.X)
	bottom, top := bounds(p.Y)
	if !span(p.Left, p.Right) {
		p.Left, p.Right = left, right
	}
	if !span(p.Bottom, p.Top) {
		p.Bottom, p.Top = min(0, bottom), top
	}
	// What lies beyond the announced axes is drawn too.
	p.Left, p.Right = min(p.Left, left), max(p.Right, right)
	p.Bottom, p.Top = min(p.Bottom, bottom), max(p.Top, top)
	if !span(p.Left, p.Right) {
		p.Right = p.Left + 1
	}
	if !span(p.Bottom, p.Top) {
		p.Top = p.Bottom + 1
	}
	p.Ticks, p.Marks = p.within(p.Ticks), p.within(p.Marks)
	return span(p.Left, p.Right) && span(p.Bottom, p.Top)
}

// within are the places on the X axis, a few at the most.
func (p *Plot) within(places []float64) (list []float64) {
	for _, at := range places {
		if at >= p.Left && at <= p.Right && len(list) < mostMarks {
			list = append(list, at)
		}
	}
	return list
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) && math.Abs(f) < 1e30 }

func span(from, to float64) bool { return finite(from) && finite(to) && from < to }

func bounds(list []float64) (least, most float64) {
	least, most = list[0], list[0]
	for _, f := range list {
		least, most = min(least, f), max(most, f)
	}
	return least, most
}

func shortened(text string) string {
	runes := []rune(strings.TrimSpace(text))
	if len(runes) > mostText {
		return string(runes[:mostText]) + "…"
	}
	return string(runes)
}

// Title is what stands above the picture.
func (p Plot) Title() string {
	kind := "Histogram"
	if p.Cloud || p.Bits != nil {
		kind = "Scattergram"
	}
	switch {
	case p.Test == "" && p.Name == "":
		return kind
	case p.Test == "" || p.Name == "" || p.Test == p.Name:
		return kind + " " + p.Test + strings.TrimPrefix(p.Name, p.Test)
	}
	return fmt.Sprintf("%s %s (%s)", kind, p.Test, p.Name)
}

// Text says what the picture shows, for whoever does not see it.
func (p Plot) Text() string {
	var text strings.Builder
	switch {
	case p.Bits != nil:
		set := 0
		for _, row := range p.Bits {
			for _, bit := range row {
				if bit {
					set++
				}
			}
		}
		fmt.Fprintf(&text, "%d by %d fields, %d of them marked.", len(p.Bits[0]), len(p.Bits), set)
	case p.Cloud:
		fmt.Fprintf(&text, "%d points", len(p.X))
		if cells := total(p.Quantities); cells > 0 {
			fmt.Fprintf(&text, " for %s cells", number(cells))
		}
		fmt.Fprintf(&text, ", from %s to %s across and %s to %s up.", number(p.Left), number(p.Right), number(p.Bottom), number(p.Top))
	default:
		highest := 0
		for i := range p.Y {
			if p.Y[i] > p.Y[highest] {
				highest = i
			}
		}
		fmt.Fprintf(&text, "%d channels from %s to %s, highest with %s at %s.",
			len(p.X), number(p.Left), number(p.Right), number(p.Y[highest]), number(p.X[highest]))
	}
	for i, at := range p.Marks {
		if i == 0 {
			text.WriteString(" Thresholds at ")
		} else {
			text.WriteString(", ")
		}
		text.WriteString(number(at))
	}
	if len(p.Marks) > 0 {
		text.WriteString(".")
	}
	return text.String()
}

func total(list []float64) (sum float64) {
	for _, f := range list {
		if !finite(f) {
			return 0
		}
		sum += f
	}
	return sum
}

// number is short: pictures are looked at, not calculated with.
func number(f float64) string { return fmt.Sprintf("%.6g", f) }
