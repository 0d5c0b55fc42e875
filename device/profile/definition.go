package profile

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/assaygate/assaygate/envelope"
)

// definition is a profile as its file has it.
type definition struct {
	Name     string                    `yaml:"name"`
	Protocol envelope.Protocol         `yaml:"protocol"`
	Title    string                    `yaml:"title"`
	Version  string                    `yaml:"version"`
	HeaderRx string                    `yaml:"header_rx"`
	Match    map[string]string         `yaml:"match"`
	Quirks   Quirks                    `yaml:"quirks"`
	Buckets  map[string]string         `yaml:"buckets"`
	Names    map[string][]string       `yaml:"names"`
	Records  map[string]map[int]*field `yaml:"records"`
	Replace  []string                  `yaml:"replace"`
	Plot     *plot                     `yaml:"plot"`
	Results  map[string][]string       `yaml:"results"`
	Kinds    []kindRule                `yaml:"kinds"`
}

// Quirks are the ways in which an instrument's line deviates from LIS01-A2.
// Each is "" where the standard's behaviour holds.
type Quirks struct {
	Checksum     string `yaml:"checksum"`      // strict, ignore
	FrameNumbers string `yaml:"frame_numbers"` // strict, ignore
	End          string `yaml:"end"`           // record: an L record ends a message; eot: EOT does
}

// Over returns q with what over sets laid over it.
func (q Quirks) Over(over Quirks) Quirks {
	for _, p := range []struct{ to, from *string }{
		{&q.Checksum, &over.Checksum}, {&q.FrameNumbers, &over.FrameNumbers}, {&q.End, &over.End},
	} {
		if *p.from != "" {
			*p.to = *p.from
		}
	}
	return q
}

// field says what a field of a record becomes.
type field struct {
	Name       string   `yaml:"name"`
	Type       string   `yaml:"type"` // see fieldTypes
	Default    *string  `yaml:"default"`
	Prefer     []int    `yaml:"prefer"`     // significant: the components to look at first
	Components []*field `yaml:"components"` // an object of these
	Repeats    []*field `yaml:"repeats"`    // a list of objects of these
}

// fieldTypes are the types that a definition may name; "" is text.
var fieldTypes = []string{"", "text", "number", "date", "time", "significant", "passthrough", "json list", "stream"}

// UnmarshalYAML takes a bare name for a text field.
func (f *field) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		f.Name = node.Value
		return nil
	}
	type plain field
	if err := strict(node, (*plain)(f)); err != nil {
		return err
	}
	if !slices.Contains(fieldTypes, f.Type) {
		return fmt.Errorf("line %d: type %q is none of%s", node.Line, f.Type, strings.Join(fieldTypes, " "))
	}
	if f.Name == "" {
		return fmt.Errorf("line %d: a field needs a name", node.Line)
	}
	return nil
}

// strict decodes node and refuses unknown keys, which yaml.v3 forgets to do
// below an UnmarshalYAML.
func strict(node *yaml.Node, into any) error {
	text, err := yaml.Marshal(node)
	if err != nil {
		return err
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	return d.Decode(into)
}

// kindRule gives a kind to messages, or to results where its field is one of R
// or OBX.
type kindRule struct {
	Kind    envelope.Kind `yaml:"kind"`
	Field   string        `yaml:"field"`
	Is      []string      `yaml:"is"`
	Matches string        `yaml:"matches"`

	at location
	rx *regexp.Regexp
}

func (k *kindRule) applies(text string) bool {
	if k.rx != nil {
		return k.rx.MatchString(text)
	}
	return slices.Contains(k.Is, text)
}

// profile is a definition made ready: laid over its base, paths and
// expressions compiled.
type profile struct {
	definition
	generic bool
	match   []matcher
	fields  map[string]map[int]*field // by record, then position
	last    map[string]int            // the highest position of a record
	results map[string][]location
	kinds   []kindRule
}

// matcher is one condition of `match`.
type matcher struct {
	at   location
	rx   *regexp.Regexp
	rank int // 2 for the sender (H-5, MSH-3, MSH-4), 1 for any other place
}

// parseDefinition reads one definition. Without bases it is a generic one.
func parseDefinition(name string, text []byte, bases map[envelope.Protocol]*profile) (*profile, error) {
	p := &profile{generic: bases == nil}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&p.definition); err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	if p.Name != name {
		return nil, fmt.Errorf("profile %s: name is %q; a profile is named as its file", name, p.Name)
	}
	base := bases[p.Protocol]
	if base == nil && !p.generic {
		return nil, fmt.Errorf("profile %s: protocol is %q; allowed are astm and hl7", name, p.Protocol)
	}
	if err := p.compile(base); err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	return p, nil
}

func (p *profile) compile(base *profile) error {
	var errs []error
	p.layFields(base)
	if base != nil && p.Buckets == nil {
		p.Buckets = base.Buckets
	}
	for at, rx := range p.Match {
		m, err := newMatcher(at, rx)
		errs = append(errs, err)
		p.match = append(p.match, m)
	}
	p.results = map[string][]location{}
	if base != nil {
		maps.Copy(p.results, base.results)
	}
	for what, paths := range p.Results {
		if !slices.Contains(resultParts, what) {
			errs = append(errs, fmt.Errorf("results: %q is none of %s", what, strings.Join(resultParts, ", ")))
		}
		p.results[what] = nil
		for _, path := range paths {
			at, err := parseLocation(path)
			errs = append(errs, err)
			p.results[what] = append(p.results[what], at)
		}
	}
	if p.Kinds == nil && base != nil {
		p.kinds = base.kinds
	}
	for _, rule := range p.Kinds {
		var err error
		rule.at, err = parseLocation(rule.Field)
		errs = append(errs, err)
		if rule.Matches != "" {
			rule.rx, err = regexp.Compile(rule.Matches)
			errs = append(errs, err)
		}
		p.kinds = append(p.kinds, rule)
	}
	return errors.Join(errs...)
}

// layFields makes fields: the base's, then the list of names, then records.
func (p *profile) layFields(base *profile) {
	p.fields, p.last = map[string]map[int]*field{}, map[string]int{}
	if base != nil {
		for record, fields := range base.fields {
			if !slices.Contains(p.Replace, record) {
				p.fields[record] = maps.Clone(fields)
			}
		}
	}
	for _, record := range p.Replace {
		p.fields[record] = map[int]*field{1: {Name: "type"}, 2: {Name: "seq", Type: "number", Default: new("1")}}
	}
	for record, names := range p.Names {
		fields := map[int]*field{}
		for i, name := range names {
			fields[i+1] = &field{Name: name}
			if name == "seq" {
				fields[i+1] = &field{Name: name, Type: "number", Default: new("1")}
			}
		}
		p.fields[record] = fields
	}
	for record, fields := range p.Records {
		if p.fields[record] == nil {
			p.fields[record] = map[int]*field{}
		}
		maps.Copy(p.fields[record], fields)
	}
	for record, fields := range p.fields {
		for n := range fields {
			p.last[record] = max(p.last[record], n)
		}
	}
}

func newMatcher(path, rx string) (matcher, error) {
	m := matcher{rank: 1}
	if path == "H.5" || path == "MSH.3" || path == "MSH.4" {
		m.rank = 2
	}
	var err error
	if m.at, err = parseLocation(path); err != nil {
		return m, err
	}
	if m.rx, err = regexp.Compile(rx); err != nil {
		return m, fmt.Errorf("match: %s: %w", path, err)
	}
	return m, nil
}
