package profile

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/encoding"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/lis02"
)

// parseASTM splits a message into records. Where it has no header the standard
// delimiters are assumed and the error says so.
func parseASTM(text string) ([]record, error) {
	if tooMany(text) {
		return nil, errExcessive
	}
	m, err := lis02.Parse([]byte(text))
	fields := len(m.Records)
	for _, r := range m.Records {
		if fields += bytes.Count(r.Raw, []byte{r.Delimiters.Field}); fields > maxFields {
			return nil, errExcessive
		}
	}
	records := make([]record, 0, len(m.Records))
	in := splitter{make([]string, 0, fields)}
	for _, r := range m.Records {
		out := record{d: delimiters{
			field: r.Delimiters.Field, repeat: r.Delimiters.Repeat, component: r.Delimiters.Component, escape: r.Delimiters.Escape,
		}}
		out.fields = in.split(string(r.Raw), r.Delimiters.Field)
		out.name = strings.ToUpper(strings.TrimSpace(out.fields[0])) // some write it small
		records = append(records, out)
	}
	return records, err
}

// group is what one envelope is made of: the records all orders share, and
// those of one order.
type group struct {
	header, own, terminator []record
	kind                    envelope.Kind
	kinds                   []envelope.Kind // of its results, in their order
}

// all returns the group's records in the order of the message.
func (g group) all() []record { return slices.Concat(g.header, g.own, g.terminator) }

// groupASTM cuts a message at its O records. The patient's record goes with each
// of the patient's orders; comments and M records above an order with the first
// order below them only. What has no order at all is one group.
func groupASTM(records []record) []group {
	var header, terminator, patient, loose []record
	var groups []group
	ordered, open := false, false // this patient has an order; the last group takes more
	for _, r := range records {
		switch {
		case r.name == "H":
			header = append(header, r)
		case r.name == "L":
			terminator = append(terminator, r)
		case r.name == "P":
			if patient != nil && !ordered || standsAlone(loose) {
				groups = append(groups, group{own: slices.Concat(patient, loose)})
				loose = nil
			}
			patient, ordered, open = []record{r}, false, false
		case r.name == "O":
			if standsAlone(loose) {
				groups = append(groups, group{own: slices.Concat(patient, loose)})
				loose = nil
			}
			groups = append(groups, group{own: append(slices.Concat(patient, loose), r)})
			loose, ordered, open = nil, true, true
		case open:
			last := &groups[len(groups)-1]
			last.own = append(last.own, r)
		default:
			loose = append(loose, r)
		}
	}
	if rest := slices.Concat(patient, loose); !ordered && len(rest) > 0 {
		groups = append(groups, group{own: rest})
	}
	return withShared(groups, header, terminator)
}

// standsAlone reports whether records above an order are more than remarks: a
// result without an order must not become the next sample's.
func standsAlone(loose []record) bool {
	return slices.ContainsFunc(loose, func(r record) bool { return r.name == "R" })
}

// withShared gives each group what all share; a message of nothing else is one
// group.
func withShared(groups []group, header, terminator []record) []group {
	if groups == nil {
		groups = []group{{}}
	}
	for i := range groups {
		groups[i].header, groups[i].terminator = header, terminator
	}
	return groups
}

// astmMetadata shows a message as SENAITE's metadata do: its frames joined by
// LF, and their texts with the frame ends.
func astmMetadata(frames [][]byte, e encoding.Encoding) envelope.Metadata {
	var astm, lis2a strings.Builder
	for i, token := range frames {
		if i > 0 {
			astm.WriteByte('\n')
		}
		text, _ := decode(token, e)
		astm.WriteString(unmarked(text))
		if end := bytes.LastIndexAny(token, "\x03\x17"); end >= 2 {
			body, _ := decode(token[2:end+1], e)
			lis2a.WriteString(unmarked(body))
		}
	}
	return envelope.Metadata{ASTM: astm.String(), LIS2A: lis2a.String()}
}

// rebuild puts records into frames of their own, one a record, as a sender
// would that had sent only these.
func rebuild(records []record, e encoding.Encoding) (frames [][]byte, text []byte) {
	for i, r := range records {
		body := append(encode(r.text(), e), '\r')
		text = append(text, body...)
		frames = append(frames, lis01.AppendFrame(nil, lis01.Frame{Number: byte('0' + (i+1)%8), Text: body, End: true}))
	}
	return frames, text
}

// astmRecords sorts a group's records into the envelope's buckets. Letters
// that the contract has no bucket for are kept in the metadata.
func (rd *reader) astmRecords(records []record, e *envelope.Envelope) {
	var unmapped envelope.Object
	for _, r := range records {
		if bucket := bucketOf(&e.Records, r.name); bucket != nil {
			*bucket = append(*bucket, rd.object(r))
			continue
		}
		unmapped = appendUnmapped(unmapped, r.name, numbered(r))
	}
	if unmapped != nil {
		e.Metadata.Extra.Set("unmapped_records", unmapped)
	}
}

func bucketOf(records *envelope.Records, name string) *[]envelope.Object {
	if len(name) != 1 {
		return nil
	}
	return records.Bucket(name[0])
}

// appendUnmapped adds an object to the list under its name.
func appendUnmapped(o envelope.Object, name string, fields envelope.Object) envelope.Object {
	list, _ := o.Value(name).([]any)
	o.Set(name, append(list, fields))
	return o
}

// numbered gives a record's fields their numbers as names.
func numbered(r record) envelope.Object {
	return appendNumbered(make(envelope.Object, 0, len(r.fields)), r)
}

func appendNumbered(o envelope.Object, r record) envelope.Object {
	for i, text := range r.fields {
		o = append(o, envelope.Member{Key: strconv.Itoa(i + 1), Value: text})
	}
	return o
}
