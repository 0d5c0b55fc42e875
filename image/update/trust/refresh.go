package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// The bounds of the metadata in bytes, where what was signed says nothing smaller.
const (
	maxRoot      = 256 << 10
	maxTimestamp = 16 << 10
	maxSnapshot  = 128 << 10
	maxTargets   = 2 << 20
)

const (
	maxRotations  = 256 // roots followed at a time
	wavesRole     = "waves"
	timestampFile = "timestamp.json"
	snapshotFile  = "snapshot.json"
	targetsFile   = "targets.json"
	wavesFile     = "waves.json"
)

// refresh is one run of the client's workflow of TUF. The order of its steps is
// part of the protocol: what was kept is loaded before what is new, so that the
// new is held to it.
type refresh struct {
	source  Source
	trusted *trustedmetadata.TrustedMetadata
	kept    files // as found
	next    files // to be kept from now on
}

func newRefresh(source Source, trusted *trustedmetadata.TrustedMetadata, kept files) *refresh {
	return &refresh{source: source, trusted: trusted, kept: kept, next: maps.Clone(kept)}
}

func (r *refresh) run(ctx context.Context) (*Repository, error) {
	steps := []func(context.Context) error{r.roots, r.timestamp, r.snapshot, r.targets}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, r.withGap(ctx, err)
		}
	}
	noWaves := r.waves(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return &Repository{
		Root:      r.trusted.Root.Signed.Version,
		Timestamp: r.trusted.Timestamp.Signed.Version,
		Expires:   r.expires(),
		source:    r.source,
		targets:   r.trusted.Targets[metadata.TARGETS],
		waves:     r.trusted.Targets[wavesRole],
		noWaves:   noWaves,
	}, nil
}

// save keeps what was verified, and does not touch the card where that is nothing
// new.
func (r *refresh) save(kept store) error {
	if maps.EqualFunc(r.kept, r.next, bytes.Equal) {
		return nil
	}
	return kept.replace(r.next)
}

// roots goes from the root of flashing to the newest one, each signed by the keys of
// the one before. Whether a root has expired counts for the last of them only: a box
// that lay in a drawer still finds its way.
func (r *refresh) roots(ctx context.Context) error {
	for range maxRotations {
		name := rootFile(r.trusted.Root.Signed.Version + 1)
		if data, ok := r.kept[name]; ok && r.update(name, data, r.updateRoot) == nil {
			continue
		}
		data, err := fetch(ctx, r.source, "metadata/"+name, maxRoot)
		if errors.Is(err, fs.ErrNotExist) {
			return r.checkRoot()
		}
		if err != nil {
			return err
		}
		before := r.onlineKeys()
		if err := r.update(name, data, r.updateRoot); err != nil {
			return explainRoot(name, err)
		}
		if r.onlineKeys() != before {
			r.forgetOnline()
		}
	}
	return &Refusal{ErrDamaged, fmt.Sprintf("the repository goes on after %d new roots: this box follows no more of them at a time. Flash it anew",
		maxRotations), nil}
}

func rootFile(version int64) string { return fmt.Sprintf("%d.root.json", version) }

func (r *refresh) updateRoot(data []byte) error {
	_, err := r.trusted.UpdateRoot(data)
	return err
}

// onlineKeys tells which keys sign timestamp and snapshot, and how many of them have to.
func (r *refresh) onlineKeys() string {
	all := ""
	for _, name := range []string{metadata.TIMESTAMP, metadata.SNAPSHOT} {
		if role := r.trusted.Root.Signed.Roles[name]; role != nil {
			all += fmt.Sprint(name, role.Threshold, slices.Sorted(slices.Values(role.KeyIDs)))
		}
	}
	return all
}

// forgetOnline drops what was signed by keys that a new root has replaced (TUF, 5.3.11): they
// may have been stolen, and have signed a version that no honest one will ever reach.
func (r *refresh) forgetOnline() {
	for _, name := range []string{timestampFile, snapshotFile} {
		delete(r.kept, name)
		delete(r.next, name)
	}
}

