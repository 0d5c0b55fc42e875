package profile

import (
	"bytes"
	"slices"
	"strconv"
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
		sub: m.Delimiters.Subcomponent, escape: m.Delimiters.Escape, hl7: true,
	}
	records := make([]record, 0, len(m.Segments))
	fields := 0
	for _, s := range m.Segments {
		if fields += bytes.Count(s.Raw, []byte{d.field}); fields > maxFields {
			return nil, errExcessive
		}
		out := record{name: s.Name, d: d}
		for _, f := range s.Fields()[1:] {
			out.fields = append(out.fields, string(f))
		}
		records = append(records, out)
	}
	return records, nil
}

// groupHL7 cuts a message at its OBR segments (HL7 2.5.1 chapters 4 and 7).
// Patient and specimen go with each of their orders; what else stands above an
// order with the first order below it only. A specimen precedes its orders,
// except in ORU^R01, where it follows; ORC precedes its OBR, except in OUL^R22.
func groupHL7(records []record) []group {
	event := ""
	if len(records) > 0 {
		event = location{record: "MSH", field: 9, component: 2}.in(records[0])
	}
	var header, patient, specimen, loose []record
	var groups []group
	open, used := false, true // the last group takes more; all above it went with an order
	for _, r := range records {
		specimens := r.name == "SPM" && event != "R01" && event != ""
		unused := r.name == "PID" && patient != nil || specimens && specimen != nil ||
			(r.name == "PID" || r.name == "OBR" && event != "R22") && hasResult(loose)
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
		case r.name == "ORC" && (event != "R22" || !open):
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

// hl7Metadata shows segments as SENAITE's metadata do: ended by CR but for the
// last.
func hl7Metadata(records []record) envelope.Metadata {
	return envelope.Metadata{HL7: hl7Text(records)}
}

func hl7Text(records []record) string {
	texts := make([]string, len(records))
	for i, r := range records {
		texts[i] = r.text()
	}
	return strings.Join(texts, "\r")
}

// hl7Records sorts a group's segments into the envelope's buckets: numeric keys
// as senaite.astm has them, and the names of ASTM records beside them.
func (rd *reader) hl7Records(g group, e *envelope.Envelope) {
	var unmapped envelope.Object
	for _, r := range g.all() {
		letter := rd.profile.Buckets[r.name]
		bucket := bucketOf(&e.Records, letter)
		if bucket == nil {
			unmapped = appendUnmapped(unmapped, r.name, numbered(r))
			continue
		}
		o := append(numbered(r), envelope.Member{Key: "type", Value: letter})
		fields := rd.profile.fields[r.name]
		for n := 1; n <= rd.profile.last[r.name]; n++ {
			if f := fields[n]; f != nil {
				o = append(o, envelope.Member{Key: f.Name, Value: rd.value(f, r.field(n), r.d, r.name+"-"+strconv.Itoa(n))})
			}
		}
		*bucket = append(*bucket, o)
	}
	if unmapped != nil {
		e.Metadata.Extra.Set("unmapped_segments", unmapped)
	}
}
