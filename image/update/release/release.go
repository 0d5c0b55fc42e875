// Package release says what a release of the box's system is, for which boxes,
// and from when: pure data and judgement, without files, network or clock. Who
// signed that is the concern of the packages that bring it here.
package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/semver"
)

// Release is what the signed metadata of a repository says of one bundle, beside
// its length and hashes. It stands under the key "assaygate" of the custom part of
// the bundle's target.
type Release struct {
	// Version is what a box runs once this is installed: SemVer in full, with or
	// without a leading v, without build metadata.
	Version string `json:"version"`
	// Boards are the compatible strings of the boxes that this is made for, as
	// RAUC's system.conf has them (assaygate-raspberrypi4_64).
	Boards []string `json:"boards"`
	// Minimum is the lowest version that can be updated to this one directly,
	// empty for every version.
	Minimum string `json:"minimum,omitempty"`
	// Notes tell people what changes, in a few lines.
	Notes string `json:"notes,omitempty"`
	// Downgrade lets this replace a higher version. Who signs that takes the higher
	// version out of the repository too: see [Conflict].
	Downgrade bool `json:"downgrade,omitempty"`
}

const (
	maxVersion = 64   // bytes
	maxBoard   = 64   // bytes
	maxBoards  = 64   // of one bundle
	maxNotes   = 8192 // bytes
)

// custom is the custom part of a target: other keys of it are not ours.
type custom struct {
	Assaygate *Release `json:"assaygate"`
}

// ErrNoRelease is for a target whose custom part says nothing to a box.
var ErrNoRelease = errors.New(`the custom part has no "assaygate" key: this is no bundle for a box`)

// ParseRelease reads the custom part of a target, and validates what it says. Keys
// that are not known are left out, so that later releases may say more: what an
// older box must not overlook is kept from it by Minimum.
func ParseRelease(data []byte) (Release, error) {
	var parsed custom
	if len(data) == 0 {
		return Release{}, ErrNoRelease
	}
	if err := json.Unmarshal(data, &parsed); err != nil {
		return Release{}, fmt.Errorf("the custom part of a bundle: %w", err)
	}
	if parsed.Assaygate == nil {
		return Release{}, ErrNoRelease
	}
	return *parsed.Assaygate, parsed.Assaygate.Validate()
}

// Custom is the custom part of a target that [ParseRelease] reads.
func (r Release) Custom() ([]byte, error) {
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return json.Marshal(custom{Assaygate: &r})
}

// Validate says what of the release cannot be right, naming the key.
func (r Release) Validate() error {
	if err := checkVersion(r.Version); err != nil {
		return fmt.Errorf("version: %w", err)
	}
	if len(r.Boards) == 0 {
		return errors.New("boards: empty: name the compatible string of at least one board")
	}
	if len(r.Boards) > maxBoards {
		return fmt.Errorf("boards: %d entries, more than %d", len(r.Boards), maxBoards)
	}
	for i, board := range r.Boards {
		if err := checkBoard(board); err != nil {
			return fmt.Errorf("boards: %w", err)
		}
		if slices.Contains(r.Boards[:i], board) {
			return fmt.Errorf("boards: %q is there twice", board)
		}
	}
	if r.Minimum != "" {
		if err := checkVersion(r.Minimum); err != nil {
			return fmt.Errorf("minimum: %w", err)
		}
		if Compare(r.Minimum, r.Version) > 0 {
			return fmt.Errorf("minimum: %s is above the version %s itself", r.Minimum, r.Version)
		}
	}
	return checkNotes(r.Notes)
}

// checkBoard holds the names to what may stand in the name of a file too.
func checkBoard(board string) error {
	outside := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
	}
	if board == "" || len(board) > maxBoard || strings.ContainsFunc(board, outside) {
		return fmt.Errorf("%.80q is no compatible string: 1 to %d letters, digits, hyphens and underscores", board, maxBoard)
	}
	return nil
}

// checkNotes keeps out what could play with the terminal that shows the notes.
func checkNotes(notes string) error {
	if len(notes) > maxNotes {
		return fmt.Errorf("notes: %d bytes, more than %d", len(notes), maxNotes)
	}
	return checkText("notes", notes)
}

func checkText(key, text string) error {
	control := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if !utf8.ValidString(text) || strings.ContainsFunc(text, control) {
		return fmt.Errorf("%s: has control characters or is no UTF-8", key)
	}
	return nil
}

// checkVersion holds a version to SemVer in full: "1.2" would have three readings.
func checkVersion(version string) error {
	v := withV(version)
	switch {
	case len(version) > maxVersion || !semver.IsValid(v):
		return fmt.Errorf("%.80q is no version such as 1.4.0 or 1.4.0-rc.1", version)
	case semver.Build(v) != "":
		return fmt.Errorf("%q has build metadata (after the +), which does not count for what is newer: leave it out", version)
	case semver.Canonical(v) != v:
		return fmt.Errorf("%q is a short version: write all three numbers, such as %s", version, semver.Canonical(v)[1:])
	}
	return nil
}

// Valid reports whether a release may have that version.
func Valid(version string) bool { return checkVersion(version) == nil }

// withV is the version as golang.org/x/mod/semver has it.
func withV(version string) string { return "v" + Plain(version) }

// Plain is the version without its leading v, as it stands in names of files.
func Plain(version string) string { return strings.TrimPrefix(version, "v") }

// Compare is -1, 0 or +1 as a is lower than, equal to or higher than b. What is no
// version is lower than every version.
func Compare(a, b string) int { return semver.Compare(withV(a), withV(b)) }

// BundlePath is the path of the target that is the bundle of a version for a
// board, by the compatible string of that.
func BundlePath(compatible, version string) string {
	return "bundles/" + compatible + "-" + Plain(version) + ".raucb"
}

// WavePath is the path of the target that is the wave file of a version.
func WavePath(version string) string { return "waves/" + Plain(version) + ".json" }
