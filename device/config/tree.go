package config

import (
	"fmt"
	"strconv"

	"gopkg.in/yaml.v3"
)

// Bounds of a document after its aliases are followed: a few lines of aliases
// to aliases would otherwise grow beyond any memory.
const (
	maxNodes = 50_000
	maxDepth = 50
)

// grower copies a parsed tree into one without anchors, aliases and merge keys.
type grower struct {
	document *Document
	nodes    int
	over     bool                // a bound was passed, and that was said
	within   map[*yaml.Node]bool // the anchors that are being copied
	errs     Errors
}

// grow returns the tree that Decode walks.
func (d *Document) grow(root *yaml.Node) (*yaml.Node, Errors) {
	g := &grower{document: d, within: make(map[*yaml.Node]bool)}
	if root.Kind != yaml.MappingNode {
		g.fail(root, "", "a configuration begins with keys such as version: 1")
		return nil, g.errs
	}
	grown := g.node(root, root, "", 0)
	return grown, g.errs
}

func (g *grower) fail(n *yaml.Node, key, format string, args ...any) {
	g.errs = append(g.errs, Error{Source: g.document.name, Line: n.Line, Column: n.Column, Key: key, Text: fmt.Sprintf(format, args...)})
}

// node returns a copy of n, nil where there cannot be one; where is the node at
// which errors about it are to be shown.
func (g *grower) node(n, where *yaml.Node, path string, depth int) *yaml.Node {
	if g.nodes++; g.nodes > maxNodes || depth > maxDepth {
		if !g.over {
			g.fail(where, path, "the file nests too deeply or repeats too much; write it more simply")
		}
		g.over = true
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return g.alias(n, where, path, depth)
	}
	if n.Style&yaml.TaggedStyle != 0 {
		// It may be a password that somebody forgot the quotes of.
		g.fail(where, path, "a tag has no meaning here; put a text that begins with ! in quotes")
	}
	copied := &yaml.Node{Kind: n.Kind, Style: n.Style, Tag: n.Tag, Value: n.Value, Line: n.Line, Column: n.Column}
	g.document.places[copied] = place{source: g.document.name, line: where.Line, column: where.Column}
	switch n.Kind {
	case yaml.SequenceNode:
		for i, item := range n.Content {
			if grown := g.node(item, item, path+"["+strconv.Itoa(i)+"]", depth+1); grown != nil {
				copied.Content = append(copied.Content, grown)
			}
		}
	case yaml.MappingNode:
		g.mapping(n, copied, path, depth)
	}
	return copied
}

func (g *grower) alias(n, where *yaml.Node, path string, depth int) *yaml.Node {
	if n.Alias == nil || g.within[n.Alias] {
		g.fail(where, path, "the alias *%s stands within what it names", n.Value)
		return nil
	}
	g.within[n.Alias] = true
	defer delete(g.within, n.Alias)
	return g.node(n.Alias, where, path, depth+1)
}

// mapping copies the pairs of a mapping, then those of its merge keys that it
// does not have itself.
func (g *grower) mapping(from, to *yaml.Node, path string, depth int) {
	first := make(map[string]*yaml.Node)
	var merged []*yaml.Node
	for i := 0; i+1 < len(from.Content); i += 2 {
		key, value := from.Content[i], from.Content[i+1]
		if key.Kind == yaml.ScalarNode && key.Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		name := g.key(key, path)
		if name == nil {
			continue
		}
		if before := first[name.Value]; before != nil {
			g.fail(key, join(path, name.Value), "given twice, first on line %d; remove one", before.Line)
			continue
		}
		first[name.Value] = key
		if grown := g.node(value, key, join(path, name.Value), depth+1); grown != nil {
			to.Content = append(to.Content, name, grown)
		}
	}
	for _, value := range merged {
		g.merge(value, to, first, path, depth)
	}
}

// key returns a key as plain text.
func (g *grower) key(n *yaml.Node, path string) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		n = &yaml.Node{Kind: n.Alias.Kind, Tag: n.Alias.Tag, Value: n.Alias.Value, Line: n.Line, Column: n.Column}
	}
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		g.fail(n, path, "a key is a plain word")
		return nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: n.Value, Line: n.Line, Column: n.Column}
}

// merge adds what `<<: *name` or `<<: [*one, *two]` brings.
func (g *grower) merge(value, to *yaml.Node, first map[string]*yaml.Node, path string, depth int) {
	grown := g.node(value, value, path, depth+1)
	if grown == nil {
		return
	}
	sources := []*yaml.Node{grown}
	if grown.Kind == yaml.SequenceNode {
		sources = grown.Content
	}
	for _, source := range sources {
		if source.Kind != yaml.MappingNode {
			g.fail(value, path, "<< takes keys, such as those of an alias")
			return
		}
		for i := 0; i+1 < len(source.Content); i += 2 {
			if key := source.Content[i]; first[key.Value] == nil {
				first[key.Value] = key
				to.Content = append(to.Content, key, source.Content[i+1])
			}
		}
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// child returns the value of a key, nil if there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}
