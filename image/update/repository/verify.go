package repository

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"github.com/assaygate/assaygate/image/update/release"
)

// Report is what Verify found.
type Report struct {
	// Faults are what a box refuses, or what must not be published.
	Faults []string
	// Expired are so many of the faults: all is as it was signed, and too old.
	Expired int
	// Warnings are what will be a fault, or waits for somebody.
	Warnings []string
	// Notes are what may not be meant, and asks for nothing.
	Notes []string
	// Roles are what was signed, in the order of Roles; none where the metadata
	// itself is refused.
	Roles []RoleReport
	// Boards are what boxes would do.
	Boards []BoardReport
}

// RoleReport is the newest metadata of one role.
type RoleReport struct {
	Role            string
	Version         int64
	Expires         time.Time
	Threshold, Keys int // of which so many must sign
}

// VerifyOptions say as which box a repository is looked at.
type VerifyOptions struct {
	// Root is the root.json that the box was flashed with; root 1 of the repository
	// where it is empty.
	Root []byte
	// At is the time for which is judged.
	At time.Time
}

// Warnings come so long before metadata expires: of what machines sign, and of
// what people do.
const (
	soonOnline  = 7 * 24 * time.Hour
	soonOffline = 365 * 24 * time.Hour
)

// Verify judges a repository as a box would, from the first root on, and every
// file that it names. Dir is that of a repository, or what is published of it. The
// error is for a directory that is neither.
func Verify(dir string, o VerifyOptions) (Report, error) {
	public := dir
	var report Report
	_, err := readSettings(dir)
	whole := err == nil
	if whole {
		public = filepath.Join(dir, publicName)
	} else if _, there := os.Stat(filepath.Join(dir, "metadata")); there != nil {
		return Report{}, err
	}
	read := metadataReader(public)
	report.lookForRoots(public)
	report.lookForKeys(public)
	root := o.Root
	if root == nil {
		if root, err = read(metadataName(Root, 1)); err != nil {
			report.fault("%s", unpublished(dir, public, err))
			return report, nil
		}
	}
	box, err := walk(read, root, time.Time{})
	if err != nil {
		report.fault("%v", err)
		return report, nil
	}
	if whole {
		report.lookForPending(dir, publishedBy(box))
	}
	report.roles(box, o.At)
	report.targets(public, box, o.At)
	return report, nil
}

// unpublished says why there is no first root.
func unpublished(dir, public string, err error) string {
	if waits, _ := readPending(filepath.Join(dir, pendingName)); waits.Root != nil && waits.Root.Signed.Version == 1 {
		return fmt.Sprintf("nothing is published yet: what init has made waits for signatures: see it with assaygate update repo sign %s --show", dir)
	}
	if files, _ := filepath.Glob(filepath.Join(public, "metadata", "*.json")); len(files) == 0 {
		return fmt.Sprintf("nothing is published in %s", public)
	}
	return fmt.Sprintf("%v: bring it back from the server or from a copy", err)
}

func (r *Report) fault(format string, values ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, values...))
}

func (r *Report) note(format string, values ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, values...))
}

func (r *Report) warn(format string, values ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, values...))
}

// lookForPending warns of what waits for signatures, and of what came too late.
func (r *Report) lookForPending(dir string, base published) {
	path := filepath.Join(dir, pendingName)
	waits, err := readPending(path)
	if err != nil {
		r.warn("%s: %v", path, err)
	}
	d, stale := newDraft(base, waits)
	for _, err := range stale {
		r.warn("%s: %v", path, err)
	}
	if len(d.changed) > 0 {
		r.warn("a change waits for signatures: see it with assaygate update repo sign %s --show", dir)
	}
	aside, _ := filepath.Glob(filepath.Join(dir, asidePattern))
	for _, path := range aside {
		r.warn("%s holds a change that came too late: make it again if it is wanted still, and remove the file", path)
	}
}

// lookForRoots finds a gap in the history: a box on the wrong side of it can
// follow no further.
func (r *Report) lookForRoots(public string) {
	files, _ := filepath.Glob(filepath.Join(public, "metadata", "*.root.json"))
	highest := 0
	for _, name := range files {
		if n, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), ".root.json")); err == nil {
			highest = max(highest, n)
		}
	}
	for n := 1; n < highest; n++ {
		name := metadataName(Root, int64(n))
		if _, err := os.Stat(filepath.Join(public, "metadata", name)); err != nil {
			r.fault("%s is missing: boxes with an older root can follow no further", name)
		}
	}
}

// lookForKeys finds private keys where everybody can read them.
func (r *Report) lookForKeys(public string) {
	err := filepath.WalkDir(public, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil || info.Size() > maxKeyFile {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("PRIVATE KEY")) {
			r.fault("%s is a private key: take it out of what is published, and rotate it", path)
		}
		return err
	})
	if err != nil {
		r.fault("%v", err)
	}
}

