package trust

import (
	"errors"
	"fmt"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Kinds of refusal. They say what is wrong with a repository or a download, and
// nothing about a release: the same may be offered again by a repository in order.
var (
	ErrUntrusted = errors.New("signed by unknown keys")
	ErrReplayed  = errors.New("older than what was seen")
	ErrExpired   = errors.New("expired")
	ErrDamaged   = errors.New("does not fit together")
	ErrEndless   = errors.New("longer than it may be")
)

// Refusal is an error with the words for the person before the box: what is wrong,
// and what to do.
type Refusal struct {
	Kind  error // one of those above
	Text  string
	Cause error // what the verification found, or nil
}

func (r *Refusal) Error() string {
	if r.Cause == nil {
		return r.Text
	}
	return r.Text + " (" + r.Cause.Error() + ")"
}

// Unwrap gives the kind, and the cause where there is one.
func (r *Refusal) Unwrap() []error {
	if r.Cause == nil {
		return []error{r.Kind}
	}
	return []error{r.Kind, r.Cause}
}

// explain gives an error of the library its words. What is explained already, and
// what is no error of verification, stays as it is.
func explain(file string, err error) error {
	var known *Refusal
	var read *sourceError
	if err == nil || errors.As(err, &known) || errors.As(err, &read) {
		return err
	}
	switch {
	case errors.Is(err, &metadata.ErrUnsignedMetadata{}):
		return &Refusal{ErrUntrusted, file + " of the repository is not signed by the keys that this box trusts: " +
			"it is from another fleet, or somebody has changed it. Nothing is installed from there. Check the address, or whose stick it is; " +
			"a box that changes fleets is flashed anew, with the root.json of its new fleet", err}
	case errors.Is(err, &metadata.ErrBadVersionNumber{}) && file == timestampFile:
		return &Refusal{ErrReplayed, file + " of the repository is older than what this box has seen: an old copy, or somebody plays one back. " +
			"Take the newest copy of the repository; make the stick anew", err}
	case errors.Is(err, &metadata.ErrExpiredMetadata{}):
		return &Refusal{ErrExpired, file + " of the repository has run out: have it renewed by whoever runs the repository", err}
	case errors.Is(err, &metadata.ErrRepository{}):
		return &Refusal{ErrDamaged, file + " of the repository is not the one that belongs to the other files: copies of different days are mixed, " +
			"or somebody has changed it. Copy the whole repository again", err}
	}
	return &Refusal{ErrDamaged, file + " of the repository is not readable: it is damaged, or a proxy or a login page answers in its place. " +
		"Open its address in a browser, or copy the whole repository again", err}
}

func explainRoot(file string, err error) error {
	if errors.Is(err, &metadata.ErrUnsignedMetadata{}) {
		return &Refusal{ErrUntrusted, file + " of the repository is not signed by the keys of the root before it, or not by enough of them: " +
			"it is from another fleet, or somebody wants to take this one over. Nothing is installed from there. " +
			"Check the address, or whose stick it is, and ask whoever holds the root keys of your fleet", err}
	}
	if errors.Is(err, &metadata.ErrBadVersionNumber{}) {
		return &Refusal{ErrDamaged, file + " of the repository is another version than its name says: " +
			"a file was renamed. Put every root.json back under its own number", err}
	}
	return explain(file, err)
}

// expired is the refusal of a file by its date; remedy says who does what.
func expired(file string, expires, now time.Time, remedy string) error {
	return &Refusal{ErrExpired, fmt.Sprintf("%s of the repository ran out on %s, and today is %s by the clock of this box: %s. See too whether that clock is right",
		file, day(expires), day(now), remedy), nil}
}

func day(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 UTC") }
