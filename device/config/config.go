// Package config reads configuration files strictly and saves them safely. It
// knows no field: what a file may say is told by the Go values that it is
// decoded into.
//
// A value's keys are the `yaml` tags of its struct fields; a struct may be
// taken in with `yaml:",inline"`. Further tags narrow what a field takes:
//
//	required:"true"      the key must be there, and not empty
//	allowed:"none,even"  the texts that a string, or each of a list, may be
//	config:"size"        an int64 in bytes, written 2GiB, 64KiB, 512MiB or 4096
//
// A time.Duration is written 15s, 10m, 14d or 0. Types that implement
// yaml.Unmarshaler or encoding.TextUnmarshaler read themselves. A value that
// has a method SetDefaults() gets that called before it is filled, where the
// decoder made it: in lists, maps and behind pointers.
//
// Nothing is guessed: an unknown key, a key given twice or a key without a
// value is an error, because a misspelt restriction that is passed over would
// be no restriction. All errors are found at once, each with its line and
// column: those of the file's form, those of its values, and those that the
// Validate() error methods of the decoded structs find. These begin their
// errors with the key and a colon ("baud: 12 is not ..."), also with a path
// ("limits.frame: ..."), and may join several.
package config

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode"

	"gopkg.in/yaml.v3"
)

// Error is one thing that is wrong in a file.
type Error struct {
	// Source is the file's name, or what else set the value (a flag).
	Source string
	// Line and Column count from 1; both are 0 where there is no file.
	Line, Column int
	// Key is the path of the key, such as instruments[0].serial.baud; "" for
	// the file as a whole.
	Key string
	// Text says what is wrong and what would be right.
	Text string
}

// Error returns source:line:column: key: text.
func (e Error) Error() string {
	var b strings.Builder
	if e.Source != "" {
		b.WriteString(e.Source)
		if e.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", e.Line, e.Column)
		}
		b.WriteString(": ")
	}
	if e.Key != "" {
		b.WriteString(e.Key + ": ")
	}
	b.WriteString(e.Text)
	// Parts of it may be the file's: one line stays one line, and a terminal
	// gets no orders.
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, b.String())
}

// Errors are all things that are wrong, in the order of their places.
type Errors []Error

// Error returns one line for each.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives errors.As each of them.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// sorted orders by place, what has none last, and drops what is said twice.
func (e Errors) sorted() Errors {
	slices.SortStableFunc(e, func(a, b Error) int {
		switch {
		case (a.Line == 0) != (b.Line == 0):
			return b.Line - a.Line
		case a.Line != b.Line:
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	seen := make(map[Error]bool, len(e))
	return slices.DeleteFunc(e, func(one Error) bool {
		twice := seen[one]
		seen[one] = true
		return twice
	})
}

// MaxSize is the size in bytes from which on a file is refused.
const MaxSize = 1 << 20

// Document is a file whose form is right. It may be decoded more than once and
// changed before; it is not for use by several goroutines.
type Document struct {
	name   string
	root   *yaml.Node
	places map[*yaml.Node]place
}

// place is where a value stands: at its key, or in a list at itself.
type place struct {
	source       string
	line, column int
}

// Load reads the file. Its error is Errors where the file could be read.
func Load(path string) (*Document, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	document, errs := Parse(data, path)
	if errs != nil {
		return nil, errs
	}
	return document, nil
}

// Parse reads a file's content; name is what errors call it. The text is UTF-8
// with or without byte order mark, or UTF-16 with one, with LF or CRLF. A
// file with nothing in it is an error: it was cut off, or not saved yet.
func Parse(data []byte, name string) (*Document, Errors) {
	if len(data) > MaxSize {
		return nil, Errors{{Source: name, Line: 1, Column: 1, Text: fmt.Sprintf("the file has more than %d bytes; this cannot be a configuration", MaxSize)}}
	}
	text, bad := decodeText(data)
	if bad != nil {
		bad.Source = name
		return nil, Errors{*bad}
	}
	d := &Document{name: name, places: make(map[*yaml.Node]place)}
	root, bad := parseYAML(text)
	if bad != nil {
		bad.Source = name
		return nil, Errors{*bad}
	}
	if root == nil {
		return nil, Errors{{Source: name, Line: 1, Column: 1, Text: "there is nothing in this file; was it cut off, or not saved yet?"}}
	}
	var errs Errors
	if d.root, errs = d.grow(root); errs != nil {
		return nil, errs.sorted()
	}
	return d, nil
}

// Decode parses data and decodes it into what into points to, whose values hold
// where the file says nothing. It returns nil when all is right.
func Decode(data []byte, name string, into any) Errors {
	d, errs := Parse(data, name)
	if errs != nil {
		return errs
	}
	return d.Decode(into)
}
