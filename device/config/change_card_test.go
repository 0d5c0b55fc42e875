package config

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// card is a file system that loses power: it knows of file operations what is
// durable, and what may have reached the card or not.
type card struct {
	root string
	top  *node
}

// node is a file or a directory.
type node struct {
	content []byte // of a file
	flushed bool

	now     map[string]*node // of a directory
	durable map[string]*node
	since   []func(map[string]*node) // what happened to its names after durable
}

func directoryNode() *node { return &node{now: map[string]*node{}, durable: map[string]*node{}} }

// newCard is a card that holds what is in the directory.
func newCard(t *testing.T, root string) *card {
	t.Helper()
	c := &card{root: root, top: directoryNode()}
	must(t, filepath.WalkDir(root, func(path string, entry os.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		into, name := c.at(filepath.Dir(path)), filepath.Base(path)
		one := directoryNode()
		if !entry.IsDir() {
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			one = &node{content: content, flushed: true}
		}
		into.now[name], into.durable[name] = one, one
		return nil
	}))
	return c
}

func (c *card) at(path string) *node {
	at := c.top
	rest := strings.Trim(strings.TrimPrefix(path, c.root), string(filepath.Separator))
	for _, name := range strings.Split(rest, string(filepath.Separator)) {
		if name != "" {
			at = at.now[name]
		}
	}
	return at
}

func (n *node) change(how func(map[string]*node)) {
	how(n.now)
	n.since = append(n.since, how)
}

// apply has an operation take place.
func (c *card) apply(o operation) {
	if o.kind == "sync" {
		n := c.at(o.path)
		n.durable, n.since = maps.Clone(n.now), nil
		return
	}
	into, name := c.at(filepath.Dir(o.path)), filepath.Base(o.path)
	switch o.kind {
	case "makeDirectory":
		made := directoryNode()
		into.change(func(names map[string]*node) { names[name] = made })
	case "create":
		made := &node{content: o.content}
		into.change(func(names map[string]*node) { names[name] = made })
	case "flush":
		into.now[name].flushed = true
	case "rename":
		moved, to := into.now[name], filepath.Base(o.to)
		into.change(func(names map[string]*node) {
			delete(names, name)
			names[to] = moved
		})
	case "remove":
		into.now[name].empty()
		into.change(func(names map[string]*node) { delete(names, name) })
	default:
		panic(o.kind)
	}
}

// empty removes what is in a directory.
func (n *node) empty() {
	for name, one := range maps.Clone(n.now) {
		one.empty()
		n.change(func(names map[string]*node) { delete(names, name) })
	}
}

// open counts the changes of names that may be lost.
func (n *node) open() (count int) {
	count = len(n.since)
	seen := map[*node]bool{}
	for _, names := range []map[string]*node{n.now, n.durable} {
		for _, one := range names {
			if !seen[one] {
				seen[one] = true
				count += one.open()
			}
		}
	}
	return count
}

// left makes the directory what a power cut leaves of it. Each change of a name
// that is not durable is asked for: whether it had reached the card.
func (c *card) left(t *testing.T, reached func() bool) {
	t.Helper()
	entries, err := os.ReadDir(c.root)
	must(t, err)
	for _, entry := range entries {
		must(t, os.RemoveAll(filepath.Join(c.root, entry.Name())))
	}
	c.top.left(t, c.root, reached)
}

func (n *node) left(t *testing.T, directory string, reached func() bool) {
	t.Helper()
	names := maps.Clone(n.durable)
	for _, change := range n.since {
		if reached() {
			change(names)
		}
	}
	for name, one := range names {
		path := filepath.Join(directory, name)
		if one.now != nil {
			must(t, os.Mkdir(path, 0o700))
			one.left(t, path, reached)
			continue
		}
		content := one.content
		if !one.flushed {
			content = content[:len(content)/2]
		}
		must(t, os.WriteFile(path, content, 0o600))
	}
}
