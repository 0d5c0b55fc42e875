package profile

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/lis02"
)

// record is one ASTM record or HL7 segment as text, with the delimiters that
// hold for it. Fields are 1-based as in the standards: field 1 of an ASTM
// record is its type, of an MSH its separator, of any other segment what
// follows the name.
//
// The text is UTF-8 but for bytes that did not decode: see markByte.
type record struct {
	name   string
	fields []string
	d      delimiters
}

// delimiters are those of either protocol; sub is 0 for ASTM.
type delimiters struct {
	field, repeat, component, sub, escape, truncation byte

	hl7 bool // MSH-2 need not declare a sub
}

// field returns field n, or "" where the record ends before it.
func (r record) field(n int) string {
	if n < 1 || n > len(r.fields) {
		return ""
	}
	return r.fields[n-1]
}

// text gives the record back as it stands on the wire, without its CR.
func (r record) text() string { return string(r.appendTo(nil)) }

// appendTo appends the record as it stands on the wire, without its CR.
func (r record) appendTo(dst []byte) []byte {
	rest := r.fields
	if r.d.hl7 {
		dst = append(dst, r.name...)
		if r.name == "MSH" && len(rest) > 0 {
			rest = rest[1:] // MSH-1 is the separator itself
		}
	}
	for i, f := range rest {
		if i > 0 || r.d.hl7 {
			dst = append(dst, r.d.field)
		}
		dst = append(dst, f...)
	}
	if r.name == "MSH" && len(rest) == 0 {
		dst = append(dst, r.d.field)
	}
	return dst
}

// splitter gives out the fields of records. All of them share one slice, for a
// record has a dozen fields and a message some hundred records.
type splitter struct{ fields []string }

// split cuts text at the delimiter and puts prefix, if any, before what it got.
func (s *splitter) split(text string, delimiter byte, prefix ...string) []string {
	from := len(s.fields)
	s.fields = append(s.fields, prefix...)
	for {
		i := strings.IndexByte(text, delimiter)
		if i < 0 {
			break
		}
		s.fields = append(s.fields, text[:i])
		text = text[i+1:]
	}
	s.fields = append(s.fields, text)
	return s.fields[from:len(s.fields):len(s.fields)]
}

// split splits text at a delimiter; a delimiter of 0 is none.
func split(text string, delimiter byte) []string {
	if delimiter == 0 {
		return []string{text}
	}
	return strings.Split(text, string(rune(delimiter)))
}

// before returns what stands before a delimiter, and what stands after it.
func before(text string, delimiter byte) (head, rest string, found bool) {
	if delimiter == 0 {
		return text, "", false
	}
	if i := strings.IndexByte(text, delimiter); i >= 0 {
		return text[:i], text[i+1:], true
	}
	return text, "", false
}

// unescape resolves the escapes of either protocol.
func (d delimiters) unescape(text string) string {
	if d.escape == 0 || strings.IndexByte(text, d.escape) < 0 {
		return text
	}
	if !d.hl7 {
		return string(lis02.Unescape(nil, []byte(text), lis02.Delimiters{Field: d.field, Repeat: d.repeat, Component: d.component, Escape: d.escape}))
	}
	return string(hl7.Unescape(nil, []byte(text), hl7.Delimiters{Field: d.field, Component: d.component, Repeat: d.repeat, Escape: d.escape, Subcomponent: d.sub, Truncation: d.truncation}))
}

// location is a place in a message: R.3.4 is component 4 of field 3 of an R
// record, OBX.5 the whole of OBX-5, R.3.7+8 components 7 and 8 with a blank
// between. Field and components are 1-based; without components it is the whole
// field.
type location struct {
	record     string
	field      int
	components []int
}

func parseLocation(path string) (location, error) {
	parts := strings.Split(path, ".")
	at := location{record: parts[0]}
	if len(parts) < 2 || len(parts) > 3 || at.record == "" {
		if dotted := strings.Replace(path, "-", ".", 1); dotted != path {
			return location{}, fmt.Errorf("%q is no place in a message: write %s", path, dotted)
		}
		return location{}, fmt.Errorf("%q is no place in a message: write R.3 or R.3.4, OBX.3 or OBX.3.4", path)
	}
	if strings.Contains(at.record, "-") {
		return location{}, fmt.Errorf("%q is no place in a message: write %s", path, strings.Replace(path, "-", ".", 1))
	}
	numbers := parts[1:2]
	if len(parts) == 3 {
		numbers = append(slices.Clone(numbers), strings.Split(parts[2], "+")...)
	}
	for i, text := range numbers {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxField {
			return location{}, fmt.Errorf("%q is no place in a message: fields and components are counted from 1", path)
		}
		if i == 0 {
			at.field = n
		} else {
			at.components = append(at.components, n)
		}
	}
	return at, nil
}

// uncertain reports whether it is not certain that a sample's id stands at the
// place: in ASTM that is so everywhere but at the beginning of O-3.
func (at location) uncertain() bool {
	return at.record == "O" && (at.field != 3 || len(at.components) > 0 && at.components[0] > 1)
}

// in returns the text at the location in one record: escaped, of the first
// repeat where components are asked for.
func (at location) in(r record) string {
	if r.name != at.record {
		return ""
	}
	text := r.field(at.field)
	if len(at.components) == 0 || text == "" {
		return text
	}
	text, _, _ = before(text, r.d.repeat)
	joined := component(text, at.components[0], r.d)
	for _, n := range at.components[1:] {
		joined = strings.TrimSpace(joined + " " + component(text, n, r.d))
	}
	return joined
}

// component returns component n of a repeat; of one with subcomponents the
// first.
func component(text string, n int, d delimiters) string {
	part, more := "", true
	for range n {
		if !more {
			return ""
		}
		part, text, more = before(text, d.component)
	}
	part, _, _ = before(part, d.sub)
	return part
}

// first returns the first text that is not blank at one of the places, in the
// order of the places, then of the records; unescaped.
func first(records []record, places []location) string {
	for _, at := range places {
		for _, r := range records {
			if text := at.in(r); strings.TrimSpace(text) != "" {
				return r.d.unescape(text)
			}
		}
	}
	return ""
}
