package lis02

import (
	"bytes"
	"iter"
)

const (
	cr = '\r'
	lf = '\n'
)

// recordEnd returns what ends text's records: CR, or LF where there is no CR.
func recordEnd(text []byte) byte {
	if bytes.IndexByte(text, cr) < 0 {
		return lf
	}
	return cr
}

// finder finds where the records of a text end. The text may grow at its end
// between calls; each byte is looked at once for each of the two ends.
type finder struct {
	end   byte // what ends records
	field byte // the field delimiter of the last Header record
	begun bool // there was a record
	start int  // where the record begins that is looked at
	lead  int  // from there up to here are blanks
	mark  int  // up to here there is no end
	seen  int  // up to here no LF ends the record
}

func newFinder(end byte) finder { return finder{end: end, field: DefaultDelimiters().Field} }

// next returns the record that begins at start, without the blanks before it,
// as far as it is there, and where the one behind it begins. While it has no end
// ended is false.
func (f *finder) next(text []byte) (record []byte, after int, ended bool) {
	if f.mark = max(f.mark, f.start); f.mark < len(text) {
		if i := bytes.IndexByte(text[f.mark:], f.end); i >= 0 {
			f.mark += i
		} else {
			f.mark = len(text)
		}
	}
	if f.lead = max(f.lead, f.start); f.lead < f.mark {
		f.lead = f.mark - len(trim(text[f.lead:f.mark]))
	}
	record, after = text[f.lead:f.mark], min(f.mark+1, len(text))
	if opensMessage(record, f.field, !f.begun) {
		f.field = record[1]
	}
	f.seen = max(f.seen, f.start)
	for f.end == cr && f.seen < f.mark {
		i := bytes.IndexByte(text[f.seen:f.mark], lf)
		if i < 0 {
			f.seen = f.mark
			break
		}
		at := f.seen + i
		opens, sure := opensRecord(text[at+1:], f.field)
		if opens {
			return text[min(f.lead, at):at], at + 1, true
		}
		if f.seen = at; !sure { // the next frame tells
			break
		}
		f.seen++
	}
	return record, after, f.mark < len(text)
}

// pass goes on to the record behind the one that next gave.
func (f *finder) pass(record []byte, after int) {
	f.begun, f.start = f.begun || len(record) > 0, after
}

// records returns the records of a whole text that hold anything, without the
// blanks before them.
func records(text []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		f := newFinder(recordEnd(text))
		for f.start < len(text) {
			record, after, _ := f.next(text)
			if len(record) > 0 && !yield(record) {
				return
			}
			f.pass(record, after)
		}
	}
}

// OpensRecord reports whether text, which stands behind an LF in a message whose
// records CR ends, can only be a record, so that the LF ended the one before it:
// there are senders that mix both. It asks for a letter of the standard, the
// field delimiter, and the sequence number; a Terminator may lack that, and a
// Header has delimiters there. A value of several lines may well end in one
// letter, a blood group's.
func OpensRecord(text []byte, field byte) bool {
	opens, _ := opensRecord(text, field)
	return opens
}

// opensRecord is OpensRecord for a text that may grow: where it is too short to
// tell, sure is false.
func opensRecord(text []byte, field byte) (opens, sure bool) {
	switch {
	case len(text) > 0 && !standard(text[0]), len(text) > 1 && text[1] != field:
		return false, true
	case len(text) < 3:
		return false, false
	}
	switch c := text[2]; capital(text[0]) {
	case 'H':
		return delimiter(c), true
	case 'L':
		return c == field || '0' <= c && c <= '9', true
	default:
		return '0' <= c && c <= '9', true
	}
}

// standard reports whether a record type is one of the standard's.
func standard(c byte) bool { return bytes.IndexByte([]byte("HPORCMLQS"), capital(c)) >= 0 }

// trim cuts off what may stand before a record: blanks, and the LF of senders
// that end records in CR LF.
func trim(record []byte) []byte { return bytes.TrimLeft(record, " \t\n\x00") }
