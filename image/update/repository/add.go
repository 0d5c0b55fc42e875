package repository

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/assaygate/assaygate/image/update/release"
)

// Bundle is a file that boxes are to install, and what they are told of it.
type Bundle struct {
	Path    string
	Release release.Release
}

// Add offers bundles. A version is never other bytes than before; versions of a
// board only rise, unless the release is a downgrade: it takes the higher versions
// of its board out. A later, higher version ends a downgrade.
func (r *Repository) Add(bundles []Bundle) (Outcome, error) {
	if err := r.require(Targets); err != nil {
		return Outcome{}, err
	}
	r.change(Targets)
	var notes []string
	for _, b := range bundles {
		if err := b.Release.Validate(); err != nil {
			return Outcome{}, fmt.Errorf("%s: %w", b.Path, err)
		}
		of, err := measure(b.Path)
		if err != nil {
			return Outcome{}, err
		}
		said, err := r.offer(b, of)
		if err != nil {
			return Outcome{}, fmt.Errorf("%s: %w", b.Path, err)
		}
		notes = append(notes, said...)
		if err := copyTarget(b.Path, r.public(), pathOf(b.Release), of); err != nil {
			return Outcome{}, err
		}
	}
	if err := release.Conflict(releasesOf(r.draft.targets)); err != nil {
		return Outcome{}, err
	}
	out, err := r.settle([]string{Targets}, false)
	out.Notes = append(notes, out.Notes...)
	return out, err
}

// pathOf is the path of the target. A bundle is for one board; where it is for
// several, the first names it.
func pathOf(of release.Release) string { return release.BundlePath(of.Boards[0], of.Version) }

// offer puts one bundle into the draft.
func (r *Repository) offer(b Bundle, of *metadata.TargetFiles) (notes []string, err error) {
	targets, path := r.draft.targets.Signed.Targets, pathOf(b.Release)
	if before, is := targets[path]; is && !sameFile(before, of) {
		return nil, fmt.Errorf("version %s for %s is in the repository already, with another content: boxes may have it; give the new one a new version",
			release.Plain(b.Release.Version), b.Release.Boards[0])
	}
	for _, other := range offersOf(r.draft.targets) {
		if other.path == path || !slices.ContainsFunc(b.Release.Boards, other.For) {
			continue
		}
		above := release.Compare(other.Version, b.Release.Version) > 0
		switch {
		case above && b.Release.Downgrade:
			delete(targets, other.path)
			notes = append(notes, noLonger(other))
		case above:
			return nil, fmt.Errorf("version %s is lower than %s, which the repository has for %s: versions only rise; sign it as one that replaces higher versions with --downgrade",
				release.Plain(b.Release.Version), release.Plain(other.Version), other.Boards[0])
		case other.Downgrade:
			other.Downgrade = false
			if targets[other.path].Custom, err = customOf(other.Release); err != nil {
				return nil, err
			}
			notes = append(notes, fmt.Sprintf("version %s is no downgrade any longer", release.Plain(other.Version)))
		}
	}
	custom, err := customOf(b.Release)
	if err != nil {
		return nil, err
	}
	targets[path] = &metadata.TargetFiles{Length: of.Length, Hashes: of.Hashes, Custom: custom, Path: path}
	return notes, nil
}

func customOf(of release.Release) (*json.RawMessage, error) {
	text, err := of.Custom()
	return (*json.RawMessage)(&text), err
}

// offered is a bundle that the targets name.
type offered struct {
	release.Release
	path string
	of   *metadata.TargetFiles
}

// offersOf are the bundles in the targets, the lowest version first. What says
// nothing to boxes is left out.
func offersOf(targets *metadata.Metadata[metadata.TargetsType]) (all []offered) {
	for path, of := range targets.Signed.Targets {
		if of.Custom == nil {
			continue
		}
		if parsed, err := release.ParseRelease(*of.Custom); err == nil {
			all = append(all, offered{parsed, path, of})
		}
	}
	slices.SortFunc(all, func(a, b offered) int {
		if by := release.Compare(a.Version, b.Version); by != 0 {
			return by
		}
		return strings.Compare(a.path, b.path)
	})
	return all
}

func releasesOf(targets *metadata.Metadata[metadata.TargetsType]) (all []release.Release) {
	for _, o := range offersOf(targets) {
		all = append(all, o.Release)
	}
	return all
}

func noLonger(o offered) string {
	return fmt.Sprintf("version %s is no longer offered to %s", release.Plain(o.Version), strings.Join(o.Boards, ", "))
}

// Remove takes a version out, for all boards. Its files stay: a box may be in the
// middle of them.
func (r *Repository) Remove(version string) (Outcome, error) {
	if err := r.require(Targets); err != nil {
		return Outcome{}, err
	}
	if err := r.offers(version); err != nil {
		return Outcome{}, err
	}
	r.change(Targets)
	var notes []string
	for _, o := range offersOf(r.draft.targets) {
		if release.Compare(o.Version, version) == 0 {
			delete(r.draft.targets.Signed.Targets, o.path)
			notes = append(notes, noLonger(o))
		}
	}
	out, err := r.settle([]string{Targets}, false)
	out.Notes = append(notes, out.Notes...)
	return out, err
}

// offers is an error where the repository has no bundle of the version.
func (r *Repository) offers(version string) error {
	var known []string
	for _, o := range offersOf(r.draft.targets) {
		if release.Compare(o.Version, version) == 0 {
			return nil
		}
		if plain := release.Plain(o.Version); !slices.Contains(known, plain) {
			known = append(known, plain)
		}
	}
	if len(known) == 0 {
		return fmt.Errorf("there is no version %s: the repository has none yet; add one with assaygate update repo add", version)
	}
	return fmt.Errorf("there is no version %s: the repository has %s", version, strings.Join(known, ", "))
}
