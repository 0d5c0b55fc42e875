package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Pair is a key with its value, as text.
type Pair struct{ Key, Value string }

// Rewrite puts other keys in place of the one at the path of a file's content,
// and leaves all else of it as a person wrote it: comments, layout, line ends,
// encoding. It fails where the text is written in a way that it cannot be sure
// of, such as a value in several lines, an anchor or an alias; never is anything
// else changed than what was asked for. The texts of its errors hold nothing of
// the file.
func Rewrite(data []byte, path string, pairs ...Pair) ([]byte, error) {
	document, errs := Parse(data, "")
	if errs != nil {
		return nil, errs
	}
	text, bad := decodeText(data)
	if bad != nil {
		return nil, bad
	}
	from, to, flow, err := document.span(text, path)
	if err != nil {
		return nil, err
	}
	between := ", "
	if !flow {
		between = lineEnd(text) + strings.Repeat(" ", utf8.RuneCountInString(text[lineStart(text, from):from]))
	}
	words := make([]string, len(pairs))
	for i, one := range pairs {
		words[i] = one.Key + ": " + quoted(one.Value)
	}
	rewritten := encodeText(text[:from]+strings.Join(words, between)+text[to:], data)

	// Whatever was thought of the text above: only what is now as if it had been
	// written so is right.
	document.exchange(path, pairs)
	after, errs := Parse(rewritten, "")
	if errs != nil || !alike(document.root, after.root) {
		return nil, errWritten
	}
	return rewritten, nil
}

var errWritten = errors.New("it is written in a way that cannot be changed safely; write the key and its value in one line, in quotes and without anchors")

// span returns where key and value of a path stand in the text, and whether
// they are within braces.
func (d *Document) span(text, path string) (from, to int, flow bool, err error) {
	parent, last := cut(path)
	mapping := d.find(parent)
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return 0, 0, false, errWritten
	}
	i := slices.IndexFunc(mapping.Content, func(n *yaml.Node) bool { return n.Value == last })
	if i < 0 || i%2 != 0 {
		return 0, 0, false, errWritten
	}
	key, value := mapping.Content[i], mapping.Content[i+1]
	if value.Kind != yaml.ScalarNode {
		return 0, 0, false, errWritten
	}
	from, start := offset(text, key.Line, key.Column), offset(text, value.Line, value.Column)
	if from < 0 || start < from || !between.MatchString(text[from:start]) {
		return 0, 0, false, errWritten
	}
	length := scalarLength(text[start:], value)
	if length < 0 {
		return 0, 0, false, errWritten
	}
	return from, start + length, mapping.Style&yaml.FlowStyle != 0, nil
}

// between is a key and all that may stand before its value.
var between = regexp.MustCompile(`^["']?[A-Za-z0-9_-]+["']?[ \t]*:[ \t\r\n]*$`)

// scalarLength is how many bytes the value takes at the front of text, -1 where
// that is not certain.
func scalarLength(text string, value *yaml.Node) int {
	switch {
	case value.Style&yaml.DoubleQuotedStyle != 0 && strings.HasPrefix(text, `"`):
		for i := 1; i < len(text); i++ {
			switch text[i] {
			case '\\':
				i++
			case '"':
				return i + 1
			}
		}
	case value.Style&yaml.SingleQuotedStyle != 0 && strings.HasPrefix(text, "'"):
		for i := 1; i < len(text); i++ {
			switch {
			case text[i] != '\'':
			case strings.HasPrefix(text[i:], "''"):
				i++
			default:
				return i + 1
			}
		}
	case value.Style == 0 && value.Value != "" && strings.HasPrefix(text, value.Value):
		return len(value.Value)
	}
	return -1
}

// offset is the byte at which a place of the YAML parser stands, -1 if there is
// none. Its lines end as YAML's do, and its columns are characters.
func offset(text string, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		end := strings.IndexAny(text[at:], "\n\r\u0085\u2028\u2029")
		if end < 0 {
			return -1
		}
		at += end
		_, size := utf8.DecodeRuneInString(text[at:])
		if strings.HasPrefix(text[at:], "\r\n") {
			size = 2
		}
		at += size
	}
	for ; column > 1; column-- {
		if at >= len(text) {
			return -1
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}

func lineStart(text string, at int) int { return 1 + strings.LastIndexAny(text[:at], "\n\r") }

// lineEnd is how the lines of the text end.
func lineEnd(text string) string {
	if strings.Contains(text, "\r\n") {
		return "\r\n"
	}
	return "\n"
}

// quoted writes a text so that nothing in it means anything to YAML.
func quoted(text string) string { return strconv.QuoteToGraphic(text) }

// exchange does to the tree what Rewrite does to the text.
func (d *Document) exchange(path string, pairs []Pair) {
	parent, last := cut(path)
	mapping := d.find(parent)
	i := slices.IndexFunc(mapping.Content, func(n *yaml.Node) bool { return n.Value == last })
	var nodes []*yaml.Node
	for _, one := range pairs {
		nodes = append(nodes, &yaml.Node{Kind: yaml.ScalarNode, Value: one.Key}, &yaml.Node{Kind: yaml.ScalarNode, Value: one.Value})
	}
	mapping.Content = slices.Replace(mapping.Content, i, i+2, nodes...)
}

// alike reports whether two trees say the same.
func alike(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Value == b.Value && slices.EqualFunc(a.Content, b.Content, alike)
}

// encodeText is the opposite of decodeText, in the encoding that like has.
func encodeText(text string, like []byte) []byte {
	var order binary.AppendByteOrder
	switch {
	case bytes.HasPrefix(like, []byte{0xFE, 0xFF}):
		order = binary.BigEndian
	case bytes.HasPrefix(like, []byte{0xFF, 0xFE}):
		order = binary.LittleEndian
	case bytes.HasPrefix(like, []byte("\uFEFF")):
		return []byte("\uFEFF" + text)
	default:
		return []byte(text)
	}
	out := slices.Clone(like[:2])
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}
