package probe

import (
	"bytes"
	"slices"
	"sort"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// A wire is the level of a line over time: changes at these moments, in
// nanoseconds, high before the first.
type wire []float64

// level is that of the line at a moment: true is high, as in rest.
func (w wire) level(at float64) bool {
	return sort.Search(len(w), func(i int) bool { return w[i] > at })%2 == 0
}

// send puts characters on a line, one directly behind the other, as a UART does.
func send(text []byte, s Setting) (w wire, end float64) {
	bit := 1e9 / float64(s.Baud)
	high := true
	put := func(to bool) {
		if to != high {
			w, high = append(w, end), to
		}
		end += bit
	}
	for _, c := range text {
		put(false)
		odd := false
		for i := range s.DataBits {
			one := c>>i&1 == 1
			odd = odd != one
			put(one)
		}
		switch s.Parity {
		case "even":
			put(odd)
		case "odd":
			put(!odd)
		}
		for range s.StopBits {
			put(true)
		}
	}
	return w, end
}

// receive takes characters from a line as a UART does: it looks at the middle of
// each bit behind the edge of a start bit. Where there is no stop bit it waits
// until the line is high again.
func receive(w wire, end float64, s Setting) (text []byte, errors port.Counters) {
	bit := 1e9 / float64(s.Baud)
	at := 0.0
	for at < end {
		start, found := w.fall(at)
		if !found {
			return text, errors
		}
		if w.level(start + bit/2) {
			at = start + bit/2 // a spike
			continue
		}
		var c byte
		odd := false
		for i := range s.DataBits {
			if w.level(start + bit*(1.5+float64(i))) {
				c |= 1 << i
				odd = !odd
			}
		}
		stop := 1.5 + float64(s.DataBits)
		if s.Parity != "none" {
			if w.level(start+bit*stop) != (odd == (s.Parity == "even")) {
				errors.Parity++
			}
			stop++
		}
		at = start + bit*stop
		text = append(text, c)
		if !w.level(at) {
			errors.Framing++
			for at < end && !w.level(at) {
				at += bit / 16
			}
		}
	}
	return text, errors
}

// fall is the first change from high to low at or behind a moment.
func (w wire) fall(after float64) (at float64, found bool) {
	i := sort.SearchFloat64s(w, after)
	if i += i % 2; i < len(w) { // changes to low have even places
		return w[i], true
	}
	return 0, false
}

// heardAs is what text that is sent with one setting is when it is heard with
// another.
func heardAs(text []byte, sent, heard Setting) ([]byte, port.Counters) {
	w, end := send(text, sent)
	return receive(w, end, heard)
}

// guesses are the speeds at which a call could be sent that is heard as these
// characters with this setting, each once. An ASTM instrument that nobody answers
// sends nothing but calls, so that one of them, heard at a wrong speed, mostly
// names the right one. UARTs differ in what they make of a missing stop bit:
// a guess says what to listen to first, never what is so.
func guesses(data []byte, heard Setting) (bauds []int) {
	for _, baud := range speeds() {
		formats := []Setting{{baud, 8, "even", 1}, {baud, 8, "odd", 1}}
		for _, v := range views(baud) {
			formats = append(formats, v.Setting)
		}
		fits := slices.ContainsFunc(formats, func(sent Setting) bool {
			return slices.ContainsFunc([]byte{lis01.ENQ, lis01.EOT}, func(call byte) bool {
				got, _ := heardAs([]byte{call}, sent, heard)
				return bytes.Equal(got, data)
			})
		})
		if fits && baud != heard.Baud {
			bauds = append(bauds, baud)
		}
	}
	return bauds
}
