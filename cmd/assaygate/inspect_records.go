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
	switch t.Protocol {
	case capturefile.HL7:
		m, err := hl7.Parse(text)
		for _, segment := range m.Segments {
			d := segment.Delimiters
			p := fieldPrinter{out: out, name: segment.Name, separator: "-", delimiters: [3]byte{d.Repeat, d.Component, d.Subcomponent}}
			p.print(segment.Fields()[1:], segment.Name == "MSH")
		}
		return err
	case capturefile.ASTM:
		m, err := lis02.Parse(text)
		for _, record := range m.Records {
			fields, d := record.Fields(), record.Delimiters
			p := fieldPrinter{out: out, name: readable(fields[0]), separator: ".", delimiters: [3]byte{d.Repeat, d.Component}}
			p.print(fields, record.Type == 'H')
		}
		return err
	}
	packet, err := vendor.Parse(t.Format, inUTF8(text))
	p := fieldPrinter{out: out, separator: "."}
	joined := strings.NewReplacer(string(rune(vendor.Component)), "^", string(rune(vendor.Repeat)), `\`)
	for _, record := range packet.Records {
		fields := make([][]byte, len(record))
		for i, field := range record {
			fields[i] = []byte(joined.Replace(field))
		}
		p.name = record[0]
		p.print(fields, false)
	}
	return err
}

// fieldPrinter prints the fields of one record or segment.
type fieldPrinter struct {
	out             io.Writer
	name, separator string
	delimiters      [3]byte // of repeats, components and subcomponents; 0 is none
}

// print names each field that is not empty as errors do: R.4, OBX-5. Below it
// stand its parts, R.3.4 and with repeats R.3[2].4, byte for byte: nothing is
// unescaped. Field 2 of a header is its delimiters.
func (p fieldPrinter) print(fields [][]byte, header bool) {
	fmt.Fprintf(p.out, "  %s\n", p.name)
	for i, field := range fields {
		if len(field) == 0 {
			continue
		}
		name := fmt.Sprintf("%s%s%d", p.name, p.separator, i+1)
		p.line(4, name, field)
		if header && i < 2 {
			continue
		}
		repeats := strings.Split(string(field), p.delimiter(0))
		for n, repeat := range repeats {
			numbered := name
			if len(repeats) > 1 {
				numbered = fmt.Sprintf("%s[%d]", name, n+1)
			}
			p.parts(6, numbered, repeat, 1, len(repeats) > 1)
		}
	}
}

// parts prints the parts of a text that are not empty, and theirs. Text that has
// none is printed itself where whole says so.
func (p fieldPrinter) parts(indent int, name, text string, level int, whole bool) {
	if level == len(p.delimiters) || !strings.Contains(text, p.delimiter(level)) {
		if whole && text != "" {
			p.line(indent, name, []byte(text))
		}
		return
	}
	for i, part := range strings.Split(text, p.delimiter(level)) {
		p.parts(indent, fmt.Sprintf("%s.%d", name, i+1), part, level+1, true)
	}
}

// delimiter is never found where it was not declared.
func (p fieldPrinter) delimiter(level int) string {
	if p.delimiters[level] == 0 {
		return "\xFF\xFF"
	}
	return string([]byte{p.delimiters[level]})
}

func (p fieldPrinter) line(indent int, name string, text []byte) {
	fmt.Fprintf(p.out, "%*s%-*s %s\n", indent, "", len(p.name)+4, name, readable(text))
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
