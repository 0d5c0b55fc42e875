package hl7

import "bytes"

// Delimiters are the characters that MSH-1 and MSH-2 declare. One that is 0
// was not declared, and nothing is split by it.
type Delimiters struct {
	Field, Component, Repeat, Escape, Subcomponent byte

	// Truncation marks a value that was cut off (version 2.7 and later). It has
	// no default.
	Truncation byte
}

// DefaultDelimiters returns the recommended | ^ ~ \ &.
func DefaultDelimiters() Delimiters {
	return Delimiters{Field: '|', Component: '^', Repeat: '~', Escape: '\\', Subcomponent: '&'}
}

// declared returns the delimiters of a segment of the given name that declares
// them (MSH, FHS or BHS), and whether it is one.
//
// An empty second field means the recommended characters, and so does one that
// begins with a letter, a digit or a blank: it is not a list of delimiters at
// all. Where the field separator is one of them, | takes its place.
func declared(name string, segment []byte) (Delimiters, bool) {
	d := DefaultDelimiters()
	if !declares(name, segment) {
		return d, false
	}
	d.Field = segment[3]
	chars, _, _ := bytes.Cut(segment[4:], segment[3:4])
	switch {
	case at(chars, 0) == 0:
		for _, c := range []*byte{&d.Component, &d.Repeat, &d.Escape, &d.Subcomponent} {
			if *c == d.Field {
				*c = '|'
			}
		}
	case string(chars) == `~\&`:
		// There are senders that leave the first character out, and use it.
	case len(chars) == 3 && chars[2] == '&':
		// There are senders without an escape character; & is their fourth.
		d.Component, d.Repeat, d.Escape, d.Subcomponent = chars[0], at(chars, 1), 0, '&'
	default:
		d.Component, d.Repeat, d.Escape, d.Subcomponent = chars[0], at(chars, 1), at(chars, 2), at(chars, 3)
		d.Truncation = at(chars, 4)
	}
	return d, true
}

// declares reports whether text begins with the given name, in whatever case,
// and a field separator.
func declares(name string, text []byte) bool {
	return len(text) > 3 && delimiter(text[3]) && named(name, text)
}

// named reports whether text begins with the given name, in whatever case.
func named(name string, text []byte) bool {
	return len(text) >= len(name) && bytes.EqualFold(text[:len(name)], []byte(name))
}

// at returns a declared delimiter. A letter or a blank in its place would tear
// common text apart, so it declares nothing.
func at(b []byte, i int) byte {
	if i < len(b) && delimiter(b[i]) {
		return b[i]
	}
	return 0
}

// delimiter reports whether c can be a delimiter: visible ASCII that is neither
// letter nor digit. A byte above that is half a character of the text.
func delimiter(c byte) bool { return c > ' ' && c < 0x7F && !alphanumeric(c) }

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

// Repetitions splits a field into its repetitions. A nil field has none. MSH-2
// is not to be split.
func Repetitions(field []byte, d Delimiters) [][]byte { return split(field, d.Repeat) }

// Components splits a repetition into its components.
func Components(repetition []byte, d Delimiters) [][]byte { return split(repetition, d.Component) }

// Subcomponents splits a component into its subcomponents.
func Subcomponents(component []byte, d Delimiters) [][]byte { return split(component, d.Subcomponent) }

func split(text []byte, by byte) [][]byte {
	switch {
	case text == nil:
		return nil
	case by == 0:
		return [][]byte{text}
	}
	return bytes.Split(text, []byte{by})
}
