package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/protocols/hl7"
	"github.com/assaygate/assaygate/protocols/lis02"
	"github.com/assaygate/assaygate/protocols/vendor"
)

type inspectRecords struct{ captureFiles }

// Run implements a kong command.
func (c *inspectRecords) Run(s *streams) error {
	return c.each(s, func(file string, list []capturefile.Transmission) error {
		var errs []error
		for _, t := range list {
			for _, m := range t.Messages() {
				fmt.Fprintf(s.out, "%s: %s, from byte %d\n", file, t.Protocol, t.At)
				if err := printRecords(s.out, t, m.Text); err != nil {
					errs = append(errs, fmt.Errorf("%s: byte %d: %w", file, t.At, err))
				}
			}
		}
		return errors.Join(errs...)
	})
}

// printRecords prints a message as far as it can be split.
func printRecords(out io.Writer, t capturefile.Transmission, text []byte) error {
	return splitRecords(t, text, func(l recordLine) bool {
		if l.depth == 0 {
			fmt.Fprintf(out, "  %s\n", l.place)
			return true
		}
		indent := 2 + 2*l.depth
		fmt.Fprintf(out, "%*s%-*s %s\n", indent, "", len(l.record)+4, l.place, readable(l.text))
		return true
	})
}

// recordLine is one line of a message that was taken apart: a record, a field of
// it that is not empty, or a part of that.
type recordLine struct {
	record string // H, OBX
	place  string // the record's name; R.4, OBX-5, R.3.4, and with repeats R.3[2].4
	depth  int    // 0 for a record, 1 for a field, 2 for its parts
	field  int    // the field's number
	text   []byte // byte for byte: nothing is unescaped
}

// splitRecords visits a message as far as it can be split, and until visit is told
// enough and returns false.
func splitRecords(t capturefile.Transmission, text []byte, visit func(recordLine) bool) error {
	switch t.Protocol {
	case capturefile.HL7:
		m, err := hl7.Parse(text)
		for _, segment := range m.Segments {
			d := segment.Delimiters
			p := fieldSplitter{visit: visit, name: segment.Name, separator: "-", delimiters: [3]byte{d.Repeat, d.Component, d.Subcomponent}}
			if !p.split(segment.Fields()[1:], segment.Name == "MSH") {
				return nil
			}
		}
		return err
	case capturefile.ASTM:
		m, err := lis02.Parse(text)
		for _, record := range m.Records {
			fields, d := record.Fields(), record.Delimiters
			p := fieldSplitter{visit: visit, name: readable(fields[0]), separator: ".", delimiters: [3]byte{d.Repeat, d.Component}}
			if !p.split(fields, record.Type == 'H') {
				return nil
			}
		}
		return err
	}
	packet, err := vendor.Parse(t.Format, inUTF8(text))
	p := fieldSplitter{visit: visit, separator: "."}
	joined := strings.NewReplacer(string(rune(vendor.Component)), "^", string(rune(vendor.Repeat)), `\`)
	for _, record := range packet.Records {
		fields := make([][]byte, len(record))
		for i, field := range record {
			fields[i] = []byte(joined.Replace(field))
		}
		p.name = record[0]
		if !p.split(fields, false) {
			return nil
		}
	}
	return err
}

// fieldSplitter visits the fields of one record or segment.
type fieldSplitter struct {
	visit           func(recordLine) bool
	name, separator string
	delimiters      [3]byte // of repeats, components and subcomponents; 0 is none
}

// split names each field that is not empty as errors do. Field 2 of a header is its
// delimiters.
func (p fieldSplitter) split(fields [][]byte, header bool) (more bool) {
	if !p.visit(recordLine{record: p.name, place: p.name}) {
		return false
	}
	for i, field := range fields {
		if len(field) == 0 {
			continue
		}
		name := fmt.Sprintf("%s%s%d", p.name, p.separator, i+1)
		if !p.line(1, i+1, name, field) {
			return false
		}
		if header && i < 2 {
			continue
		}
		repeats := strings.Split(string(field), p.delimiter(0))
		for n, repeat := range repeats {
			numbered := name
			if len(repeats) > 1 {
				numbered = fmt.Sprintf("%s[%d]", name, n+1)
			}
			if !p.parts(i+1, numbered, repeat, 1, len(repeats) > 1) {
				return false
			}
		}
	}
	return true
}

// parts visits the parts of a text that are not empty, and theirs. Text that has
// none is visited itself where whole says so.
func (p fieldSplitter) parts(field int, name, text string, level int, whole bool) (more bool) {
	if level == len(p.delimiters) || !strings.Contains(text, p.delimiter(level)) {
		return !whole || text == "" || p.line(2, field, name, []byte(text))
	}
	for i, part := range strings.Split(text, p.delimiter(level)) {
		if !p.parts(field, fmt.Sprintf("%s.%d", name, i+1), part, level+1, true) {
			return false
		}
	}
	return true
}

// delimiter is never found where it was not declared.
func (p fieldSplitter) delimiter(level int) string {
	if p.delimiters[level] == 0 {
		return "\xFF\xFF"
	}
	return string([]byte{p.delimiters[level]})
}

func (p fieldSplitter) line(depth, field int, place string, text []byte) bool {
	return p.visit(recordLine{p.name, place, depth, field, text})
}

// inUTF8 is text in UTF-8; bytes that are not such are taken for ISO 8859-1.
func inUTF8(text []byte) string {
	if utf8.Valid(text) {
		return string(text)
	}
	runes := make([]rune, len(text))
	for i, b := range text {
		runes[i] = rune(b)
	}
	return string(runes)
}

// readable is text that a terminal can show: control characters are written as
// their code.
func readable(text []byte) string {
	var out strings.Builder
	for _, r := range inUTF8(text) {
		if unicode.IsControl(r) {
			fmt.Fprintf(&out, "\\x%02X", r)
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}
