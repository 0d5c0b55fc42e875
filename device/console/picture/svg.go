package picture

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The picture, in its own units: the axes and room for their numbers.
const (
	width, height  = 320, 200
	left, right    = 44, 312
	ceiling, floor = 10, 176
	mostDrawn      = 536 // points of a line: two for each unit across
	grid           = 64  // fields across and up that a cloud's points are drawn in
	populations    = 6   // that have a colour of their own
)

// SVG is the picture, usable in an HTML page as it is. id is unique on the page and
// begins the ids in the picture. Colours are the page's: the classes are axis, tick,
// curve, mark, and p0 to p5 for populations.
func (p Plot) SVG(id string) template.HTML {
	var s strings.Builder
	id = html.EscapeString(id)
	fmt.Fprintf(&s, `<svg class="plot" role="img" viewBox="0 0 %d %d" aria-labelledby="%s-title %s-text">`, width, height, id, id)
	fmt.Fprintf(&s, `<title id="%s-title">%s</title><desc id="%s-text">%s</desc>`, id, escaped(p.Title()), id, escaped(p.Text()))
	switch {
	case p.Bits != nil:
		p.bitmap(&s)
	case p.Cloud:
		p.cloud(&s)
	default:
		p.curve(&s)
	}
	p.axes(&s)
	s.WriteString(`</svg>`)
	return template.HTML(s.String()) // all text in it is escaped, the rest are numbers
}

// escaped is text for a page, in which nothing can turn the order of what is read
// round.
func escaped(text string) string {
	return html.EscapeString(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.C, unicode.Zl, unicode.Zp) {
			return utf8.RuneError
		}
		return r
	}, text))
}

func (p Plot) across(x float64) float64 {
	return left + (x-p.Left)/(p.Right-p.Left)*(right-left)
}

func (p Plot) up(y float64) float64 {
	return floor - (y-p.Bottom)/(p.Top-p.Bottom)*(floor-ceiling)
}

// unit writes a place in the picture, to a tenth.
func unit(s *strings.Builder, f float64) {
	s.WriteString(strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64))
}

// axes are lines, their ends' numbers, ticks and thresholds.
func (p Plot) axes(s *strings.Builder) {
	fmt.Fprintf(s, `<path class="axis" d="M%d %dV%dH%d"/>`, left, ceiling, floor, right)
	text := func(x, y float64, anchor, what string) {
		s.WriteString(`<text class="tick" x="`)
		unit(s, x)
		s.WriteString(`" y="`)
		unit(s, y)
		fmt.Fprintf(s, `" text-anchor="%s">%s</text>`, anchor, what)
	}
	text(left, floor+14, "middle", number(p.Left))
	text(right, floor+14, "end", number(p.Right))
	text(left-4, floor, "end", number(p.Bottom))
	text(left-4, ceiling+8, "end", number(p.Top))
	last := float64(left)
	for _, at := range p.Ticks {
		x := p.across(at)
		if x-last < 40 || right-x < 60 {
			continue // its number would stand on another one
		}
		last = x
		text(x, floor+14, "middle", number(at))
		s.WriteString(`<path class="axis" d="M`)
		unit(s, x)
		fmt.Fprintf(s, ` %dv4"/>`, floor)
	}
	for _, at := range p.Marks {
		s.WriteString(`<path class="mark" d="M`)
		unit(s, p.across(at))
		fmt.Fprintf(s, ` %dV%d"/>`, ceiling, floor)
	}
}

// curve joins the points. Of more than can be seen the highest stand for those
// around them.
func (p Plot) curve(s *strings.Builder) {
	s.WriteString(`<polyline class="curve" points="`)
	step := (len(p.X) + mostDrawn - 1) / mostDrawn
	for i := 0; i < len(p.X); i += step {
		highest := i
		for j := i; j < min(i+step, len(p.X)); j++ {
			if p.Y[j] > p.Y[highest] {
				highest = j
			}
		}
		if i > 0 {
			s.WriteByte(' ')
		}
		unit(s, p.across(p.X[highest]))
		s.WriteByte(',')
		unit(s, p.up(p.Y[highest]))
	}
	s.WriteString(`"/>`)
}

// cloud draws a field for the points in it, of the population that came last.
func (p Plot) cloud(s *strings.Builder) {
	var fields [grid][grid]int8 // 1 more than the population
	for i := range p.X {
		x := min(grid-1, int((p.X[i]-p.Left)/(p.Right-p.Left)*grid))
		y := min(grid-1, int((p.Y[i]-p.Bottom)/(p.Top-p.Bottom)*grid))
		population := 0
		if p.Populations != nil && finite(p.Populations[i]) && p.Populations[i] > 0 {
			population = int(math.Mod(p.Populations[i], populations))
		}
		fields[grid-1-y][x] = int8(population + 1)
	}
	for population := range populations {
		drawFields(s, fmt.Sprintf("p%d", population), grid, grid, func(x, y int) bool { return fields[y][x] == int8(population+1) })
	}
}

func (p Plot) bitmap(s *strings.Builder) {
	drawFields(s, "p0", len(p.Bits[0]), len(p.Bits), func(x, y int) bool { return p.Bits[y][x] })
}

// drawFields fills fields of a grid, those side by side at once.
func drawFields(s *strings.Builder, class string, columns, rows int, filled func(x, y int) bool) {
	wide, high := float64(right-left)/float64(columns), float64(floor-ceiling)/float64(rows)
	began := false
	for y := range rows {
		for x := 0; x < columns; x++ {
			if !filled(x, y) {
				continue
			}
			from := x
			for x < columns && filled(x, y) {
				x++
			}
			if !began {
				fmt.Fprintf(s, `<path class="%s" d="`, class)
				began = true
			}
			s.WriteByte('M')
			unit(s, left+float64(from)*wide)
			s.WriteByte(' ')
			unit(s, ceiling+float64(y)*high)
			s.WriteByte('h')
			unit(s, float64(x-from)*wide)
			s.WriteByte('v')
			unit(s, high)
			s.WriteByte('h')
			unit(s, -float64(x-from)*wide)
			s.WriteByte('z')
		}
	}
	if began {
		s.WriteString(`"/>`)
	}
}
