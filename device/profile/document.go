package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// document reads the YAML of one definition and gathers the mistakes with
// their places. After a mistake reading goes on, so that one look shows all.
type document struct {
	file     string
	mistakes Mistakes
}

func (d *document) fail(at *yaml.Node, format string, args ...any) {
	d.mistakes = append(d.mistakes, Mistake{d.file, at.Line, at.Column, fmt.Sprintf(format, args...)})
}

// root returns the mapping that the file holds; nil where it holds none.
func (d *document) root(text []byte) *yaml.Node {
	var file yaml.Node
	start := &yaml.Node{Line: 1, Column: 1}
	reader := yaml.NewDecoder(bytes.NewReader(text))
	switch err := reader.Decode(&file); {
	case errors.Is(err, io.EOF):
		d.fail(start, "the file is empty; begin with name:, protocol: and title:")
		return nil
	case err != nil:
		line, what := syntaxError(err)
		d.fail(&yaml.Node{Line: line, Column: 1}, "not YAML, here or in the lines just above or below: %s%s", what, syntaxHint(what))
		return nil
	case len(file.Content) == 0:
		d.fail(start, "the file is empty; begin with name:, protocol: and title:")
		return nil
	}
	var more yaml.Node
	if err := reader.Decode(&more); !errors.Is(err, io.EOF) {
		d.fail(&yaml.Node{Line: max(more.Line, 1), Column: 1}, "something stands behind the profile; a file holds one, and no ---")
	}
	if root := file.Content[0]; root.Kind == yaml.MappingNode {
		return root
	}
	d.fail(start, "not a mapping; begin with name:, protocol: and title:")
	return nil
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)`)

// syntaxError takes the line out of an error of the YAML library.
func syntaxError(err error) (line int, what string) {
	if typed := (*yaml.TypeError)(nil); errors.As(err, &typed) && len(typed.Errors) > 0 {
		err = errors.New(typed.Errors[0])
	}
	found := yamlLine.FindStringSubmatch(err.Error())
	if found == nil {
		return 1, strings.TrimPrefix(err.Error(), "yaml: ")
	}
	line, _ = strconv.Atoi(found[1])
	return max(line, 1), found[2]
}

// syntaxHint is what usually helps.
func syntaxHint(what string) string {
	switch {
	case strings.Contains(what, "cannot start any token"), strings.Contains(what, "tab character"):
		return "; indent with blanks, not with tabs, and put quotes around texts that begin with @, ` or %"
	case strings.Contains(what, "escape character"):
		return "; write expressions in single quotes: '\\d+'"
	}
	return "; look for a bracket, quote or colon that is missing, and for the indentation"
}

// key is one that a mapping may have.
type key struct {
	name string
	read func(value *yaml.Node)
}

// mapping reads a mapping with known keys.
func (d *document) mapping(n *yaml.Node, what string, keys ...key) {
	d.entries(n, what, func(name, value *yaml.Node) {
		for _, k := range keys {
			if k.name == name.Value {
				k.read(value)
				return
			}
		}
		names := make([]string, len(keys))
		for i, k := range keys {
			names[i] = k.name
		}
		d.fail(name, "%s: unknown key %s; allowed are %s", what, name.Value, strings.Join(names, ", "))
	})
}

// entries visits the entries of a mapping, each key once.
func (d *document) entries(n *yaml.Node, what string, visit func(name, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s: want a mapping such as {key: value}", what)
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if line, twice := seen[name.Value]; twice {
			d.fail(name, "%s: %s stands there twice, first in line %d; remove one", what, name.Value, line)
			continue
		}
		seen[name.Value] = name.Line
		visit(name, value)
	}
}

// items visits the elements of a list.
func (d *document) items(n *yaml.Node, what string, visit func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "%s: want a list such as [a, b]", what)
		return
	}
	for _, item := range n.Content {
		visit(item)
	}
}

// text reads a scalar as it is written: N and 1.0 are texts here.
func (d *document) text(n *yaml.Node, what string) string {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.fail(n, "%s: want a text", what)
		return ""
	case n.Tag == "!!null":
		d.fail(n, `%s: has no value; write "" for an empty text`, what)
	}
	return n.Value
}

// full reads a text that may not be empty.
func (d *document) full(n *yaml.Node, what string) string {
	text := d.text(n, what)
	if text == "" && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		d.fail(n, "%s: is empty", what)
	}
	return text
}

func (d *document) texts(n *yaml.Node, what string) (list []string) {
	list = []string{} // not nil: an empty list says something
	d.items(n, what, func(item *yaml.Node) { list = append(list, d.text(item, what)) })
	return list
}

func (d *document) oneOf(n *yaml.Node, what string, allowed ...string) string {
	text := d.text(n, what)
	if !slices.Contains(allowed, text) && n.Kind == yaml.ScalarNode {
		d.fail(n, "%s: %s is not one of %s", what, text, strings.Join(allowed, ", "))
	}
	return text
}

// number reads a whole number from 1 on.
func (d *document) number(n *yaml.Node, what string) int {
	value, err := strconv.Atoi(d.text(n, what))
	if err != nil || value < 1 || value > maxField {
		d.fail(n, "%s: %s is no number from 1 to %d; fields and components are counted from 1", what, n.Value, maxField)
		return 0
	}
	return value
}

// maxField bounds field numbers: beyond it somebody mistyped.
const maxField = 500

func (d *document) expression(n *yaml.Node, what string) *regexp.Regexp {
	rx, err := regexp.Compile(d.full(n, what))
	if err != nil {
		d.fail(n, "%s: %v; the syntax is that of RE2, which has no look-around", what, err)
		return nil
	}
	return rx
}

func (d *document) location(n *yaml.Node, what string) location {
	text := d.full(n, what)
	if text == "" {
		return location{}
	}
	at, err := parseLocation(text)
	if err != nil {
		d.fail(n, "%s: %v", what, err)
	}
	return at
}
