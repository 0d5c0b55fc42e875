package capturefile

import (
	"bytes"
	"iter"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/lis02"
)

// line is a record or segment with its place.
type line struct {
	at   int
	text []byte
}

// lines cuts at CR, with any LF after it, and at an LF behind which a record or
// segment opens; where there is no CR at all, at LF, as the standards' readers
// do. Empty lines are left out.
func lines(data []byte, base int, opens func(text []byte) bool) iter.Seq[line] {
	end := byte('\n')
	if bytes.IndexByte(data, '\r') >= 0 {
		end = '\r'
	}
	return func(yield func(line) bool) {
		give := func(from, to int) bool {
			text := bytes.TrimLeft(data[from:to], "\n")
			trimmed := bytes.TrimRight(text, "\n\x00")
			return len(trimmed) == 0 || yield(line{base + to - len(text), trimmed})
		}
		for at := 0; at < len(data); {
			stop := len(data)
			if n := bytes.IndexByte(data[at:], end); n >= 0 {
				stop = at + n
			}
			for seen := at; end == '\r'; {
				n := bytes.IndexByte(data[seen:stop], '\n')
				if n < 0 {
					break
				}
				seen += n + 1
				if !opens(data[seen:]) {
					continue
				}
				if !give(at, seen-1) {
					return
				}
				at = seen
			}
			if !give(at, stop) {
				return
			}
			at = stop + 1
		}
	}
}

// records makes a transmission from each H record on. Some drivers write a
// session's frames without STX and checksum: then the frame number stands before
// each of them, or before the first record only.
func (f *File) records(data []byte, base int) {
	f.expect(headers(data))
	var r bareRecords
	withNumbers := numbered(data)
	if r.field = data[1]; withNumbers {
		r.field = data[2]
	}
	for l := range lines(data, base, func(text []byte) bool { return lis02.OpensRecord(text, r.field) }) {
		bare := bytes.TrimLeft(l.text, "\x00\x02\x04\x05\x06\x15")
		l.at += len(l.text) - len(bare)
		l.text = bytes.TrimRight(bare, "\x00\x04\x05\x06\x15")
		if withNumbers && !r.frame(&l) || len(l.text) == 0 {
			continue
		}
		if IsHeader(l.text) {
			f.Transmissions = append(f.Transmissions, Transmission{Protocol: ASTM, At: l.at})
			r.field = l.text[1]
		}
		t := &f.Transmissions[len(f.Transmissions)-1] // data begins with a header
		if r.goesOn {
			t.Text = bytes.TrimSuffix(t.Text, []byte{lis01.CR})
		}
		t.Text = append(append(t.Text, l.text...), lis01.CR)
	}
}

// headers is how many H records data can hold.
func headers(data []byte) (n int) {
	for at := range data {
		if IsHeader(data[at:]) && (at == 0 || data[at-1] < ' ' || data[at-1] >= '0' && data[at-1] <= '7') {
			n++
		}
	}
	return n
}

// numbered reports whether a record has a frame number before it: a digit and
// then a letter with a delimiter.
func numbered(data []byte) bool {
	return len(data) > 2 && data[0] >= '0' && data[0] <= '7' && 'A' <= data[1] && data[1] <= 'Z' && IsHeader([]byte{'H', data[2]})
}

// bareRecords goes through the lines of frames that have no STX.
type bareRecords struct {
	field  byte   // the delimiter of fields
	last   []byte // the line before, with its number
	cut    bool   // it ended in ETB, within a record
	goesOn bool   // and this one is the rest of that record
}

// frame takes the framing off a line. It reports whether there is something new
// in it.
func (r *bareRecords) frame(l *line) bool {
	r.goesOn = false
	text, isNumbered, cut := l.text, false, false
	if end := bytes.IndexAny(text, "\x03\x17"); end >= 0 && len(text)-end <= len("\x03C1") {
		cut = text[end] == lis01.ETB && end > 0
		text = text[:end]
	}
	switch {
	case numbered(text) && (text[2] == r.field || text[1] == 'H'):
		isNumbered = true
	case r.cut && len(text) > 0 && text[0] >= '0' && text[0] <= '7':
		r.goesOn = true
	}
	if isNumbered && bytes.Equal(l.text, r.last) {
		return false // its sender repeated it
	}
	if isNumbered || r.goesOn {
		r.last = l.text
		text = text[1:]
		l.at++
	}
	l.text, r.cut = text, cut
	return len(text) > 0
}
