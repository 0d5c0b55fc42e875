package config

import (
	"strings"

	"gopkg.in/yaml.v3"
)

// AddKey adds a key to the mapping at a path, and leaves all else of the text as a
// person wrote it. The value is one line of YAML. What is missing of the path is
// made. It fails where the key is there, and where the text is written in a way
// that it cannot be sure of; the texts of its errors hold nothing of the file.
func AddKey(data []byte, mapping, key, value string) ([]byte, error) {
	return grown(data, func(text string, root *yaml.Node) (string, bool) {
		// The deepest part of the path that is there gets the rest of it.
		written := &Document{root: root}
		for mapping != "" && written.find(mapping) == nil {
			parent, last := cut(mapping)
			mapping, key, value = parent, last, "{"+key+": "+value+"}"
		}
		return withKey(text, written.find(mapping), key, key+": "+value)
	}, func(before, after *Document) bool { return before.alikeButKey(after, mapping, key, value) })
}

// withKey puts the line of a key into the mapping: in front within braces, else
// behind its last line.
func withKey(text string, mapping *yaml.Node, key, line string) (string, bool) {
	end := lineEnd(text)
	switch {
	case mapping == nil || mapping.Kind != yaml.MappingNode || child(mapping, key) != nil:
		return "", false
	case mapping.Style&yaml.FlowStyle != 0:
		from := offset(text, mapping.Line, mapping.Column)
		if from < 0 || !strings.HasPrefix(text[from:], "{") {
			return "", false
		}
		if len(mapping.Content) > 0 {
			line += ", "
		}
		return text[:from+1] + line + text[from+1:], true
	case len(mapping.Content) == 0:
		return "", false
	}
	// What stands in several lines, or is longer than it seems, is found out by who
	// reads the result.
	from := offset(text, lastLine(mapping)+1, 1)
	if from < 0 {
		if !strings.HasSuffix(text, end) {
			text += end
		}
		from = len(text)
	}
	return text[:from] + strings.Repeat(" ", mapping.Column-1) + line + end + text[from:], true
}

// lastLine is the last line on which something of the node begins.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, one := range n.Content {
		last = max(last, lastLine(one))
	}
	return last
}

// alikeButKey reports whether after says what the document does, and has the key in
// the mapping.
func (d *Document) alikeButKey(after *Document, mapping, key, value string) bool {
	one, errs := Parse([]byte("x: "+value), "")
	now := child(after.find(mapping), key)
	if errs != nil || now == nil || !alike(now, child(one.root, "x")) {
		return false
	}
	after.Delete(strings.TrimPrefix(mapping+"."+key, "."))
	return alike(d.root, after.root)
}
