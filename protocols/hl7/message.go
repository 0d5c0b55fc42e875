package hl7

import (
	"bytes"
	"errors"
)

// ErrNoMSH says that there is no readable MSH segment where a message begins.
var ErrNoMSH = errors.New("message does not begin with a readable MSH segment")

// Message is one message.
type Message struct {
	Delimiters
	Segments []Segment
}

// Segment is one segment, as it came but for its end.
type Segment struct {
	Name       string // what stands before the first field separator
	Raw        []byte
	Delimiters Delimiters
}

// Parse splits raw into segments. They share raw's memory.
//
// A segment ends with CR, and an LF after it is skipped. Where raw has no CR at
// all, LF ends segments; else an LF within a segment is data. White space, NUL
// and a byte order mark before MSH are skipped, and so are empty segments.
// Without a readable MSH the error is [ErrNoMSH].
func Parse(raw []byte) (Message, error) {
	raw = bytes.TrimLeft(bytes.TrimPrefix(raw, []byte("\xEF\xBB\xBF")), " \t\r\n\v\f\x00")
	end := segmentEnd(raw)
	first, _, _ := bytes.Cut(raw, []byte{end})
	d, ok := declared(first)
	if !ok {
		return Message{}, ErrNoMSH
	}
	// Each segment costs many times its bytes, so room is made for no more than
	// there are.
	n := 0
	for line := range bytes.SplitSeq(raw, []byte{end}) {
		if len(trim(line)) > 0 {
			n++
		}
	}
	m := Message{Delimiters: d, Segments: make([]Segment, 0, n)}
	for line := range bytes.SplitSeq(raw, []byte{end}) {
		line = trim(line)
		if len(line) == 0 {
			continue
		}
		name, _, _ := bytes.Cut(line, []byte{d.Field})
		m.Segments = append(m.Segments, Segment{Name: string(name), Raw: line, Delimiters: d})
	}
	return m, nil
}

const (
	cr = '\r'
	lf = '\n'
)

// segmentEnd returns what ends raw's segments: CR, or LF where there is no CR.
func segmentEnd(raw []byte) byte {
	if bytes.IndexByte(raw, cr) < 0 {
		return lf
	}
	return cr
}

// trim cuts off the LF of senders that end segments in CR LF.
func trim(segment []byte) []byte { return bytes.TrimLeft(segment, "\n") }

// Append appends m's segments to dst, each with its CR.
func Append(dst []byte, m Message) []byte {
	for _, s := range m.Segments {
		dst = append(append(dst, s.Raw...), cr)
	}
	return dst
}

// First returns the first segment called name; without one, the zero Segment,
// whose fields are all nil.
func (m Message) First(name string) Segment {
	for _, s := range m.Segments {
		if s.Name == name {
			return s
		}
	}
	return Segment{}
}

// Field returns field n, numbered as the standard does: 0 is the segment's
// name; in MSH (and FHS and BHS, which are made alike) 1 is the field separator
// and 2 the other delimiters. A field that was not sent is nil; one that was
// sent empty is not. The caller does not change it.
func (s Segment) Field(n int) []byte {
	if s.header() && n > 0 {
		if n == 1 {
			return s.Raw[3:4:4]
		}
		n--
	}
	if n < 0 || s.Raw == nil {
		return nil
	}
	rest, by := s.Raw, []byte{s.Delimiters.Field}
	for {
		field, after, more := bytes.Cut(rest, by)
		switch {
		case n == 0:
			return field[:len(field):len(field)]
		case !more:
			return nil
		}
		n, rest = n-1, after
	}
}

// Fields returns all fields; element n is field n.
func (s Segment) Fields() [][]byte {
	if s.Raw == nil {
		return nil
	}
	fields := bytes.Split(s.Raw, []byte{s.Delimiters.Field})
	if s.header() {
		fields = append(fields, nil)
		copy(fields[2:], fields[1:])
		fields[1] = s.Raw[3:4:4]
	}
	return fields
}

// header reports whether the segment's field 1 is the field separator itself.
func (s Segment) header() bool {
	switch s.Name {
	case "MSH", "FHS", "BHS":
		return len(s.Raw) > 3
	}
	return false
}

// MessageType returns the components of MSH-9: ORU, R01, ORU_R01. What was not
// sent is empty.
func MessageType(m Message) (code, trigger, structure string) {
	parts := messageType(m)
	return string(parts[0]), string(parts[1]), string(parts[2])
}

func messageType(m Message) (parts [3][]byte) {
	first := m.First("MSH").Field(9)
	if r := Repetitions(first, m.Delimiters); len(r) > 0 {
		first = r[0]
	}
	copy(parts[:], Components(first, m.Delimiters))
	return parts
}

// ControlID returns MSH-10, byte for byte.
func ControlID(m Message) string { return string(m.First("MSH").Field(10)) }
