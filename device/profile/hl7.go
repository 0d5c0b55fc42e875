package profile

import (
	"slices"
	"strings"

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
	fields := strings.Count(text, string(rune(d.field))) + 2*len(m.Segments)
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
		case s.Name == "MSH":
			r.fields = in.split(rest, d.field, line[3:4])
		case found:
			r.fields = in.split(rest, d.field)
		}
		records = append(records, r)
	}
	return records, nil
}

// layout is where specimen and order stand relative to OBR. It differs between
// structures (HL7 2.5.1 chapters 4 and 7: a specimen precedes its orders in
// OUL^R22 and OML^O33, and follows its order in ORU^R01, ORU^R30 and OUL^R24; ORC
// precedes its OBR, except in OUL^R22 to R24) and between makers, so it is taken
// from where they stand.
type layout struct {
	specimenFirst bool // the first SPM stands above the first OBR
	orderBehind   bool // the first ORC stands directly below an OBR
}

func layoutOf(records []record) layout {
	var l layout
	orders, seen := 0, false // OBR so far; an ORC
	for i, r := range records {
		switch r.name {
		case "OBR":
			orders++
		case "SPM":
			l.specimenFirst = l.specimenFirst || orders == 0
		case "ORC":
			l.orderBehind = l.orderBehind || !seen && i > 0 && records[i-1].name == "OBR"
			seen = true
		}
	}
	return l
}

// groupHL7 cuts a message at its OBR segments. Patient and specimen go with each
// of their orders; what else stands above an order with the first order below it
// only.
func groupHL7(records []record) []group {
	layout := layoutOf(records)
	var header, patient, specimen, loose []record
	var groups []group
	open, used := false, true // the last group takes more; all above it went with an order
	for _, r := range records {
		specimens := r.name == "SPM" && layout.specimenFirst
		unused := r.name == "PID" && patient != nil || specimens && specimen != nil ||
			(r.name == "PID" || r.name == "OBR" && !layout.specimenFirst) && hasResult(loose)
		if unused && !used {
			groups = append(groups, group{own: slices.Concat(patient, specimen, loose)})
			loose = nil
		}
		switch {
		case r.name == "MSH" || r.name == "SFT":
			header = append(header, r)
			continue
		case r.name == "OBR":
			groups = append(groups, group{own: append(slices.Concat(patient, specimen, loose), r)})
			loose, open, used = nil, true, true
			continue
		case r.name == "PID":
			patient, specimen, open = []record{r}, nil, false
		case specimens:
			specimen, open = []record{r}, false
		case r.name == "ORC" && !(layout.orderBehind && open):
			loose, open = append(loose, r), false
		case open:
			last := &groups[len(groups)-1]
			last.own = append(last.own, r)
			continue
		case r.name == "PV1" || r.name == "PD1":
			patient = append(patient, r)
		case (r.name == "SAC" || r.name == "INV") && specimen != nil:
			specimen = append(specimen, r)
		default:
			loose = append(loose, r)
		}
		used = false
	}
	if rest := slices.Concat(patient, specimen, loose); !used && len(rest) > 0 {
		groups = append(groups, group{own: rest})
	}
	return withShared(groups, header, nil)
}

// hasResult reports whether segments above an order hold a result, which must
// not become the next sample's. In OUL^R22 that is the specimen's own.
func hasResult(loose []record) bool {
	return slices.ContainsFunc(loose, func(r record) bool { return r.name == "OBX" })
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
