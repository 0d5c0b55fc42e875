package capturefile

import (
	"bytes"

	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/mllp"
)

// blocks reads MLLP blocks. A batch in a block is taken apart as one in a bare
// file is.
func (f *File) blocks(data []byte, base int) {
	f.expect(bytes.Count(data, []byte{mllp.StartBlock}) + bytes.Count(data, []byte("MSH")))
	for at := 0; at < len(data); {
		advance, block, _ := mllp.Split(data[at:], true) // its error is always nil
		if advance == 0 {
			if mllp.Junk(data[at:]) > 0 {
				f.broken(base+at, "a block without end")
			}
			return
		}
		here := base + at
		skipped := data[at : at+advance]
		at += advance
		switch {
		case block == nil && skipped[0] == mllp.StartBlock:
			f.broken(here, "a block without end")
		case block == nil:
			if n := mllp.Junk(skipped); n > 0 {
				f.doubtful(here, "%d bytes outside any block", n)
			}
		case beginsWith(bytes.TrimLeft(block, "\r\n"), "FHS", "BHS"):
			f.segments(block, here+1)
		case len(block) > 0:
			f.Transmissions = append(f.Transmissions, Transmission{Protocol: HL7, At: here + 1, Text: block})
		}
	}
}

// segments makes a transmission from each MSH segment on. The segments around a
// batch are no message; what they hold goes one by one. Each segment ends in CR;
// an LF within one is data where CRs end them, unless a segment follows it.
func (f *File) segments(data []byte, base int) {
	if f.Transmissions == nil {
		f.expect(bytes.Count(data, []byte("MSH")))
	}
	var open *Transmission
	field := byte('|')
	if len(data) > 3 && beginsWith(data, "MSH") {
		field = data[3]
	}
	for l := range lines(data, base, func(text []byte) bool { return hl7.OpensSegment(text, field) }) {
		switch {
		case beginsWith(l.text, "FHS", "BHS", "BTS", "FTS"):
			open = nil
			continue
		case beginsWith(l.text, "MSH"):
			f.Transmissions = append(f.Transmissions, Transmission{Protocol: HL7, At: l.at})
			open = &f.Transmissions[len(f.Transmissions)-1]
			if len(l.text) > 3 {
				field = l.text[3]
			}
		case open == nil:
			f.broken(l.at, "a segment outside any message")
			continue
		}
		open.Text = append(append(open.Text, l.text...), '\r')
	}
}
