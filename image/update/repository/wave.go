package repository

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	if err := r.offers(w.Version); err != nil {
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