// roles says until when everything is valid.
func (r *Report) roles(box *trustedmetadata.TrustedMetadata, at time.Time) {
	root, targets, waves := box.Root.Signed, box.Targets[Targets].Signed, box.Targets[Waves].Signed
	add := func(role string, version int64, expires time.Time, threshold, keys int) {
		r.Roles = append(r.Roles, RoleReport{role, version, expires, threshold, keys})
		soon, remedy := soonOffline, "refresh --renew "+role
		if role == Snapshot || role == Timestamp {
			soon, remedy = soonOnline, "refresh"
		}
		switch {
		case at.After(expires):
			r.Expired++
			r.fault("%s has expired, on %s: boxes whose clock is set take nothing from here; renew it with assaygate update repo %s",
				metadataName(role, version), day(expires), remedy)
		case at.Add(soon).After(expires):
			r.warn("%s expires on %s: renew it with assaygate update repo %s", metadataName(role, version), day(expires), remedy)
		}
	}
	top := func(role string, version int64, expires time.Time) {
		add(role, version, expires, root.Roles[role].Threshold, len(root.Roles[role].KeyIDs))
	}
	of := targets.Delegations.Roles[0]
	top(Root, root.Version, root.Expires)
	top(Targets, targets.Version, targets.Expires)
	add(Waves, waves.Version, waves.Expires, of.Threshold, len(of.KeyIDs))
	top(Snapshot, box.Snapshot.Signed.Version, box.Snapshot.Signed.Expires)
	top(Timestamp, box.Timestamp.Signed.Version, box.Timestamp.Signed.Expires)
}

// day is a time as people read it.
func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") + " UTC" }

// targets looks at every file that boxes are told of.
func (r *Report) targets(public string, box *trustedmetadata.TrustedMetadata, at time.Time) {
	signed := box.Targets[Targets]
	for _, path := range sortedTargets(signed) {
		of := signed.Signed.Targets[path]
		r.bundle(path, of)
		r.file(public, path, of)
	}
	offers := offersOf(signed)
	if err := release.Conflict(releasesOf(signed)); err != nil {
		r.fault("%v", err)
	}
	waves := r.waves(public, box.Targets[Waves], offers)
	told := map[string]bool{}
	for _, o := range offers {
		version := release.Plain(o.Version)
		if _, is := waves[version]; !is && !told[version] {
			told[version] = true
			r.note("version %s has no wave file: boxes take it from a stick only; assaygate update repo wave lets them take it over HTTPS", version)
		}
	}
	r.Boards = judgeBoards(offers, waves, at)
}

func sortedTargets(m *metadata.Metadata[metadata.TargetsType]) []string {
	return slices.Sorted(maps.Keys(m.Signed.Targets))
}

// bundle judges what the metadata says of one.
func (r *Report) bundle(path string, of *metadata.TargetFiles) {
	if of.Custom == nil {
		r.fault("%s: %v", path, release.ErrNoRelease)
		return
	}
	parsed, err := release.ParseRelease(*of.Custom)
	if err != nil {
		r.fault("%s: %v", path, err)
		return
	}
	if !slices.ContainsFunc(parsed.Boards, func(board string) bool { return release.BundlePath(board, parsed.Version) == path }) {
		r.fault("%s: is version %s for %s by what is signed, which its name does not say", path, parsed.Version, strings.Join(parsed.Boards, ", "))
	}
}

// file compares the bytes of a target.
func (r *Report) file(public, path string, of *metadata.TargetFiles) {
	there, err := measure(targetFile(public, path, of))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.fault("%s: the file is not there", path)
	case err != nil:
		r.fault("%v", err)
	case !sameFile(there, of):
		r.fault("%s: is not the file that was signed: %d bytes with SHA-256 %s, signed were %d with %s", path,
			there.Length, there.Hashes["sha256"], of.Length, of.Hashes["sha256"])
	}
}

// waves reads the wave files, by their version.
func (r *Report) waves(public string, signed *metadata.Metadata[metadata.TargetsType], offers []offered) map[string]release.Waves {
	all := map[string]release.Waves{}
	for _, path := range sortedTargets(signed) {
		if !strings.HasPrefix(path, "waves/") {
			r.fault("%s: the role waves may not name it", path)
			continue
		}
		w, err := readWaves(public, path, signed.Signed.Targets[path])
		if err != nil {
			r.fault("%v", err)
			continue
		}
		all[release.Plain(w.Version)] = w
		if !slices.ContainsFunc(offers, func(o offered) bool { return release.Compare(o.Version, w.Version) == 0 }) {
			r.note("%s: there is no bundle of this version, so it is without effect", path)
		}
	}
	return all
}
