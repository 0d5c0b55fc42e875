package hl7

import (
	"bytes"
	"iter"
)

const (
	cr = '\r'
	lf = '\n'
)

// segments goes through a text segment by segment, and looks at each byte once
// for each of the two ends. There may be more than one message in the text.
type segments struct {
	text  []byte
	end   byte // what ends segments: see segmentEnd
	field byte // the field separator of the last MSH
	at    int  // where the next segment begins
	mark  int  // the first end at or behind there, once it was looked for
}

// newSegments begins with a text whose ends segmentEnd has told.
func newSegments(text []byte, end byte) *segments {
	return &segments{text: text, end: end, field: DefaultDelimiters().Field, mark: -1}
}

// next returns where the next segment begins and where it stops, without its
// end. At the end of the text more is false.
func (s *segments) next() (from, stop int, more bool) {
	if s.at >= len(s.text) {
		return 0, 0, false
	}
	if s.mark < s.at {
		s.mark = len(s.text)
		if i := bytes.IndexByte(s.text[s.at:], s.end); i >= 0 {
			s.mark = s.at + i
		}
	}
	from = s.at
	if line := trim(s.text[from:s.mark]); declares("MSH", line) {
		s.field = line[3]
	}
	for at := from; s.end == cr; {
		i := bytes.IndexByte(s.text[at:s.mark], lf)
		if i < 0 {
			break
		}
		at += i + 1
		if OpensSegment(s.text[at:], s.field) {
			s.at = at
			return from, at - 1, true
		}
	}
	s.at = s.mark + 1
	return from, s.mark, true
}

// lines returns the segments of a text that hold anything, from their names on.
func lines(text []byte, end byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		s := newSegments(text, end)
		for from, stop, more := s.next(); more; from, stop, more = s.next() {
			if line := trim(text[from:stop]); len(line) > 0 && !yield(line) {
				return
			}
		}
	}
}

// firstLine returns the segment that raw begins with.
func firstLine(raw []byte) []byte {
	text, end := segmentEnd(raw)
	_, stop, _ := newSegments(text, end).next()
	return text[:stop]
}

// segmentEnd returns what ends raw's segments, CR or LF, and raw without the
// NUL that fills it up, and without the CR where LF ends segments: some senders
// put one after the last.
func segmentEnd(raw []byte) (text []byte, end byte) {
	i := bytes.IndexByte(raw, cr)
	if i < 0 {
		return bytes.TrimRight(raw, "\x00"), lf
	}
	if bytes.IndexByte(raw[:i], lf) >= 0 && len(bytes.TrimLeft(raw[i:], blanks+"\r")) == 0 {
		return bytes.TrimRight(raw[:i], "\x00"), lf
	}
	return bytes.TrimRight(raw, "\x00"), cr
}

// OpensSegment reports whether text, which stands behind an LF in a message
// whose segments CR ends, can only be a segment, so that the LF ended the one
// before it: there are senders that mix both. It asks for the name of a segment
// of results, in whatever case, or of a Z segment, and the message's field
// separator. Other names do not count, for a value of several lines may well end
// in a word of three letters (NEG, LOW). A header is known by its delimiters.
func OpensSegment(text []byte, field byte) bool {
	if len(text) < 4 || !delimiter(text[3]) {
		return false
	}
	switch name := string(upper(text[:3])); name {
	case "MSH", "FHS", "BHS":
		return len(text) > 4 && delimiter(text[4])
	case "BTS", "FTS", "SFT", "MSA", "PID", "PD1", "NK1", "NTE", "PV1", "PV2", "ORC", "OBR", "OBX", "TQ1", "TQ2", "TCD", "SPM", "SAC", "FT1", "CTI", "DSC":
		return text[3] == field
	default:
		return text[3] == field && name[0] == 'Z' && alphanumeric(name[1]) && alphanumeric(name[2])
	}
}
