package config

import (
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// token is a value as it stands in a text.
type token struct {
	key, value string
	text       string // with its quotes
	path       string // as in errors
	// place is path with the names of things in place of their numbers, and
	// without doubt where keys have dots in them.
	place        string
	from, to     int // in the text
	line, column int
	anchored     bool // an alias may lead to it
	quoted       bool
}

// as is how another value is written in its place.
func (t token) as(value string) string {
	if t.quoted {
		return quoted(value)
	}
	return value
}

// manyLines reports whether it is written in several lines.
func (t token) manyLines() bool { return strings.ContainsAny(t.text, "\r\n\u0085\u2028\u2029") }

// tokens are the values of a text.
type tokens struct {
	text string
	sure []token // in the order of the text
	// unsure are those of which it is not certain where they stand, and those that
	// an alias stands for.
	unsure []token
	// The place that was looked up last, and the byte at which it is: a long text
	// is not to be counted through for each of its values.
	line, column, at int
}

// offset is the byte at which a place stands, -1 if there is none.
func (t *tokens) offset(line, column int) int {
	if line < t.line || line == t.line && column < t.column {
		t.line, t.column, t.at = 1, 1, 0
	}
	if line > t.line {
		begin := offset(t.text[t.at:], line-t.line+1, 1)
		if begin < 0 {
			return -1
		}
		t.line, t.column, t.at = line, 1, t.at+begin
	}
	on := offset(t.text[t.at:], 1, column-t.column+1)
	if on < 0 {
		return -1
	}
	t.column, t.at = column, t.at+on
	return t.at
}

func tokensOf(text string) (tokens, *Error) {
	root, bad := parseYAML(text)
	if bad == nil && root == nil {
		bad = &Error{Line: 1, Column: 1, Text: "there is nothing in this file"}
	}
	if bad != nil {
		return tokens{}, bad
	}
	t := tokens{text: text, line: 1, column: 1}
	t.walk(root, token{})
	return t, nil
}

// walk lists the values in n; of is what is known of them by where they stand.
func (t *tokens) walk(n *yaml.Node, of token) {
	of.anchored = of.anchored || n.Anchor != ""
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, inner := n.Content[i], of
			inner.anchored = of.anchored || key.Anchor != "" || key.Kind != yaml.ScalarNode
			if key.Kind == yaml.AliasNode && key.Alias != nil {
				key = key.Alias
			}
			inner.key, inner.path, inner.place = key.Value, join(of.path, key.Value), of.place+"\x00"+key.Value
			t.walk(n.Content[i+1], inner)
		}
	case yaml.SequenceNode:
		for i, item := range n.Content {
			inner, number := of, "["+strconv.Itoa(i)+"]"
			inner.path, inner.place = of.path+number, of.place+"\x00"+number
			name := child(item, "name")
			if name != nil && name.Kind == yaml.AliasNode {
				name = name.Alias
			}
			if name != nil {
				inner.place = of.place + "\x00[]" + name.Value
			}
			t.walk(item, inner)
		}
	case yaml.ScalarNode:
		t.scalar(n, of)
	case yaml.AliasNode:
		t.alias(n, n.Alias, of)
	}
}

func (t *tokens) scalar(n *yaml.Node, of token) {
	of.value, of.line, of.column = n.Value, n.Line, n.Column
	of.quoted = n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0
	of.from = t.offset(n.Line, n.Column)
	length := -1
	if of.from >= 0 {
		length = scalarLength(t.text[of.from:], n)
	}
	if length < 0 {
		t.unsure = append(t.unsure, of)
		return
	}
	of.to = of.from + length
	of.text = t.text[of.from:of.to]
	t.sure = append(t.sure, of)
}

// alias lists what an alias stands for right under its key; the keys below it are
// met where they are written.
func (t *tokens) alias(at, n *yaml.Node, of token) {
	switch {
	case n == nil:
	case n.Kind == yaml.ScalarNode:
		of.value, of.line, of.column = n.Value, at.Line, at.Column
		t.unsure = append(t.unsure, of)
	case n.Kind == yaml.SequenceNode:
		for _, item := range n.Content {
			if item.Kind == yaml.ScalarNode {
				t.alias(at, item, of)
			}
		}
	}
}

// exchanged is the text with other values in place of some of its own, by their
// index in sure, each as it is to be written. It is nil where the text would not
// say just that.
func (t tokens) exchanged(values, written map[int]string) *string {
	var out strings.Builder
	at := 0
	for i, one := range t.sure {
		if with, is := written[i]; is {
			out.WriteString(t.text[at:one.from] + with)
			at = one.to
		}
	}
	out.WriteString(t.text[at:])
	text := out.String()
	after, bad := tokensOf(text)
	if bad != nil || len(after.sure) != len(t.sure) || !slices.EqualFunc(after.unsure, t.unsure, token.says) {
		return nil
	}
	for i, one := range t.sure {
		if with, is := values[i]; is {
			one.value = with
		}
		if !after.sure[i].says(one) {
			return nil
		}
	}
	return &text
}

// says reports whether two say the same at the same place.
func (t token) says(other token) bool { return t.place == other.place && t.value == other.value }
