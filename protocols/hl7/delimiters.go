package hl7

import "bytes"

// Delimiters are the characters that MSH-1 and MSH-2 declare. One that is 0
// was not declared, and nothing is split by it.
type Delimiters struct {
	Field, Component, Repeat, Escape, Subcomponent byte
}

// DefaultDelimiters returns the recommended | ^ ~ \ &.
func DefaultDelimiters() Delimiters { return Delimiters{'|', '^', '~', '\\', '&'} }

// declared returns the delimiters of an MSH segment, and whether it is one.
// An empty MSH-2 means the recommended characters; where the field separator
// is one of them, | takes its place.
func declared(segment []byte) (Delimiters, bool) {
	d := DefaultDelimiters()
	if len(segment) < 4 || !bytes.HasPrefix(segment, []byte("MSH")) || !delimiter(segment[3]) {
		return d, false
	}
	d.Field = segment[3]
	chars, _, _ := bytes.Cut(segment[4:], segment[3:4])
	switch {
	case len(chars) == 0:
		for _, c := range []*byte{&d.Component, &d.Repeat, &d.Escape, &d.Subcomponent} {
			if *c == d.Field {
				*c = '|'
			}
		}
	case len(chars) == 3 && chars[2] == '&':
		// There are senders without an escape character; & is their fourth.
		d = Delimiters{d.Field, chars[0], chars[1], 0, '&'}
	default:
		d = Delimiters{d.Field, chars[0], at(chars, 1), at(chars, 2), at(chars, 3)}
	}
	return d, true
}

func at(b []byte, i int) byte {
	if i < len(b) {
		return b[i]
	}
	return 0
}

// delimiter reports whether c can be a field separator: neither letter nor
// digit nor blank nor control character.
func delimiter(c byte) bool {
	alphanumeric := '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
	return !alphanumeric && c > ' ' && c != 0x7F
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
