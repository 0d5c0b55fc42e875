package profile

import (
	"slices"
	"strings"
	"time"

	"golang.org/x/text/encoding"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/lis02"
)

// Query is what the Query records of an ASTM message ask, as text.
type Query struct {
	Samples []string // specimen ids, without blanks around them; none where it asks for all
	Tests   []string // codes; none where it asks for all
	Raw     string   // Q-3 of the first record, as sent
	Cancel  bool     // it takes back the query before it (Q-13 is A)

	asked     lis02.Query
	specimens [][]byte // as sent, for an answer to repeat
	tests     [][]byte
	charset   encoding.Encoding
	zone      *time.Location
}

// Order is what a worklist has for a sample.
type Order struct {
	Sample   string
	Patient  string   // the practice's patient id; may be ""
	Tests    []string // codes
	Priority string   // R, S ...; may be ""
}

// longestQuery bounds what is taken apart to find what it asks: each record costs
// many times its size in memory.
const longestQuery = 256 << 10

// Query returns what an ASTM message asks; found is false where it asks nothing,
// has no header, or is longer than any query. It never fails over a message.
func (s *Set) Query(m Raw) (q Query, found bool) {
	defer func() {
		if recover() != nil {
			q, found = Query{}, false // the message itself is kept all the same
		}
	}()
	if m.Protocol != envelope.ASTM || len(m.Text) > longestQuery || !lis02.Asks(m.Text) {
		return Query{}, false
	}
	p, _ := s.recognise(m.Protocol, m.Profile, headerOf(m.Protocol, m.Text))
	if m.Charset == "" {
		m.Charset = p.charset
	}
	charset, _ := m.encoding() // its problem is the envelope's
	text, _ := decode(m.Text, charset)
	parsed, _ := lis02.Parse([]byte(text))
	asked, found := lis02.ParseQuery(parsed)
	if !found {
		return Query{}, false
	}
	q = Query{Raw: unmarked(string(asked.Asked[0].Field(3))), Cancel: asked.Canceled(), asked: asked, charset: charset, zone: m.Zone}
	for _, r := range asked.Asked {
		q.add(r, p.specimenAt())
	}
	return q, true
}

// add adds what one Query record asks for.
func (q *Query) add(r lis02.Record, specimenAt int) {
	for _, id := range r.Repeats(3) {
		if id = wanted(lis02.Components(id, r.Delimiters), specimenAt); id != nil {
			q.specimens = append(q.specimens, id)
			q.Samples = append(q.Samples, plainText(id, r.Delimiters))
		}
	}
	for _, test := range r.Repeats(5) {
		if code := wanted(lis02.Components(test, r.Delimiters), testAt); code != nil {
			q.tests = append(q.tests, test)
			q.Tests = append(q.Tests, plainText(code, r.Delimiters))
		}
	}
}

// Places in, counted from 0: patient^specimen and ^^^code.
const (
	specimenAt = 1
	testAt     = 3
)

// specimenAt is the component of Q-3 that the profile calls sample_id, else the
// standard's.
func (p *profile) specimenAt() int {
	if fields := p.fields["Q"]; len(fields) > 3 && fields[3] != nil {
		if i := slices.IndexFunc(fields[3].components, func(f *field) bool { return f != nil && f.name == "sample_id" }); i >= 0 {
			return i
		}
	}
	return specimenAt
}

// wanted is the component at a place, or where it is blank the first that is
// not; nil where there is none, or where it says ALL.
func wanted(components [][]byte, at int) []byte {
	blank := func(text []byte) bool { return strings.TrimSpace(string(text)) == "" }
	if at >= len(components) || blank(components[at]) {
		at = slices.IndexFunc(components, func(c []byte) bool { return !blank(c) })
	}
	if at < 0 || strings.EqualFold(strings.TrimSpace(string(components[at])), "ALL") {
		return nil
	}
	return components[at]
}

// plainText is a component for a program: unescaped, without blanks around it.
func plainText(text []byte, d lis02.Delimiters) string {
	return strings.TrimSpace(unmarked(string(lis02.Unescape(nil, text, d))))
}

// NoInformation is the text of the answer that there is no information: H, L|1|I.
func (q Query) NoInformation(at time.Time) []byte {
	return q.answer(at, nil, lis02.NoInformation)
}

// NoOrder is the text of the answer that there is no order for each of the
// samples (O-26 is Y). A query that names none gets NoInformation.
func (q Query) NoOrder(at time.Time) []byte {
	if len(q.specimens) == 0 {
		return q.NoInformation(at)
	}
	orders := make([]lis02.Order, len(q.specimens))
	for i, id := range q.specimens {
		orders[i] = lis02.Order{Specimen: id, Tests: q.tests, Report: lis02.ReportNoOrder}
	}
	return q.answer(at, orders, lis02.Processed)
}

// Answer is the text of the answer with the orders that were found.
func (q Query) Answer(at time.Time, found []Order) []byte {
	d := q.asked.Header.Delimiters
	escaped := func(text string) []byte { return lis02.AppendEscaped(nil, []byte(text), d) }
	orders := make([]lis02.Order, len(found))
	for i, o := range found {
		orders[i] = lis02.Order{
			Patient: escaped(o.Patient), Specimen: escaped(o.Sample), Priority: escaped(o.Priority),
			Action: 'N', Report: lis02.ReportQuery,
		}
		for _, test := range o.Tests {
			id := escaped(test)
			if c := d.Component; c != 0 {
				id = append([]byte{c, c, c}, id...)
			}
			orders[i].Tests = append(orders[i].Tests, id)
		}
	}
	return q.answer(at, orders, lis02.Processed)
}

// answer is a message in the query's character set that frames can carry. Its
// time is on the instrument's clock.
func (q Query) answer(at time.Time, orders []lis02.Order, code byte) []byte {
	at = at.Local()
	if q.zone != nil {
		at = at.In(q.zone)
	}
	text := lis02.AppendAnswer(nil, q.asked, at.Format(timeLayout), orders, code)
	return lis01.Clean(encode(string(text), q.charset))
}
