package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// Box is what a release is judged for.
type Box struct {
	Compatible string // what RAUC's system.conf says of the board
	Version    string // what it runs
}

// Kinds of refusal, for who must tell them apart. The text for people is in the
// error that wraps them.
var (
	ErrWrongBoard = errors.New("made for another board")
	ErrNotNewer   = errors.New("not newer than what runs")
	ErrTooOld     = errors.New("what runs is too old for it")
	ErrNoVersion  = errors.New("the version that runs is not known")
)

// refusal is one of the kinds, with the words for the person before the box.
type refusal struct {
	kind error
	text string
}

func (r refusal) Error() string { return r.text }
func (r refusal) Unwrap() error { return r.kind }

// Permit says whether the box may install the release, nil where it may. The
// error says what is wrong and what to do.
func (r Release) Permit(box Box) error {
	if !r.For(box.Compatible) {
		return refusal{ErrWrongBoard, fmt.Sprintf("version %s is made for %s, and this box is %s: take the bundle of its own board",
			Plain(r.Version), strings.Join(r.Boards, ", "), box.Compatible)}
	}
	known := semver.IsValid(withV(box.Version))
	if !known && (!r.Downgrade || r.Minimum != "") {
		return refusal{ErrNoVersion, fmt.Sprintf("this box runs %q, which is no version that could be compared with %s: flash a released image",
			box.Version, Plain(r.Version))}
	}
	if !known {
		return nil
	}
	switch order := Compare(r.Version, box.Version); {
	case order == 0:
		return refusal{ErrNotNewer, fmt.Sprintf("this box runs version %s already: nothing to do", Plain(box.Version))}
	case order < 0 && !r.Downgrade:
		return refusal{ErrNotNewer, fmt.Sprintf("version %s is older than %s, which this box runs: versions only rise, "+
			"unless who makes the releases signs this one as a downgrade", Plain(r.Version), Plain(box.Version))}
	}
	if r.Minimum != "" && Compare(box.Version, r.Minimum) < 0 {
		return refusal{ErrTooOld, fmt.Sprintf("this box runs %s, and version %s can be installed from %s on: install %s first",
			Plain(box.Version), Plain(r.Version), Plain(r.Minimum), Plain(r.Minimum))}
	}
	return nil
}

// For reports whether the release is made for the board.
func (r Release) For(compatible string) bool { return slices.Contains(r.Boards, compatible) }

// Conflict reports what speaks against offering the releases together: two with
// the same version for one board, or a downgrade beside a higher version for the
// same board, between which a box would go to and fro.
func Conflict(releases []Release) error {
	for i, a := range releases {
		for _, b := range releases[i+1:] {
			if err := together(a, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func together(a, b Release) error {
	at := slices.IndexFunc(a.Boards, b.For)
	if at < 0 {
		return nil
	}
	board := a.Boards[at]
	order := Compare(a.Version, b.Version)
	if order > 0 {
		a, b = b, a
	}
	switch {
	case order == 0:
		return fmt.Errorf("version %s for %s is there twice: take one of them out", Plain(a.Version), board)
	case a.Downgrade:
		return fmt.Errorf("version %s is signed as a downgrade beside the higher version %s for the same board: "+
			"a box would go to and fro between them; take %s out, or make %s no downgrade any longer",
			Plain(a.Version), Plain(b.Version), Plain(b.Version), Plain(a.Version))
	}
	return nil
}
