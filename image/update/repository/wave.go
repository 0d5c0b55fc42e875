package repository

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/assaygate/assaygate/image/update/release"
)

// startSlack is how far in the past waves may begin: clocks differ, and a person
// types slowly.
const startSlack = 10 * time.Minute

// Wave says from when which share of a fleet takes a version over HTTPS. Waves
// begin now or later, or as those before: the first one shows for a whole day what
// goes wrong.
func (r *Repository) Wave(w release.Waves) (Outcome, error) {
	if err := r.require(Waves); err != nil {
		return Outcome{}, err
	}
	if err := w.Validate(); err != nil {
		return Outcome{}, err
	}
	if err := r.mayGoOut(w); err != nil {
		return Outcome{}, err
	}
	before, is, err := r.Waves(w.Version)
	if err != nil {
		return Outcome{}, err
	}
	goesOn := is && before.Waves[0].From.Equal(w.Waves[0].From)
	if early := r.now.Sub(w.Waves[0].From); early > startSlack && !goesOn {
		return Outcome{}, fmt.Errorf("the first wave would have begun %s ago: it begins now or later, so that it can show what goes wrong", early)
	}
	data, err := json.MarshalIndent(w, "", "\t")
	if err != nil {
		return Outcome{}, err
	}
	data = append(data, '\n')
	path := release.WavePath(w.Version)
	of, err := new(metadata.TargetFiles).FromBytes(path, data)
	if err != nil {
		return Outcome{}, err
	}
	to := targetFile(r.public(), path, of)
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return Outcome{}, err
	}
	if err := r.replace(to, data); err != nil {
		return Outcome{}, err
	}
	r.change(Waves)
	r.draft.waves.Signed.Targets[path] = of
	return r.settle([]string{Waves}, false)
}

// mayGoOut refuses waves of a version that no box is told of. One that waits for
// signatures has none yet: their time would pass while it waits, and all boxes
// would take it at once when it comes. A pause is for whatever boxes know, and for
// what they will.
func (r *Repository) mayGoOut(w release.Waves) error {
	if offeredIn(r.base.targets, w.Version) {
		return nil
	}
	if err := r.offers(w.Version); err != nil || w.Paused != "" {
		return err
	}
	return fmt.Errorf("version %s is not published yet, it waits for signatures: its waves would pass meanwhile, and all boxes would take it at once; "+
		"sign and publish it first, and call wave then", release.Plain(w.Version))
}

func offeredIn(targets *metadata.Metadata[metadata.TargetsType], version string) bool {
	return targets != nil && slices.ContainsFunc(offersOf(targets), func(o offered) bool { return release.Compare(o.Version, version) == 0 })
}

// hasty tells of versions that boxes are told of from now on, or to which they go
// back from now on, and whose waves are from an earlier time: nobody sees first what
// goes wrong.
func (r *Repository) hasty(before, after published) (notes []string) {
	for _, o := range offersOf(after.targets) {
		if before.targets != nil && slices.ContainsFunc(offersOf(before.targets), func(b offered) bool {
			return b.path == o.path && b.Downgrade == o.Downgrade
		}) {
			continue
		}
		path := release.WavePath(o.Version)
		of, is := after.waves.Signed.Targets[path]
		if !is {
			continue
		}
		w, err := readWaves(r.public(), path, of)
		if err != nil || w.Paused != "" || len(w.Waves) < 2 || r.now.Before(w.Waves[1].From) {
			continue
		}
		version := release.Plain(o.Version)
		note := fmt.Sprintf("warning: the waves of version %s are of an earlier time: %s, with no first wave before the others; "+
			"to begin with a few, call assaygate update repo wave %s %s", version, ReleaseReport{Waves: w}.State(r.now), r.dir, version)
		if !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	return notes
}

// Waves are those of the version as they were last signed, false where there are
// none.
func (r *Repository) Waves(version string) (release.Waves, bool, error) {
	of, is := r.draft.waves.Signed.Targets[release.WavePath(version)]
	if !is {
		return release.Waves{}, false, nil
	}
	w, err := readWaves(r.public(), release.WavePath(version), of)
	return w, err == nil, err
}

// readWaves reads a wave file, which must be the one that was signed, and for the
// version that its name says.
func readWaves(public, path string, of *metadata.TargetFiles) (release.Waves, error) {
	data, err := os.ReadFile(targetFile(public, path, of))
	if errors.Is(err, fs.ErrNotExist) {
		return release.Waves{}, fmt.Errorf("%s: the file is not there", path)
	}
	if err != nil {
		return release.Waves{}, err
	}
	if err := of.VerifyLengthHashes(data); err != nil {
		return release.Waves{}, fmt.Errorf("%s: is not the file that was signed: %w", path, err)
	}
	w, err := release.ParseWaves(data)
	if err != nil {
		return release.Waves{}, fmt.Errorf("%s: %w", path, err)
	}
	if release.WavePath(w.Version) != path {
		return release.Waves{}, fmt.Errorf("%s: is for version %s", path, w.Version)
	}
	return w, nil
}
