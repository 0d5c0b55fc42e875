package config

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// moment is one of the times of which a change knows the contents of its files.
type moment int

const (
	after     moment = iota // the change was carried out
	before                  // it was made
	confirmed               // the last change was confirmed, before it was made
)

// replacement is one file of a change.
type replacement struct {
	Path string // of the file itself, where links lead to it
	// Sets is false for a file that only an earlier change on trial has replaced.
	Sets     bool
	Sums     [3]string  // SHA-256 of contents, so that what a failing card gives is not taken for them
	contents [3]*[]byte // by moment; nil: there is no file
}

// errUnreadable is why a change is given up: it is not what was written.
var errUnreadable = errors.New("the journal of a change is damaged")

// sumOf is the sum of contents, "" where there is no file.
func sumOf(content *[]byte) string {
	if content == nil {
		return ""
	}
	return fmt.Sprintf("%x", sha256.Sum256(*content))
}

// listing is what stands in index.json. The contents of item N stand in N.0, N.1
// and N.2, one for each moment; a file that is not there stands for none.
type listing struct {
	Trial bool
	Items []replacement
}

const indexFile = "index.json"

func contentFile(n int, at moment) string { return fmt.Sprintf("%d.%d", n, at) }

// write writes the change into staging and makes it durable.
func (j *Journal) write(items []replacement, c Change) error {
	directory := j.path(staging)
	if err := j.disk.makeDirectory(directory); err != nil {
		return err
	}
	for n := range items {
		for at, content := range items[n].contents {
			items[n].Sums[at] = sumOf(content)
		}
	}
	text, err := json.Marshal(listing{c.Trial, items})
	if err != nil {
		return err
	}
	files := map[string][]byte{indexFile: text, noteFile: c.Note}
	for n, one := range items {
		for at, content := range one.contents {
			if content != nil {
				files[contentFile(n, moment(at))] = *content
			}
		}
	}
	for name, content := range files {
		if err := j.disk.create(filepath.Join(directory, name), content); err != nil {
			return err
		}
	}
	return j.disk.sync(directory)
}

// load reads a change back. Its error wraps errUnreadable where it is not what was
// written.
func (j *Journal) load(name string) (listing, []replacement, error) {
	directory := j.path(name)
	var l listing
	text, err := read(filepath.Join(directory, indexFile))
	if err != nil {
		return listing{}, nil, fmt.Errorf("read the journal of a change: %w", err)
	}
	if text == nil || json.Unmarshal(*text, &l) != nil {
		return listing{}, nil, fmt.Errorf("%w: %s", errUnreadable, indexFile)
	}
	for n := range l.Items {
		one := &l.Items[n]
		for at := range one.contents {
			if one.contents[at], err = read(filepath.Join(directory, contentFile(n, moment(at)))); err != nil {
				return listing{}, nil, fmt.Errorf("read the journal of a change: %w", err)
			}
			if sumOf(one.contents[at]) != one.Sums[at] {
				return listing{}, nil, fmt.Errorf("%w: what belongs to %s", errUnreadable, one.Path)
			}
		}
	}
	return l, l.Items, nil
}

// read returns what a file holds, nil where there is none.
func read(path string) (*[]byte, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &content, nil
}

// linked is the file that a path leads to; one that is not there is itself.
func linked(path string) string {
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		return resolved
	}
	return filepath.Clean(path)
}
