package lis02

import (
	"bytes"
	"errors"
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
	end := recordEnd(text)
	m.Records = make([]Record, 0, countRecords(text, end))
	var err error
	d := m.Delimiters
	for line := range bytes.SplitSeq(text, []byte{end}) {
		raw := trim(line)
		if len(raw) == 0 {
			continue
		}
		first := len(m.Records) == 0
		declared, header := headerDelimiters(raw)
		if header && (first || laterHeader(raw, d.Field)) {
			d = declared
		}
		if first {
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

// countRecords counts the records that are not empty. Each costs many times
// its bytes in memory, so room is made for no more than there are.
func countRecords(text []byte, end byte) int {
	n := 0
	for line := range bytes.SplitSeq(text, []byte{end}) {
		if len(trim(line)) > 0 {
			n++
		}
	}
	return n
}

// trim cuts off what may stand before a record: blanks, and the LF of senders
// that end records in CR LF.
func trim(record []byte) []byte { return bytes.TrimLeft(record, " \t\n\x00") }

// recordType returns the single character of the first field, a letter as a
// capital one, or 0.
func recordType(record []byte, field byte) byte {
	if first, _, _ := bytes.Cut(record, []byte{field}); len(bytes.TrimRight(first, " \t\n\x00")) == 1 {
		return capital(first[0])
	}
	return 0
}

// capital makes a letter a capital one: some senders write record types small.
func capital(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
