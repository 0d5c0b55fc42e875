package profile

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/assaygate/assaygate/envelope"
)

// bases are the generic profiles that others are laid over.
type bases map[envelope.Protocol]*profile

// decodeDefinition reads one definition. Without bases it is a generic one.
func decodeDefinition(from source, over bases) (*profile, Mistakes) {
	d := &definition{document: document{file: from.file}, profile: &profile{generic: over == nil, own: from.own}}
	if root := d.root(from.text); root != nil {
		d.decode(root, over)
	}
	slices.SortStableFunc(d.mistakes, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return d.profile, d.mistakes
}

// definition is a file being read into a profile.
type definition struct {
	document
	*profile
	base *profile // nil for a generic one
}

func (d *definition) decode(root *yaml.Node, over bases) {
	// Name and protocol come first: what the rest may say depends on them.
	values := map[string]*yaml.Node{}
	keys := []string{"name", "protocol", "title", "version", "header_rx", "match", "quirks", "charset", "replace", "records", "plot", "results", "kinds"}
	if d.generic {
		keys = append(keys, "buckets", "names")
	}
	known := make([]key, len(keys))
	for i, name := range keys {
		known[i] = key{name, func(value *yaml.Node) { values[name] = value }}
	}
	d.mapping(root, "profile", known...)
	for _, name := range []string{"name", "protocol", "title"} {
		if values[name] == nil {
			d.fail(root, "%s: is missing", name)
		}
	}
	read := func(name string, into func(*yaml.Node)) {
		if n := values[name]; n != nil {
			into(n)
		}
	}
	read("name", func(n *yaml.Node) { d.name = d.nameOf(n) })
	read("protocol", func(n *yaml.Node) {
		d.protocol = envelope.Protocol(d.oneOf(n, "protocol", string(envelope.ASTM), string(envelope.HL7), string(envelope.Vendor)))
	})
	read("title", func(n *yaml.Node) { d.title = d.full(n, "title") })
	d.inherit(over[d.protocol])
	read("version", func(n *yaml.Node) { d.version = d.full(n, "version") })
	read("header_rx", func(n *yaml.Node) { d.headerRx = d.full(n, "header_rx") })
	read("match", d.readMatch)
	read("quirks", d.readQuirks)
	read("charset", d.readCharset)
	read("buckets", func(n *yaml.Node) {
		d.buckets = map[string]string{}
		d.entries(n, "buckets", func(segment, letter *yaml.Node) {
			d.buckets[segment.Value] = d.oneOf(letter, "buckets."+segment.Value, "H", "P", "O", "R", "C", "M", "L", "Q")
		})
	})
	read("names", d.readNames)
	read("replace", d.readReplace)
	read("records", d.readRecords)
	read("plot", d.readPlot)
	read("results", d.readResults)
	read("kinds", d.readKinds)
	if d.generic {
		d.checkGeneric(root, values)
	}
}

// checkGeneric finds what every profile of a protocol would lack.
func (d *definition) checkGeneric(root *yaml.Node, values map[string]*yaml.Node) {
	want, needs := envelope.ASTM, []string{"names", "results"}
	if d.name == genericHL7 {
		want, needs = envelope.HL7, []string{"buckets", "records", "results"}
	}
	if d.protocol != want {
		d.fail(root, "protocol: %s is the profile that all of %s are laid over", d.name, want)
	}
	for _, key := range needs {
		if values[key] == nil {
			d.fail(root, "%s: is missing; %s is the profile that all others of its protocol are laid over", key, d.name)
		}
	}
	if len(d.results[partSample]) == 0 && values["results"] != nil {
		d.fail(values["results"], "results.sample: nothing is left to find a sample by")
	}
}

// nameOf reads the name, which is the file's.
func (d *definition) nameOf(n *yaml.Node) string {
	name := d.full(n, "name")
	if want := strings.TrimSuffix(filepath.Base(d.file), ".yaml"); name != want {
		d.fail(n, "name: %s is in a file called %s; a profile NAME is in NAME.yaml", name, filepath.Base(d.file))
	}
	return name
}

// inherit lays the definition over the generic one of its protocol.
func (d *definition) inherit(base *profile) {
	d.base, d.fields = base, map[string][]*field{}
	if base == nil {
		return
	}
	d.buckets, d.kinds, d.results = base.buckets, base.kinds, base.results
	for record, fields := range base.fields {
		d.fields[record] = slices.Clone(fields)
	}
}

func (d *definition) readMatch(n *yaml.Node) {
	d.entries(n, "match", func(place, wanted *yaml.Node) {
		what := "match." + place.Value
		m := matcher{at: d.location(place, "match")}
		m.rank = rankOf(m.at)
		if !d.isRecord(place, m.at.record) {
			return
		}
		if wanted.Kind == yaml.SequenceNode {
			if m.is = d.texts(wanted, what); len(m.is) == 0 {
				d.fail(wanted, "%s: an empty list fits nothing", what)
			}
		} else if m.rx = d.expression(wanted, what); m.rx != nil && m.rx.MatchString("") {
			d.fail(wanted, "%s: the expression fits the empty text, and so every sender; begin it with ^ and write out what must stand there", what)
		}
		d.match = append(d.match, m)
	})
}

// readReplace empties records, so that the generic names are not in them.
func (d *definition) readReplace(n *yaml.Node) {
	if d.protocol == envelope.HL7 {
		d.fail(n, "replace: is for ASTM records; a segment's field is left out by 3: ~")
		return
	}
	d.items(n, "replace", func(item *yaml.Node) {
		record := d.full(item, "replace")
		if d.fields[record] == nil {
			d.fail(item, "replace: there are no generic names for %s records", record)
			return
		}
		d.fields[record] = nil
		d.set(record, 1, &field{name: "type"})
		d.set(record, 2, sequenceField())
	})
}

func (d *definition) readResults(n *yaml.Node) {
	known := make([]key, partCount)
	for p, name := range partNames {
		known[p] = key{name, func(value *yaml.Node) {
			d.results[p] = nil
			d.items(value, "results."+name, func(item *yaml.Node) {
				if at := d.location(item, "results."+name); d.isRecord(item, at.record) && d.mayHold(item, part(p), at.record) {
					d.results[p] = append(d.results[p], at)
				}
			})
		}}
	}
	d.mapping(n, "results", known...)
	for _, p := range []part{partTest, partValue} {
		if len(d.results[p]) == 0 && len(d.mistakes) == 0 {
			d.fail(n, "results.%s: nothing is left to read a result by; name at least one place", partNames[p])
		}
	}
}

// mayHold reports whether such a record can hold a part of a result: the value
// is the result's own, and a comment stands in it or behind it.
func (d *definition) mayHold(n *yaml.Node, p part, record string) bool {
	switch {
	case p == partValue && !isResult(record):
		d.fail(n, "results.value: a value stands in the result itself (R, OBX), not in %s", record)
	case p == partComment && !isResult(record) && !isComment(record):
		d.fail(n, "results.comment: a comment stands in C or NTE, or in the result itself (R, OBX), not in %s", record)
	default:
		return true
	}
	return false
}

// readKinds reads the rules, which come before the generic ones.
func (d *definition) readKinds(n *yaml.Node) {
	d.kinds = nil
	defer func() {
		if d.base != nil {
			d.kinds = append(d.kinds, d.base.kinds...)
		}
	}()
	d.items(n, "kinds", func(item *yaml.Node) {
		var rule kindRule
		d.mapping(
			item, "kinds",
			key{"kind", func(n *yaml.Node) {
				rule.kind = envelope.Kind(d.oneOf(n, "kind", string(envelope.KindResult), string(envelope.KindQC),
					string(envelope.KindCalibration), string(envelope.KindTest), string(envelope.KindImage)))
			}},
			key{"field", func(n *yaml.Node) { rule.at = d.location(n, "field") }},
			key{"is", func(n *yaml.Node) { rule.is = d.texts(n, "is") }},
			key{"matches", func(n *yaml.Node) { rule.rx = d.expression(n, "matches") }},
		)
		switch {
		case rule.kind == "" || rule.at.record == "" || (rule.is == nil) == (rule.rx == nil):
			d.fail(item, "kinds: a rule has kind, field, and one of is and matches")
		case rule.kind == envelope.KindImage && !isResult(rule.at.record):
			d.fail(item, "kinds: only a result is an image; its field is one of R or OBX")
		case rule.is != nil && len(rule.is) == 0:
			d.fail(item, "kinds: an empty list fits nothing")
		case d.isRecord(item, rule.at.record):
			d.kinds = append(d.kinds, rule)
		}
	})
}

var segmentName = regexp.MustCompile(`^[A-Z][A-Z0-9]{2}$`)

// isRecord reports whether the protocol has such a record.
func (d *definition) isRecord(n *yaml.Node, record string) bool {
	switch {
	case record == "": // said already
		return false
	case d.protocol == envelope.HL7 && !segmentName.MatchString(record):
		d.fail(n, "%q is no segment; they have names of three characters such as OBX", record)
	case d.protocol != envelope.HL7 && bucketOf(&envelope.Records{}, record) == nil:
		d.fail(n, "%q is no record of these: H, P, O, R, C, M, L, Q", record)
	default:
		return true
	}
	return false
}

// set gives field n of a record its meaning.
func (d *definition) set(record string, n int, f *field) {
	for len(d.fields[record]) <= n {
		d.fields[record] = append(d.fields[record], nil)
	}
	d.fields[record][n] = f
	separator := "."
	if d.protocol == envelope.HL7 {
		separator = "-"
	}
	f.place(fmt.Sprintf("%s%s%d", record, separator, n))
}
