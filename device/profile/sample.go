package profile

import (
	"slices"
	"strings"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// Edit replaces Length bytes at At by New.
type Edit struct {
	At, Length int
	New        []byte
}

// SampleEdits returns what to change in a message's text so that the sample
// called old is called replacement, at every place where the message's profile
// looks for the sample id, in order. The rest of each field stays, padding
// included. The replacement must hold no delimiter and nothing but printable
// ASCII, which every character set has. In a maker's own format the check sum
// does not fit afterwards.
func (s *Set) SampleEdits(m Raw, old, replacement string) (edits []Edit) {
	b := open(m)
	if len(b.records) == 0 {
		return nil
	}
	text, _ := decode(m.Text, b.charset)
	bytesBefore := func(i int) int { return len(encode(text[:i], b.charset)) }
	if string(encode(text, b.charset)) != string(m.Text) {
		// Bytes that the set does not have: then every byte is looked at as it
		// is, which is right wherever the delimiters are ASCII.
		text, bytesBefore = string(m.Text), func(i int) int { return i }
	}
	change := func(place span) {
		from := bytesBefore(place.from)
		edits = append(edits, Edit{At: from, Length: bytesBefore(place.to) - from, New: []byte(replacement)})
	}
	if m.Protocol == envelope.Vendor {
		for _, place := range s.samplePlaces(m, b.records, text) {
			if strings.TrimSpace(place.of(text)) == old {
				change(place)
			}
		}
		return edits
	}
	p, _ := s.recognise(m.Protocol, m.Profile, b.records)
	d := b.records[0].d
	for _, record := range spans(text, "\r\n") {
		fields := recordFields(text, record, d)
		name := strings.ToUpper(strings.TrimSpace(fields[0].of(text)))
		if m.Protocol == envelope.HL7 {
			fields = fields[1:] // field 1 follows the name
		}
		for _, at := range p.results[partSample] {
			if at.record != name || at.field > len(fields) {
				continue
			}
			place := at.within(text, fields[at.field-1], d).trimmed(text)
			if place.from == place.to || strings.TrimSpace(d.unescape(place.of(text))) != old {
				continue
			}
			change(place)
		}
	}
	slices.SortFunc(edits, func(a, b Edit) int { return a.At - b.At })
	return slices.CompactFunc(edits, func(a, b Edit) bool { return a.At == b.At })
}

// samplePlaces are the places of a packet or frame in a maker's own format where
// its profile looks for the sample id. One about no sample, such as a control's,
// has none.
func (s *Set) samplePlaces(m Raw, records []record, text string) (list []span) {
	if !slices.ContainsFunc(records, func(r record) bool { return r.name == "O" }) {
		return nil
	}
	p, _ := s.recognisePacket(m, records)
	for _, place := range vendor.Places(vendor.Format(m.Format), text) {
		component := max(place.Component, 1)
		if slices.ContainsFunc(p.results[partSample], func(at location) bool {
			return at.record == place.Record && at.field == place.Field && (len(at.components) == 0 && place.Component == 0 || len(at.components) > 0 && at.components[0] == component)
		}) {
			list = append(list, span{place.From, place.To})
		}
	}
	return list
}

// span is a part of a text.
type span struct{ from, to int }

func (s span) of(text string) string { return text[s.from:s.to] }

func (s span) trimmed(text string) span {
	s.from += len(s.of(text)) - len(strings.TrimLeft(s.of(text), " "))
	s.to -= len(s.of(text)) - len(strings.TrimRight(s.of(text), " "))
	return s
}

// cut returns the n-th part (from 0) between delimiters, which is empty where
// there is none. A delimiter of 0 is none.
func (s span) cut(text string, delimiter byte, n int) span {
	parts := split(s.of(text), delimiter)
	if n >= len(parts) {
		return span{s.to, s.to}
	}
	from := s.from
	for _, part := range parts[:n] {
		from += len(part) + 1
	}
	return span{from, from + len(parts[n])}
}

// spans cuts a text at any of the characters.
func spans(text, at string) (list []span) {
	for from := 0; from < len(text); {
		n := strings.IndexAny(text[from:], at)
		if n < 0 {
			n = len(text) - from
		}
		if n > 0 {
			list = append(list, span{from, from + n})
		}
		from += n + 1
	}
	return list
}

// recordFields cuts a record or segment into its fields; of a segment the first
// is its name.
func recordFields(text string, record span, d delimiters) (list []span) {
	from := record.from
	for _, part := range split(record.of(text), d.field) {
		list = append(list, span{from, from + len(part)})
		from += len(part) + 1
	}
	return list
}

// within is the part of a field that the location reads: see in.
func (at location) within(text string, field span, d delimiters) span {
	if len(at.components) == 0 {
		return field
	}
	return field.cut(text, d.repeat, 0).cut(text, d.component, at.components[0]-1).cut(text, d.sub, 0)
}
