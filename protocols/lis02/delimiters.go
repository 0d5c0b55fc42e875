package lis02

import "bytes"

// Delimiters are the four characters that a Header record declares. A repeat,
// component or escape of 0 was not declared, and nothing is split by it.
type Delimiters struct {
	Field, Repeat, Component, Escape byte
}

// DefaultDelimiters returns the customary | \ ^ &.
func DefaultDelimiters() Delimiters { return Delimiters{'|', '\\', '^', '&'} }

// headerDelimiters returns what a Header record declares, and whether it is a
// Header record at all. One that names a field delimiter and nothing more has
// the customary ones for the rest.
//
// A doubled first character (`H|\\^&`) is an artefact of software that escaped
// the record once too often; records are split as if it said `\^&`. Where ^ comes
// first it is the component delimiter all the same, and the repeat delimiter is
// the one after it: nobody repeats with ^. So `H|^~\&`, HL7's characters, has
// repeat ~ and escape \, and `H|^\&` repeat \ and escape &. Characters after the
// fourth are ignored.
func headerDelimiters(record []byte) (Delimiters, bool) {
	d := DefaultDelimiters()
	if len(record) < 2 || capital(record[0]) != 'H' || !delimiter(record[1]) {
		return d, false
	}
	d.Field = record[1]
	declared, _, _ := bytes.Cut(record[2:], record[1:2])
	if len(declared) > 1 && declared[0] == declared[1] {
		declared = declared[1:]
	}
	if len(declared) == 0 || !delimiter(declared[0]) {
		return d, true
	}
	d.Repeat, d.Component, d.Escape = declared[0], at(declared, 1), at(declared, 2)
	if d.Repeat == '^' {
		d.Repeat, d.Component = d.Component, d.Repeat
	}
	return d, true
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
// letter nor digit.
func delimiter(c byte) bool {
	return '!' <= c && c <= '~' && !('0' <= c && c <= '9') && !('A' <= c && c <= 'Z') && !('a' <= c && c <= 'z')
}

// Repeats splits a field into its repeats. A nil field has none.
func Repeats(field []byte, d Delimiters) [][]byte { return split(field, d.Repeat) }

// Components splits a repeat into its components. A nil repeat has none.
func Components(repeat []byte, d Delimiters) [][]byte { return split(repeat, d.Component) }

func split(text []byte, by byte) [][]byte {
	switch {
	case text == nil:
		return nil
	case by == 0:
		return [][]byte{text}
	}
	return bytes.Split(text, []byte{by})
}
