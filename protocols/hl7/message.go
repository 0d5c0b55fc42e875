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
	Name       string // what stands before the first field separator, as PID
	Raw        []byte
	Delimiters Delimiters

	masked []byte // where fields end, if Raw itself would mislead: see doubleByte
}

// Parse splits raw into segments. They share raw's memory.
//
// A segment ends with CR, and an LF after it is skipped. Where no CR stands
// between segments, LF ends them; else an LF within a segment is data, unless
// what follows it can only be a segment: see [OpensSegment]. Empty segments, blanks and NUL before a segment and NUL at the end are skipped, and
// so is whatever stands before MSH, unless it holds a segment: whose that one
// is nobody can tell. Without a readable MSH the error is [ErrNoMSH].
func Parse(raw []byte) (Message, error) {
	raw, d, err := begin(raw)
	if err != nil {
		return Message{}, err
	}
	text, end := segmentEnd(raw)
	// Each segment costs many times its bytes, so room is made for no more than
	// there are.
	n := 0
	for range lines(text, end) {
		n++
	}
	m := Message{Delimiters: d, Segments: make([]Segment, 0, n)}
	for line := range lines(text, end) {
		m.Segments = append(m.Segments, Segment{Name: segmentName(line, d.Field), Raw: line, Delimiters: d})
	}
	if len(m.Segments) > 0 {
		m.Segments[0].masked = doubleByte(m.Segments[0].Raw, d)
	}
	return m, nil
}

// ParseHeader is Parse for no more than the MSH segment: enough to know what a
// message is, however long the rest.
func ParseHeader(raw []byte) (Message, error) {
	raw, d, err := begin(raw)
	if err != nil {
		return Message{}, err
	}
	line := firstLine(raw)
	return Message{Delimiters: d, Segments: []Segment{{Name: "MSH", Raw: line, Delimiters: d, masked: doubleByte(line, d)}}}, nil
}

// blanks may stand before a segment and after the last one.
const blanks = " \t\n\x00"

// begin cuts off what stands before MSH, and reads the delimiters.
func begin(raw []byte) ([]byte, Delimiters, error) {
	i := start(raw)
	if i < 0 {
		return nil, Delimiters{}, ErrNoMSH
	}
	raw = raw[i:]
	d, _ := declared("MSH", firstLine(raw))
	return raw, d, nil
}

// start returns where MSH begins, or -1.
func start(raw []byte) int {
	text := bytes.TrimLeft(bytes.TrimPrefix(raw, []byte("\xEF\xBB\xBF")), blanks+"\r\v\f")
	if declares("MSH", text) {
		return len(raw) - len(text)
	}
	for from := 0; ; from++ {
		i := bytes.Index(raw[from:], []byte("MSH"))
		if i < 0 {
			return -1
		}
		from += i
		if declares("MSH", raw[from:]) {
			if holdsSegment(raw[:from], raw[from+3]) {
				return -1
			}
			return from
		}
	}
}

// holdsSegment reports whether a line of text begins as a segment does.
func holdsSegment(text []byte, field byte) bool {
	for {
		text = bytes.TrimLeft(text, blanks+"\r")
		if looksLikeSegment(text, field) || batchName(text) != "" {
			return true
		}
		i := bytes.IndexAny(text, "\r\n")
		if i < 0 {
			return false
		}
		text = text[i+1:]
	}
}

// looksLikeSegment reports whether line begins with a name of three letters or
// digits, the first a letter, and the field separator.
func looksLikeSegment(line []byte, field byte) bool {
	return len(line) > 3 && line[3] == field && line[0] > '9' &&
		alphanumeric(line[0]) && alphanumeric(line[1]) && alphanumeric(line[2])
}

// trim cuts off what may stand before a segment: blanks, and the LF of senders
// that end segments in CR LF.
func trim(segment []byte) []byte {
	if len(segment) > 0 && segment[0] > ' ' {
		return segment // nearly always
	}
	return bytes.TrimLeft(segment, blanks)
}

// segmentName returns what stands before the first field separator, without
// blanks; a name as the standard has it, of three characters, in upper case.
func segmentName(segment []byte, field byte) string {
	name, _, _ := bytes.Cut(segment, []byte{field})
	if len(name) == 3 && capitals(name) {
		return string(name) // nearly always
	}
	if name = bytes.Trim(name, blanks); len(name) == 3 && bytes.ContainsAny(name, "abcdefghijklmnopqrstuvwxyz") {
		name = upper(name)
	}
	return string(name)
}

// capitals reports whether a name is of capital letters and digits.
func capitals(name []byte) bool {
	for _, c := range name {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// upper returns ASCII letters in upper case, and every other byte as it is.
func upper(text []byte) []byte {
	out := bytes.Clone(text)
	for i, c := range out {
		if 'a' <= c && c <= 'z' {
			out[i] = c - 'a' + 'A'
		}
	}
	return out
}

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
	rest, ends := s.Raw, s.masked
	if ends == nil {
		ends = rest
	}
	for {
		end := bytes.IndexByte(ends, s.Delimiters.Field)
		switch {
		case n == 0 && end < 0:
			return rest[:len(rest):len(rest)]
		case n == 0:
			return rest[:end:end]
		case end < 0:
			return nil
		}
		n, rest, ends = n-1, rest[end+1:], ends[end+1:]
	}
}

// Fields returns all fields; element n is field n.
func (s Segment) Fields() [][]byte {
	if s.Raw == nil {
		return nil
	}
	fields := bytes.Split(s.Raw, []byte{s.Delimiters.Field})
	if s.masked != nil {
		ends := bytes.Split(s.masked, []byte{s.Delimiters.Field})
		rest := s.Raw
		for i, end := range ends {
			ends[i], rest = rest[:len(end):len(end)], rest[min(len(end)+1, len(rest)):]
		}
		fields = ends
	}
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
// sent is empty. Blanks around them are cut off, lower case is made upper, and
// a structure in the place of the code (ORU_R01 alone) is taken apart.
func MessageType(m Message) (code, trigger, structure string) {
	parts := messageType(m)
	return string(parts[0]), string(parts[1]), string(parts[2])
}

func messageType(m Message) (parts [3][]byte) {
	first := m.First("MSH").Field(9)
	if r := Repetitions(first, m.Delimiters); len(r) > 0 {
		first = r[0]
	}
	for i, part := range Components(first, m.Delimiters) {
		if i == len(parts) {
			break
		}
		parts[i] = upper(bytes.TrimSpace(part))
	}
	if code, trigger, both := bytes.Cut(parts[0], []byte("_")); both && len(parts[1]) == 0 {
		parts[0], parts[1] = code, trigger
	}
	return parts
}

// ControlID returns MSH-10, byte for byte.
func ControlID(m Message) string { return string(m.First("MSH").Field(10)) }
