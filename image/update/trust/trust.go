// Package trust answers one question: may this be installed? It follows the signed
// metadata of a repository as The Update Framework has it (TUF 1.0), from the
// root.json that a box was flashed with, and fetches bundles that the metadata
// vouches for. Whoever holds the network, the server or the stick can keep updates
// from a box, and can do no more.
//
// A repository is a directory of static files:
//
//	metadata/N.root.json       who may sign; each is signed by the one before
//	metadata/N.targets.json    the bundles; keys kept offline
//	metadata/N.snapshot.json   which files belong together; online keys
//	metadata/timestamp.json    the newest snapshot; renewed often, so that nobody can hold it back
//	metadata/N.waves.json      which wave files there are; keys of who runs the fleet
//	targets/bundles/HASH.NAME  a bundle, see release.BundlePath
//	targets/waves/HASH.NAME    a wave file, see release.WavePath
//
// What was trusted once is kept, so that nothing older is followed later.
package trust

import (
	"context"
	"errors"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// Clock is the time now, and whether the box knows it. While it does not, expiry
// is a warning only: a box without a battery must still find an update that mends
// its clock. That nothing older is followed holds all the same.
type Clock func() (now time.Time, set bool)

// Client follows repositories. Only one process at a time uses a directory.
type Client struct {
	kept  store
	root  []byte
	clock Clock
}

// New is a client that keeps the trusted metadata in a directory of its own, whose
// parent exists, and trusts the root.json given at flashing. Where the two do not
// belong together, the root.json counts.
func New(dir string, root []byte, clock Clock) *Client {
	return &Client{kept: store(dir), root: root, clock: clock}
}

// Repository is what a repository holds, verified.
type Repository struct {
	// Root and Timestamp are the versions of the metadata, for the log.
	Root, Timestamp int64
	// Expires is when a part of the metadata runs out, if nobody renews it.
	Expires time.Time
	// Warnings are sentences for people: what did not stop the update, and should
	// not stay so.
	Warnings []string

	source  Source
	targets *metadata.Metadata[metadata.TargetsType]
	waves   *metadata.Metadata[metadata.TargetsType] // nil for the reason in noWaves
	noWaves error
}

// Refresh fetches the metadata of a repository and verifies it. An error is a
// [Refusal] where the repository is at fault; all others may be over by the next
// attempt. What was verified until then is kept in either case.
func (c *Client) Refresh(ctx context.Context, source Source) (*Repository, error) {
	now, set := c.clock()
	var trusted *trustedmetadata.TrustedMetadata
	err := guarded(c.root, func(root []byte) (err error) {
		trusted, err = trustedmetadata.New(root)
		return err
	})
	if err != nil {
		return nil, &Refusal{ErrDamaged, "the root.json that this box was flashed with cannot be used: flash the box anew", err}
	}
	trusted.RefTime = now
	if !set {
		trusted.RefTime = time.Unix(0, 0) // nothing has expired
	}
	kept, unread, err := c.kept.load()
	if err != nil {
		return nil, err
	}
	r := newRefresh(source, trusted, kept)
	repository, err := r.run(ctx)
	if saved := r.save(c.kept); err != nil || saved != nil {
		return nil, errors.Join(err, saved)
	}
	repository.Warnings = append(repository.Warnings, unread...)
	if !set {
		repository.Warnings = append(repository.Warnings, r.unjudged(now))
	}
	return repository, nil
}
