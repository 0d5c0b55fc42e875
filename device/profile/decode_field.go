package profile

import (
	"fmt"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/assaygate/assaygate/envelope"
)

// readNames gives the fields of records their names by position.
func (d *definition) readNames(n *yaml.Node) {
	d.entries(n, "names", func(record, names *yaml.Node) {
		if !d.isRecord(record, record.Value) {
			return
		}
		defer func() { d.uniqueNames(names, "names."+record.Value, d.fields[record.Value]) }()
		for i, name := range d.texts(names, "names."+record.Value) {
			if !usableFieldName.MatchString(name) {
				d.fail(names, "names.%s: the name %q cannot be used; take letters, digits and underscores", record.Value, name)
			}
			f := &field{name: name}
			if name == "seq" {
				f = sequenceField()
			}
			d.set(record.Value, i+1, f)
		}
	})
}

// sequenceField is the field that every record but H has at position 2.
func sequenceField() *field {
	return &field{name: "seq", kind: typeNumber, value: "1", preset: true}
}

func (d *definition) readRecords(n *yaml.Node) {
	d.entries(n, "records", func(record, fields *yaml.Node) {
		if !d.isRecord(record, record.Value) {
			return
		}
		what := "records." + record.Value
		d.entries(fields, what, func(position, value *yaml.Node) {
			n := d.number(position, what)
			if !d.mayName(position, record.Value, n, value) {
				return
			}
			if value.Kind == yaml.ScalarNode && value.Tag == "!!null" { // left out, a generic name too
				if n > 0 && n < len(d.fields[record.Value]) {
					d.fields[record.Value][n] = nil
				}
				return
			}
			if f := d.readField(value, fmt.Sprintf("%s.%s", what, position.Value)); f != nil && n > 0 {
				d.set(record.Value, n, f)
			}
		})
		d.uniqueNames(fields, what, d.fields[record.Value])
	})
}

// mayName finds fields that have a meaning of their own in every record: without
// them neither SENAITE nor this program knows what it has before it.
func (d *definition) mayName(n *yaml.Node, record string, field int, value *yaml.Node) bool {
	left := value.Kind == yaml.ScalarNode && value.Tag == "!!null"
	switch {
	case d.protocol == envelope.HL7:
		return true
	case field == 1:
		d.fail(n, "records.%s: field 1 is the record's type", record)
		return false
	case field == 2 && !(record == "H" && left):
		d.fail(n, "records.%s: field 2 is the record's number, in H the delimiters", record)
		return false
	}
	return true
}

// readField reads a bare name, which is a text field, or a mapping.
func (d *definition) readField(n *yaml.Node, what string) *field {
	f := &field{}
	if n.Kind == yaml.ScalarNode {
		f.name = d.fieldName(n, what)
		d.checkField(n, what, f, nil)
		return f
	}
	was := len(d.mistakes)
	list := func(into *[]*field) func(*yaml.Node) {
		return func(n *yaml.Node) {
			*into = []*field{}
			d.items(n, what, func(item *yaml.Node) {
				if one := d.readField(item, what); one != nil {
					if one.components != nil || one.repeats != nil {
						d.fail(item, "%s: a component cannot be taken apart further", what)
					}
					*into = append(*into, one)
				}
			})
			if len(*into) == 0 {
				d.fail(n, "%s: an empty list names nothing", what)
			}
			d.uniqueNames(n, what, *into)
		}
	}
	said := map[string]bool{}
	keys := []key{
		{"name", func(n *yaml.Node) { f.name = d.fieldName(n, what) }},
		{"type", func(n *yaml.Node) { f.kind = fieldType(d.oneOf(n, what+".type", fieldTypes...)) }},
		{"default", func(n *yaml.Node) { f.value, f.preset = d.text(n, what+".default"), true }},
		{"constant", func(n *yaml.Node) { f.value, f.preset, f.constant = d.full(n, what+".constant"), true, true }},
		{"allowed", func(n *yaml.Node) { f.allowed = d.texts(n, what+".allowed") }},
		{"prefer", func(n *yaml.Node) {
			d.items(n, what+".prefer", func(item *yaml.Node) { f.prefer = append(f.prefer, d.number(item, what+".prefer")) })
		}},
		{"components", list(&f.components)},
		{"repeats", list(&f.repeats)},
	}
	for i := range keys {
		name, read := keys[i].name, keys[i].read
		keys[i].read = func(n *yaml.Node) {
			said[name] = true
			read(n)
		}
	}
	d.mapping(n, what, keys...)
	if len(d.mistakes) == was {
		d.checkField(n, what, f, said)
	}
	return f
}

// checkField finds keys that say nothing together.
func (d *definition) checkField(n *yaml.Node, what string, f *field, said map[string]bool) {
	if f.name == "" {
		d.fail(n, "%s: a field needs a name", what)
	}
	if d.protocol == envelope.HL7 && f.name == "type" {
		d.fail(n, "%s: the name type is taken; it is the bucket's letter", what)
	}
	together := func(a, b string) {
		if said[a] && said[b] {
			d.fail(n, "%s: %s and %s say different things; remove one", what, a, b)
		}
	}
	together("default", "constant")
	for _, form := range []string{"type", "default", "constant", "allowed", "repeats"} {
		together("components", form)
		if form != "repeats" {
			together("repeats", form)
		}
	}
	together("type", "constant")
	if said["prefer"] && f.kind != typeSignificant {
		d.fail(n, "%s: prefer goes with type: significant", what)
	}
	if f.preset && f.value == now && f.kind != typeTime {
		d.fail(n, "%s: default: now goes with type: time", what)
	}
	if f.preset && f.value != "" && f.value != now {
		rd := &reader{budget: newBudget()}
		if rd.value(f, f.value, delimiters{}); len(rd.problems) > 0 && f.kind != typeStream {
			d.fail(n, "%s: the default %q is not of type %s", what, f.value, f.kind)
		}
	}
}

var usableFieldName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

func (d *definition) fieldName(n *yaml.Node, what string) string {
	name := d.full(n, what)
	if name != "" && !usableFieldName.MatchString(name) {
		d.fail(n, "%s: the name %q cannot be used; take letters, digits and underscores", what, name)
	}
	return name
}

// uniqueNames finds two fields of one object with the same name.
func (d *definition) uniqueNames(n *yaml.Node, what string, fields []*field) {
	seen := map[string]bool{}
	for _, f := range fields {
		if f == nil || f.name == "" {
			continue
		}
		if seen[f.name] {
			d.fail(n, "%s: two fields are called %s; names are unique within a record or field", what, f.name)
		}
		seen[f.name] = true
	}
}

// place tells the field and its components where they stand.
func (f *field) place(at string) {
	f.at = at
	for _, list := range [][]*field{f.components, f.repeats} {
		for i, component := range list {
			component.place(at + "." + strconv.Itoa(i+1))
		}
	}
}
