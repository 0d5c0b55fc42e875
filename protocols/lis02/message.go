package lis02

import (
	"bytes"
	"errors"
	"iter"
)

// ErrNoHeader says that a message does not begin with a Header record.
var ErrNoHeader = errors.New("message does not begin with a header record")

// Message is one message. Its delimiters are those of its first Header record.
type Message struct {
	Delimiters
	Records []Record
}

// Record is one record, as it came but for its end and the blanks before it.
type Record struct {
	// Type is the record's letter: H, P, O, R, C, Q, M, S, L or any other byte.
	// It is 0 where field 1 is not a single character.
	Type       byte
	Raw        []byte
	Delimiters Delimiters // those that hold for this record
}

// Parse splits text, the joined texts of one message's frames, into records.
// They share text's memory.
//
// Without a Header record at the start the customary delimiters hold, and the
// error is [ErrNoHeader]; the Message is filled all the same.
func Parse(text []byte) (Message, error) {
	m := Message{Delimiters: DefaultDelimiters()}
	// Each record costs many times its bytes in memory, so room is made for no
	// more than there are.
	n := 0
	for range delimited(text) {
		n++
	}
	m.Records = make([]Record, 0, n)
	var err error
	for raw, d := range delimited(text) {
		if len(m.Records) == 0 {
			_, header := headerDelimiters(raw)
			m.Delimiters = d
			if !header {
				err = ErrNoHeader
			}
		}
		m.Records = append(m.Records, Record{Type: recordType(raw, d.Field), Raw: raw, Delimiters: d})
	}
	if len(m.Records) == 0 {
		err = ErrNoHeader
	}
	return m, err
}

// delimited returns the records of a text with the delimiters that hold for
// each.
func delimited(text []byte) iter.Seq2[[]byte, Delimiters] {
	return func(yield func([]byte, Delimiters) bool) {
		d, first := DefaultDelimiters(), true
		for raw := range records(text) {
			if opensMessage(raw, d.Field, first) {
				d, _ = headerDelimiters(raw)
			}
			first = false
			if !yield(raw, d) {
				return
			}
		}
	}
}

// Append appends m's records to dst, each with its CR.
func Append(dst []byte, m Message) []byte {
	for _, r := range m.Records {
		dst = append(append(dst, r.Raw...), cr)
	}
	return dst
}

// Field returns field n, counted from 1, the type letter. In a Header record
// field 2 is the definition of the delimiters. A field that was not sent is
// nil; one that was sent empty is not. The caller does not change it.
func (r Record) Field(n int) []byte {
	if n < 1 {
		return nil
	}
	rest, by := r.Raw, []byte{r.Delimiters.Field}
	for {
		field, after, more := bytes.Cut(rest, by)
		switch n--; {
		case n == 0:
			return field[:len(field):len(field)]
		case !more:
			return nil
		}
		rest = after
	}
}

// Fields returns all fields; element 0 is field 1.
func (r Record) Fields() [][]byte { return bytes.Split(r.Raw, []byte{r.Delimiters.Field}) }

// Repeats returns the repeats of field n.
func (r Record) Repeats(n int) [][]byte { return Repeats(r.Field(n), r.Delimiters) }

// recordType returns the single character of the first field, a letter as a
// capital one, or 0.
func recordType(record []byte, field byte) byte {
	if len(record) == 0 || record[0] == field {
		return 0
	}
	if rest := trim(record[1:]); len(rest) == 0 || rest[0] == field {
		return capital(record[0])
	}
	return 0
}

// terminator reports whether a record is a Terminator record. It looks at no
// more than it needs, for it is asked again while a record grows.
func terminator(record []byte, field byte) bool {
	return len(record) > 0 && capital(record[0]) == 'L' && recordType(record, field) == 'L'
}

// capital makes a letter a capital one: some senders write record types small.
func capital(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