// checkRoot judges the newest root that there is.
func (r *refresh) checkRoot() error {
	root := &r.trusted.Root.Signed
	if root.IsExpired(r.trusted.RefTime) {
		return expired(rootFile(root.Version), root.Expires, r.trusted.RefTime, "whoever holds the root keys of your fleet signs a new root")
	}
	if !root.ConsistentSnapshot {
		return &Refusal{ErrDamaged, fmt.Sprintf("%s is for a repository whose files change in place, which boxes do not follow: "+
			"make the repository with assaygate update repo", rootFile(root.Version)), nil}
	}
	return nil
}

func (r *refresh) timestamp(ctx context.Context) error {
	if data, ok := r.kept[timestampFile]; ok {
		// One that is signed by keys which are replaced since does not hold back
		// what is new: its key may be the one that was stolen.
		_ = r.update("", data, r.updateTimestamp)
	}
	data, err := fetch(ctx, r.source, "metadata/"+timestampFile, maxTimestamp)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no repository at %s: metadata/%s is missing. Check the address; a stick has the folders metadata and targets "+
			"beside assaygate.yaml (%w)", r.source, timestampFile, err)
	}
	if err != nil {
		return err
	}
	err = r.update(timestampFile, data, r.updateTimestamp)
	if errors.Is(err, &metadata.ErrEqualVersionNumber{}) {
		err = nil
	}
	if stamp := r.trusted.Timestamp; stamp != nil && (err == nil || errors.Is(err, &metadata.ErrExpiredMetadata{})) {
		if stamp.Signed.IsExpired(r.trusted.RefTime) {
			return expired(timestampFile, stamp.Signed.Expires, r.trusted.RefTime,
				"either nobody renews the repository any longer, or somebody holds back what is newer. "+
					"Have it renewed by whoever runs it, or make the stick anew")
		}
	}
	return explain(timestampFile, err)
}

func (r *refresh) updateTimestamp(data []byte) error {
	_, err := r.trusted.UpdateTimestamp(data)
	return err
}

func (r *refresh) snapshot(ctx context.Context) error {
	if data, ok := r.kept[snapshotFile]; ok {
		err := r.update("", data, func(data []byte) error {
			_, err := r.trusted.UpdateSnapshot(data, true)
			return err
		})
		if err == nil {
			return nil
		}
	}
	meta := r.trusted.Timestamp.Signed.Meta[snapshotFile]
	if meta == nil {
		return &Refusal{ErrDamaged, timestampFile + " of the repository names no snapshot: make the repository with assaygate update repo", nil}
	}
	err := r.fetchRole(ctx, snapshotFile, meta, maxSnapshot, func(data []byte) error {
		_, err := r.trusted.UpdateSnapshot(data, false)
		return err
	})
	if shot := r.trusted.Snapshot; shot != nil && errors.Is(err, &metadata.ErrExpiredMetadata{}) {
		return expired(snapshotFile, shot.Signed.Expires, r.trusted.RefTime, "have the repository renewed by whoever runs it, or make the stick anew")
	}
	return explain(snapshotFile, err)
}

func (r *refresh) targets(ctx context.Context) error {
	err := r.targetsRole(ctx, targetsFile, metadata.TARGETS, metadata.ROOT)
	if errors.Is(err, &metadata.ErrExpiredMetadata{}) {
		return &Refusal{ErrExpired, "the list of bundles (" + targetsFile + ") has run out: whoever makes your releases signs it anew. " +
			"See too whether the clock of this box is right", err}
	}
	return explain(targetsFile, err)
}

// waves loads what the role of the waves has signed, and returns why there is
// none. That does not stop what needs no waves.
func (r *refresh) waves(ctx context.Context) error {
	targets := &r.trusted.Targets[metadata.TARGETS].Signed
	if targets.Delegations == nil || r.trusted.Snapshot.Signed.Meta[wavesFile] == nil {
		return errors.New("the repository has no waves: nobody has said from when boxes may install by themselves")
	}
	err := r.targetsRole(ctx, wavesFile, wavesRole, metadata.TARGETS)
	if errors.Is(err, &metadata.ErrExpiredMetadata{}) {
		return &Refusal{ErrExpired, "the list of waves (" + wavesFile + ") has run out: whoever runs the fleet signs it anew", err}
	}
	return explain(wavesFile, err)
}

