package lis02

import (
	"bytes"
	"strconv"
)

// Codes of a Terminator record (L-3) that end the answer to a query.
const (
	NoInformation = 'I' // there is none about what the last query asked for
	Processed     = 'F' // the last query was processed
)

// Report types of an Order record (O-26) in the answer to a query.
const (
	ReportQuery   = 'Q' // answer to a query
	ReportNoOrder = 'Y' // there is no order for this specimen
)

// Query is a message that asks: its Header record and its Query records. One
// query is open at a time, a later one takes the place of an earlier.
type Query struct {
	Header Record
	Asked  []Record
}

// Asks reports whether text has a Query record.
func Asks(text []byte) bool {
	field := fieldDelimiter(text)
	for record := range records(text) {
		if recordType(record, field) == 'Q' {
			return true
		}
	}
	return false
}

// ParseQuery returns what a message asks. There is none without a Header
// record, which tells the delimiters of an answer and whom it is for.
func ParseQuery(m Message) (q Query, found bool) {
	if len(m.Records) == 0 || m.Records[0].Type != 'H' {
		return Query{}, false
	}
	q.Header = m.Records[0]
	for _, r := range m.Records {
		if r.Type == 'Q' {
			q.Asked = append(q.Asked, r)
		}
	}
	return q, len(q.Asked) > 0
}

// Canceled reports whether the query takes back the one before it: status A in
//
func (q Query) Canceled() bool {
	for _, r := range q.Asked {
		if status := bytes.TrimSpace(r.Field(13)); len(status) == 1 && capital(status[0]) == 'A' {
			return true
		}
	}
	return false
}

// Order is an order in the answer to a query. Its texts are as they go onto the
// wire: escaped, with the query's delimiters.
type Order struct {
	Patient  []byte   // P-3, the practice's patient id
	Specimen []byte   // O-3
	Tests    [][]byte // the repeats of O-5
	Priority []byte   // O-6
	Action   byte     // O-12; 0 for none
	Report   byte     // O-26
}

// AppendAnswer appends the text of the message that answers q to dst: H, for
// each order P and O, and L with the given code. The delimiters are those of the
// query, its sender and receiver change places, processing id and version are
// its own. Now is the message's time, YYYYMMDDHHMMSS on the instrument's clock.
func AppendAnswer(dst []byte, q Query, now string, orders []Order, code byte) []byte {
	d := q.Header.Delimiters
	header := make([][]byte, 14)
	header[0], header[1], header[13] = []byte{'H'}, q.Header.Field(2), []byte(now)
	header[4], header[9] = q.Header.Field(10), q.Header.Field(5)
	header[11], header[12] = q.Header.Field(12), q.Header.Field(13)
	dst = appendRecord(dst, d, header)
	n := 0
	for _, order := range orders {
		for _, tests := range perRecord(order.Tests, d) {
			n++
			patient := [][]byte{{'P'}, strconv.AppendInt(nil, int64(n), 10), order.Patient}
			fields := make([][]byte, 26)
			fields[0], fields[1], fields[2], fields[4], fields[5] = []byte{'O'}, []byte{'1'}, order.Specimen, tests, order.Priority
			if order.Action != 0 {
				fields[11] = []byte{order.Action}
			}
			fields[25] = []byte{order.Report}
			dst = appendRecord(appendRecord(dst, d, patient), d, fields)
		}
	}
	return appendRecord(dst, d, [][]byte{{'L'}, {'1'}, {code}})
}

// perRecord are the tests of each Order record: all in one, unless the header
// declared no repeat delimiter.
func perRecord(tests [][]byte, d Delimiters) [][]byte {
	switch {
	case len(tests) == 0:
		return [][]byte{nil}
	case d.Repeat == 0:
		return tests
	}
	return [][]byte{bytes.Join(tests, []byte{d.Repeat})}
}

// appendRecord appends a record without the empty fields at its end.
func appendRecord(dst []byte, d Delimiters, fields [][]byte) []byte {
	for len(fields) > 0 && len(fields[len(fields)-1]) == 0 {
		fields = fields[:len(fields)-1]
	}
	for i, field := range fields {
		if i > 0 {
			dst = append(dst, d.Field)
		}
		dst = append(dst, field...)
	}
	return append(dst, cr)
}

// AppendEscaped appends text to dst with the delimiters in it escaped, so that
// [Unescape] gives it back. Control characters are left out, and so is a
// delimiter where the header declared no escape delimiter.
func AppendEscaped(dst, text []byte, d Delimiters) []byte {
	for _, c := range text {
		letter := byte(0)
		switch {
		case c < ' ' || c == 0x7F:
			continue
		case c == d.Field:
			letter = 'F'
		case c == d.Component:
			letter = 'S'
		case c == d.Repeat:
			letter = 'R'
		case c == d.Escape:
			letter = 'E'
		}
		switch {
		case letter == 0:
			dst = append(dst, c)
		case d.Escape != 0:
			dst = append(dst, d.Escape, letter, d.Escape)
		}
	}
	return dst
}
