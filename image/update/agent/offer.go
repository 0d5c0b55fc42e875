package agent

import (
	"context"
	"errors"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// Offer is one bundle that a repository has for this box. What stands in it was
// signed, and verified.
type Offer struct {
	Release release.Release
	Hash    string // SHA-256 in hexadecimal: what the bundle is remembered by
	Length  int64  // bytes
	// Refused is why the box may not install it, nil where it may.
	Refused error
	// Waves say from when boxes may install it by themselves. Nil for the reason in NoWaves.
	Waves   *release.Waves
	NoWaves error
	// Origin is the repository's own, for its Download.
	Origin any
}

func (o Offer) version() string { return release.Plain(o.Release.Version) }

// Repository is one place where releases come from. Its methods are called from one
// goroutine.
type Repository interface {
	// Offers asks anew what there is for the box. [ErrNothingThere] where there is
	// no repository at all.
	Offers(ctx context.Context, box release.Box) (Answer, error)
	// Download brings the bundle into the file, or what is missing of it, and
	// returns once it is whole, durable and what was signed. It may be called again
	// for a file that is whole. Progress is called with the bytes that are there.
	Download(ctx context.Context, offer Offer, file string, progress func(done int64)) error
}

// Answer is what a repository has.
type Answer struct {
	Offers   []Offer
	Warnings []string // sentences for people
}

// ErrNothingThere is a stick that is not plugged in.
var ErrNothingThere = errors.New("there is no repository")

// Source is a repository, and how it is asked.
type Source struct {
	Name       string // for people: "https://updates.example.org", "stick"
	Repository Repository
	// Local is a repository that a person has brought to the box. It needs no waves:
	// who plugs it in has decided for this box. It is asked as often as Every says.
	Local bool
	// Every is how often a local one is asked, beside [Agent.Wake]; 0 is not.
	Every time.Duration
}