func (r *refresh) targetsRole(ctx context.Context, file, role, parent string) error {
	load := func(data []byte) error {
		_, err := r.trusted.UpdateDelegatedTargets(data, role, parent)
		return err
	}
	if data, ok := r.kept[file]; ok && r.update("", data, load) == nil {
		return nil
	}
	meta := r.trusted.Snapshot.Signed.Meta[file]
	if meta == nil {
		return &Refusal{ErrDamaged, snapshotFile + " of the repository does not name " + file + ": make the repository with assaygate update repo", nil}
	}
	return r.fetchRole(ctx, file, meta, maxTargets, load)
}

// fetchRole fetches the version of a file that signed metadata names, and loads it.
func (r *refresh) fetchRole(ctx context.Context, file string, meta *metadata.MetaFiles, most int64, load func([]byte) error) error {
	if meta.Length > 0 {
		most = min(most, meta.Length)
	}
	path := fmt.Sprintf("metadata/%d.%s", meta.Version, file)
	data, err := fetch(ctx, r.source, path, most)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the repository at %s is not whole: %s is missing. Copy it again, with all its files (%w)", r.source, path, err)
	}
	if err != nil {
		return err
	}
	return r.update(file, data, load)
}

// update hands metadata to the library, and has it kept under the name where it
// was taken.
func (r *refresh) update(name string, data []byte, load func([]byte) error) error {
	if err := guarded(data, load); err != nil {
		return err
	}
	if name != "" {
		r.next[name] = data
	}
	return nil
}

// guarded calls into the library, which takes for granted that nothing is missing
// in metadata, and panics where something is: a captured server must not stop the
// agent with that.
func guarded(data []byte, load func([]byte) error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("not complete: %v", fault)
		}
	}()
	return load(data)
}

// withGap says so where metadata has the wrong signature, or the root has run out,
// because a root in between is missing: the box then stays with old keys. A root that is
// missing is no error by itself: TUF (5.3) has the search end there.
func (r *refresh) withGap(ctx context.Context, err error) error {
	kind := ErrUntrusted
	if r.trusted.Root.Signed.IsExpired(r.trusted.RefTime) {
		kind = ErrExpired
	}
	if !errors.Is(err, kind) {
		return err
	}
	missing := r.trusted.Root.Signed.Version + 1
	for next := missing + 1; next <= missing+2; next++ {
		if _, none := fetch(ctx, r.source, "metadata/"+rootFile(next), maxRoot); none == nil {
			return &Refusal{kind, fmt.Sprintf("metadata/%s is missing from the repository, and %s is there: the way from the keys that this box "+
				"knows to those in use has a gap. Put every root.json back that there ever was: boxes need each of them",
				rootFile(missing), rootFile(next)), err}
		}
	}
	return err
}

// expires is when the first part of the metadata runs out.
func (r *refresh) expires() time.Time {
	first := r.trusted.Root.Signed.Expires
	for _, other := range []time.Time{
		r.trusted.Timestamp.Signed.Expires, r.trusted.Snapshot.Signed.Expires,
		r.trusted.Targets[metadata.TARGETS].Signed.Expires,
	} {
		if other.Before(first) {
			first = other
		}
	}
	return first
}

// unjudged is the warning where the clock is not set.
func (r *refresh) unjudged(now time.Time) string {
	first := r.expires()
	if now.After(first) {
		return fmt.Sprintf("the metadata of the repository ran out on %s. It is followed because the clock of this box is not set: set it (network.ntp, "+
			"or a battery), so that nobody can hold back newer releases", day(first))
	}
	return "the clock of this box is not set, so nobody can tell whether the repository is up to date: set it (network.ntp, or a battery)"
}
