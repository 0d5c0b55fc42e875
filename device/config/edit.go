package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// Has reports whether the file gives the key. The path is written as in
// errors: destinations[1].capture.
func (d *Document) Has(path string) bool { return d.find(path) != nil }

// At returns an error about the key at path, placed at the nearest part of it
// that the file has.
func (d *Document) At(path, format string, args ...any) Error {
	n, near := d.find(path), path
	for n == nil {
		near, _ = cut(near)
		n = d.find(near)
	}
	at := d.places[n]
	return Error{Source: at.source, Line: at.line, Column: at.column, Key: path, Text: fmt.Sprintf(format, args...)}
}

// Len returns how many items the list at path has; 0 where there is no list.
func (d *Document) Len(path string) int {
	if n := d.find(path); n != nil && n.Kind == yaml.SequenceNode {
		return len(n.Content)
	}
	return 0
}

// Delete removes the key or list item at path, if it is there.
func (d *Document) Delete(path string) {
	parent, last := cut(path)
	from := d.find(parent)
	if from == nil {
		return
	}
	if i, isIndex := index(last); isIndex {
		if from.Kind == yaml.SequenceNode && i < len(from.Content) {
			from.Content = slices.Delete(from.Content, i, i+1)
		}
		return
	}
	if from.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(from.Content); i += 2 {
		if from.Content[i].Value == last {
			from.Content = slices.Delete(from.Content, i, i+2)
			return
		}
	}
}

// Set gives the key at path a value, made of maps, lists and scalars. Errors
// about it will name source in place of the file. A list item beyond the end is
// appended. Where the file has something else on the way than path expects,
// nothing is set: decoding reports that.
func (d *Document) Set(source, path string, value any) error {
	n := new(yaml.Node)
	if err := n.Encode(value); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	d.mark(n, place{source: source})
	d.put(path, n)
	return nil
}

func (d *Document) mark(n *yaml.Node, at place) {
	d.places[n] = at
	for _, c := range n.Content {
		d.mark(c, at)
	}
}

func (d *Document) put(path string, value *yaml.Node) {
	parent, last := cut(path)
	into := d.root
	if parent != "" {
		if into = d.find(parent); into == nil {
			into = &yaml.Node{Kind: yaml.MappingNode}
			if _, isIndex := index(last); isIndex {
				into.Kind = yaml.SequenceNode
			}
			d.places[into] = d.places[value]
			d.put(parent, into)
		}
	}
	if i, isIndex := index(last); isIndex {
		switch {
		case into.Kind != yaml.SequenceNode:
		case i < len(into.Content):
			into.Content[i] = value
		default:
			into.Content = append(into.Content, value)
		}
		return
	}
	if into.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(into.Content); i += 2 {
		if into.Content[i].Value == last {
			into.Content[i+1] = value
			return
		}
	}
	key := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: last}
	d.places[key] = d.places[value]
	into.Content = append(into.Content, key, value)
}

func (d *Document) find(path string) *yaml.Node {
	if path == "" {
		return d.root
	}
	parent, last := cut(path)
	n := d.find(parent)
	if i, isIndex := index(last); isIndex {
		if n == nil || n.Kind != yaml.SequenceNode || i >= len(n.Content) {
			return nil
		}
		return n.Content[i]
	}
	return child(n, last)
}

// cut takes the last key or [index] off a path.
func cut(path string) (parent, last string) {
	i := strings.LastIndexAny(path, ".[")
	switch {
	case i < 0:
		return "", path
	case path[i] == '[':
		return path[:i], path[i:]
	}
	return path[:i], path[i+1:]
}

func index(part string) (int, bool) {
	if !strings.HasPrefix(part, "[") {
		return 0, false
	}
	i, err := strconv.Atoi(strings.Trim(part, "[]"))
	return i, err == nil && i >= 0
}
