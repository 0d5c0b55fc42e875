package profile

import (
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/hl7"
)

// parseHL7 splits a message into segments.
func parseHL7(text string) ([]record, error) {
	if tooMany(text) {
		return nil, errExcessive
	}
	m, err := hl7.Parse([]byte(text))
	if err != nil {
		return nil, err
	}
	d := delimiters{
		field: m.Delimiters.Field, repeat: m.Delimiters.Repeat, component: m.Delimiters.Component,
		sub: m.Delimiters.Subcomponent, escape: m.Delimiters.Escape, truncation: m.Delimiters.Truncation, hl7: true,
	}
	fields := count(text, d.field) + 2*len(m.Segments)
	if fields > maxFields {
		return nil, errExcessive
	}
	records := make([]record, 0, len(m.Segments))
	in := splitter{make([]string, 0, fields)}
	for _, s := range m.Segments {
		r := record{name: s.Name, d: d}
		line := string(s.Raw)
		_, rest, found := before(line, d.field)
		switch {
		case s.Name == "MSH" && len(line) > len(s.Name):
			r.fields = in.split(rest, d.field, line[3:4])
		case found:
			r.fields = in.split(rest, d.field)
		}
		records = append(records, r)
	}
	return records, nil
}

// hl7Text shows segments as SENAITE's metadata do: ended by CR but for the
// last.
func hl7Text(records []record) string {
	size := 0
	for _, r := range records {
		size += len(r.name) + 1
		for _, f := range r.fields {
			size += len(f) + 1
		}
	}
	text := make([]byte, 0, size)
	for i, r := range records {
		if i > 0 {
			text = append(text, '\r')
		}
		text = r.appendTo(text)
	}
	return string(text)
}

// hl7Records sorts a group's segments into the envelope's buckets: numeric keys
// as senaite.astm has them, and the names of ASTM records beside them. Segments
// without a bucket are in the metadata.
func (rd *reader) hl7Records(records []record, e *envelope.Envelope) {
	var unmapped envelope.Object
	for _, r := range records {
		o := rd.segment(r)
		if bucket := bucketOf(&e.Records, rd.profile.buckets[r.name]); bucket != nil {
			*bucket = append(*bucket, o)
		} else {
			unmapped = appendUnmapped(unmapped, r.name, o)
		}
	}
	if unmapped != nil {
		e.Metadata.Extra.Set("unmapped_segments", unmapped)
	}
}

// segment gives a segment's fields their numbers, and those of the definition
// their names.
func (rd *reader) segment(r record) envelope.Object {
	named := rd.profile.fields[r.name]
	o := appendNumbered(make(envelope.Object, 0, len(r.fields)+1+len(named)), r)
	if letter := rd.profile.buckets[r.name]; letter != "" {
		o = append(o, envelope.Member{Key: "type", Value: letter})
	}
	for n, f := range named {
		switch {
		case f == nil:
		case r.name == "OBX" && n == obxValue && encapsulated(r):
			o = append(o, envelope.Member{Key: f.name, Value: nil}) // once is enough for megabytes
		case f.plain() && n <= len(r.fields) && r.fields[n-1] != "":
			o = append(o, envelope.Member{Key: f.name, Value: o[n-1].Value})
		default:
			o = append(o, envelope.Member{Key: f.name, Value: rd.value(f, r.field(n), r.d)})
		}
	}
	return o
}
