package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/envelope/spool"
)

// What a reset removes stands under names that only this program gives: beside
// the configuration, and on the image, where the directory above is the box's
// own, in tls and profiles beside that directory. Nothing else is removed, and
// no symbolic link followed: what a link points to may be anybody's. So what a
// configuration off the image names elsewhere stays.

// ownFiles are the files and directories beside the configuration.
func (r resetting) ownFiles() []string {
	return []string{filepath.Base(r.config), filepath.Base(r.config) + previousSuffix, filepath.Base(r.config) + keptSuffix, filepath.Base(journalBeside(r.config)), historyFolder, secretsFolder, pinFile, takenFile, knownStoresFile}
}

// ownSiblings are the directories beside that of the configuration, on the image.
func (r resetting) ownSiblings() []string {
	directory, err := filepath.Abs(filepath.Dir(r.config))
	if err != nil || r.factory == "" || filepath.Base(directory) != "config" {
		return nil
	}
	return []string{filepath.Join(filepath.Dir(directory), "tls"), filepath.Join(filepath.Dir(directory), "profiles")}
}

// wipes lists what is to be removed, so that each directory comes after what is
// in it.
func (r resetting) wipes() (paths []string, err error) {
	add := func(top string, whole bool) {
		var found []string
		err = errors.Join(err, filepath.WalkDir(top, func(path string, _ fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if whole || path != top {
				found = append(found, path)
			}
			return err
		}))
		slices.Reverse(found)
		paths = append(paths, found...)
	}
	for _, name := range r.ownFiles() {
		add(r.beside(name), true)
		// What a power cut has left of one that was being replaced.
		left, failed := filepath.Glob(filepath.Join(escapeGlob(filepath.Dir(r.config)), "."+escapeGlob(name)+".*"))
		for _, path := range left {
			add(path, true)
		}
		err = errors.Join(err, failed)
	}
	for _, directory := range r.ownSiblings() {
		if info, failed := os.Lstat(directory); failed == nil && info.IsDir() {
			add(directory, false) // it stays, and whose it is
		}
	}
	if err != nil {
		return nil, fmt.Errorf("looking for what a factory reset removes: %w", err)
	}
	return paths, nil
}

func escapeGlob(text string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(text)
}

// found is what the old configuration says that a reset needs to know.
type found struct {
	box, owner string
	stores     []string
	captures   []string
}

// look reads the configuration as far as it can be read: a box may be reset just
// because it cannot. What is then left out, the previous configuration and the
// factory's say, and on the image the places where things are.
func (r resetting) look() found {
	var f found
	for _, path := range []string{r.config, r.config + keptSuffix, r.config + previousSuffix} {
		if f.read(path) {
			break
		}
	}
	if r.factory != "" {
		f.read(r.factory) // where the store is that the box's own does not name
	}
	if text, err := os.ReadFile(r.beside(pinFile)); err == nil {
		f.owner = strings.TrimSpace(string(text))
	}
	if siblings := r.ownSiblings(); len(siblings) > 0 {
		data := filepath.Dir(siblings[0])
		f.add(&f.stores, filepath.Join(data, "spool"))
		f.add(&f.captures, filepath.Join(data, "captures"))
	}
	return f
}

// read takes what the file says, and reports whether it says all.
func (f *found) read(path string) bool {
	document, err := config.Load(path)
	if err != nil {
		return false
	}
	c := Config{Spool: spool.Defaults()}
	errs := document.Decode(&c)
	if c.Spool.Directory != "" {
		f.add(&f.stores, c.Spool.Directory)
	}
	for _, d := range c.Destinations {
		if d.Capture != nil && d.Capture.Directory != "" {
			f.add(&f.captures, d.Capture.Directory)
		}
	}
	if c.Owner != nil && f.owner == "" {
		f.owner = c.Owner.PublicKey
	}
	if f.box == "" {
		f.box = c.Box.Name
	}
	return len(errs) == 0
}

func (f *found) add(list *[]string, directory string) {
	if absolute, err := filepath.Abs(directory); err == nil && !slices.Contains(*list, absolute) {
		*list = append(*list, absolute)
	}
}

// captureName is what files of the capture destination and wire traces are
// called, finished or not: only these are set aside, for the directory may be
// anybody's.
var captureName = regexp.MustCompile(`^\.?\d{8}T\d{6}\.\d{6}Z-.*\.(astm|hl7|bin|wire)(\.partial)?(\.tmp)?$`)

// capturesIn returns the names of the captures in a directory, none where that is
// a symbolic link.
func capturesIn(directory string) (names []string, err error) {
	if info, err := os.Lstat(directory); err != nil || !info.IsDir() {
		return nil, existing(err, fs.ErrNotExist)
	}
	entries, err := os.ReadDir(directory)
	for _, entry := range entries {
		if entry.Type().IsRegular() && captureName.MatchString(entry.Name()) {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

// plan looks for what the reset has to do.
func (r resetting) plan(ctx context.Context, q resetRequest) (p resetPlan, err error) {
	found := r.look()
	p = resetPlan{Owner: found.owner, Box: found.box}
	wipes, err := r.wipes()
	if err != nil {
		return p, err
	}
	p.wipes = len(wipes)
	if p.Last, err = r.last(); err != nil {
		return p, err
	}
	p.Last.remember(q, found.owner, r.beside(takenFile))
	if q.Signed {
		return p, nil // the owner's store stays open
	}
	if p.Number, err = spool.NextSealed(append(slices.Clone(found.stores), found.captures...)...); err != nil {
		return p, err
	}
	for _, store := range found.stores {
		vacant, err := spool.Vacant(ctx, store)
		if err != nil {
			r.log.Warn("the store cannot be read; it is sealed as it is", "directory", store, "error", err)
		}
		if !vacant {
			p.Stores = append(p.Stores, spool.Moved{From: store, To: spool.SealedPath(store, p.Number)})
		}
	}
	for _, directory := range found.captures {
		names, err := capturesIn(directory)
		if err != nil {
			return p, fmt.Errorf("looking for captures, which a reset sets aside: %w", err)
		}
		if len(names) > 0 {
			p.Files = append(p.Files, spool.Moved{From: directory, To: spool.SealedPath(directory, p.Number)})
		}
	}
	return p, nil
}

// remember adds a reset to what the box knows, and what it knew of its owner's
// sticks.
func (l *lastReset) remember(q resetRequest, owner, taken string) {
	l.At, l.By, l.Signed, l.Anew = q.At, q.By, q.Signed, false
	text, err := os.ReadFile(taken)
	if err != nil || owner == "" {
		return
	}
	if l.Taken == nil {
		l.Taken = map[string]string{}
	}
	l.Taken[owner] = strings.TrimSpace(string(text))
}
