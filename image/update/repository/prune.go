package repository

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// pruneAfter is how old a file is before Prune takes it: what was just brought from
// another computer may belong to a change that comes after it.
const pruneAfter = 7 * 24 * time.Hour

// Prune removes the files of bundles and waves that nothing names: neither what is
// published, nor what waits for signatures. It returns those, below public.
// Metadata stays, all of it: a box needs every root, and the rest is small.
//
// A box that is in the middle of such a bundle finds it gone, asks anew, and takes
// what is offered now.
func (r *Repository) Prune() (removed []string, err error) {
	if r.base.targets == nil {
		return nil, errors.New("nothing is published yet, so nothing is known of the files in public/targets")
	}
	named := map[string]bool{}
	for _, m := range []*metadata.Metadata[metadata.TargetsType]{
		r.base.targets, r.base.waves, r.draft.targets, r.draft.waves, r.waits.is.Targets, r.waits.is.Waves,
	} {
		if m == nil {
			continue
		}
		for path, of := range m.Signed.Targets {
			named[targetFile(r.public(), path, of)] = true
		}
	}
	for _, folder := range []string{"bundles", "waves"} {
		files, err := os.ReadDir(filepath.Join(r.public(), "targets", folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		for _, file := range files {
			path := filepath.Join(r.public(), "targets", folder, file.Name())
			info, err := file.Info()
			if err != nil {
				return removed, err
			}
			if named[path] || !info.Mode().IsRegular() || r.now.Sub(info.ModTime()) < pruneAfter {
				continue
			}
			if err := os.Remove(path); err != nil {
				return removed, err
			}
			removed = append(removed, filepath.ToSlash(filepath.Join("targets", folder, file.Name())))
		}
	}
	return removed, nil
}
