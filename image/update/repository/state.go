package repository

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// file is one of public/metadata that is to be written.
type file struct {
	name string
	data []byte
}

// published is what boxes see. All is nil before anything is.
type published struct {
	root      *metadata.Metadata[metadata.RootType]
	targets   *metadata.Metadata[metadata.TargetsType]
	waves     *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
}

// readPublished takes the repository in as a box does that trusts root 1, so that
// nothing is ever signed on top of what a stranger put there. A cut of the very
// first publication leaves files without a root, which count as nothing.
func readPublished(read reader) (published, error) {
	first, err := read(metadataName(Root, 1))
	if errors.Is(err, fs.ErrNotExist) {
		return published{}, nil
	}
	if err != nil {
		return published{}, err
	}
	box, err := walk(read, first, time.Time{})
	if err != nil {
		return published{}, err
	}
	return publishedBy(box), nil
}

// publishedBy is what a box knows that has taken all in.
func publishedBy(box *trustedmetadata.TrustedMetadata) published {
	return published{box.Root, box.Targets[Targets], box.Targets[Waves], box.Snapshot, box.Timestamp}
}

// draft is what people sign, as it shall be: what is published, with changes.
type draft struct {
	root    *metadata.Metadata[metadata.RootType]
	targets *metadata.Metadata[metadata.TargetsType]
	waves   *metadata.Metadata[metadata.TargetsType]
	changed []string // the roles in which it is not what is published
}

// pending is a draft in its file: only the roles that are changed.
type pending struct {
	Root    *metadata.Metadata[metadata.RootType]    `json:"root,omitempty"`
	Targets *metadata.Metadata[metadata.TargetsType] `json:"targets,omitempty"`
	Waves   *metadata.Metadata[metadata.TargetsType] `json:"waves,omitempty"`
}

func readPending(path string) (pending, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return pending{}, nil
	}
	if err != nil {
		return pending{}, err
	}
	return parsePending(text)
}

func parsePending(text []byte) (p pending, err error) {
	err = guarded(func() error { return json.Unmarshal(text, &p) })
	if err == nil {
		err = p.whole()
	}
	if err != nil {
		return pending{}, fmt.Errorf("it is damaged: %w; bring it once more, or make the change again", err)
	}
	return p, nil
}

// whole refuses what lacks a part that no version of a role is without.
func (p pending) whole() error {
	if p.Root != nil {
		for _, role := range []string{Root, Targets, Snapshot, Timestamp} {
			if p.Root.Signed.Roles[role] == nil {
				return fmt.Errorf("the root has no role %s", role)
			}
		}
		if err := wholeKeys(p.Root.Signed.Keys); err != nil {
			return fmt.Errorf("the root: %w", err)
		}
	}
	if p.Targets != nil {
		if delegated(p.Targets) == nil {
			return errors.New("the targets do not delegate to the waves")
		}
		if err := wholeKeys(p.Targets.Signed.Delegations.Keys); err != nil {
			return fmt.Errorf("the targets: %w", err)
		}
	}
	for _, m := range []*metadata.Metadata[metadata.TargetsType]{p.Targets, p.Waves} {
		if m == nil {
			continue
		}
		if m.Signed.Targets == nil {
			return errors.New("there is no list of targets")
		}
		for path, of := range m.Signed.Targets {
			if of == nil {
				return fmt.Errorf("nothing is said of %s", path)
			}
		}
	}
	return nil
}

func wholeKeys(keys map[string]*metadata.Key) error {
	for id, key := range keys {
		if key == nil {
			return fmt.Errorf("the key %s is empty", id)
		}
	}
	return nil
}

// newDraft is what is published, with what waits for signatures. Stale is what of
// that cannot follow what is published: then nothing of it is taken, for its parts
// belong together, as a key and what it has signed.
func newDraft(base published, p pending) (_ draft, stale []error) {
	bare := draft{root: base.root, targets: base.targets, waves: base.waves}
	d := bare
	for _, err := range []error{
		adopt(&d, Root, &d.root, p.Root, func(r *metadata.RootType) int64 { return r.Version }),
		adopt(&d, Targets, &d.targets, p.Targets, func(t *metadata.TargetsType) int64 { return t.Version }),
		adopt(&d, Waves, &d.waves, p.Waves, func(t *metadata.TargetsType) int64 { return t.Version }),
	} {
		if err != nil {
			stale = append(stale, err)
		}
	}
	if len(stale) > 0 {
		return bare, stale
	}
	return d, nil
}

// adopt takes one role of what waits into the draft. What is published already,
// because a cut came before it was taken out of the file, is left out.
func adopt[T metadata.Roles](d *draft, role string, to **metadata.Metadata[T], waits *metadata.Metadata[T], version func(*T) int64) error {
	if waits == nil {
		return nil
	}
	before := int64(0)
	if *to != nil {
		before = version(&(*to).Signed)
	}
	switch at := version(&waits.Signed); {
	case at == before+1:
		*to = waits
		d.changed = append(d.changed, role)
		return nil
	case at == before && sameSigned(*to, waits):
		return nil
	case at > before+1:
		return fmt.Errorf("version %d of %s waits for signatures, and version %d is published here, which is an old state: "+
			"bring public back from the server first", at, role, before)
	default:
		return fmt.Errorf("version %d of %s waits for signatures, and version %d is published: it was made from another copy of the repository; "+
			"make the change again, from a new one", at, role, before)
	}
}

// sameSigned reports whether two say the same, whoever signed.
func sameSigned[T metadata.Roles](a, b *metadata.Metadata[T]) bool {
	one, errOne := json.Marshal(a.Signed)
	two, errTwo := json.Marshal(b.Signed)
	return errOne == nil && errTwo == nil && bytes.Equal(one, two)
}

// file is the draft as it waits: those of the roles.
func (d *draft) file(roles []string) ([]byte, error) {
	var p pending
	if slices.Contains(roles, Root) {
		p.Root = d.root
	}
	if slices.Contains(roles, Targets) {
		p.Targets = d.targets
	}
	if slices.Contains(roles, Waves) {
		p.Waves = d.waves
	}
	return json.MarshalIndent(p, "", "\t")
}

// change makes a new version of the role in the draft, which nobody has signed.
// What waits already is changed further, and must be signed anew.
func (r *Repository) change(role string) {
	d := &r.draft
	first := !slices.Contains(d.changed, role)
	if first {
		d.changed = append(d.changed, role)
	}
	switch role {
	case Root:
		d.root = renewed(d.root)
		d.root.Signed.Expires = r.expires(Root)
		if first {
			d.root.Signed.Version++
		}
	case Targets:
		d.targets = renewed(d.targets)
		d.targets.Signed.Expires = r.expires(Targets)
		if first {
			d.targets.Signed.Version++
		}
	case Waves:
		d.waves = renewed(d.waves)
		d.waves.Signed.Expires = r.expires(Waves)
		if first {
			d.waves.Signed.Version++
		}
	}
}

// renewed is a copy without signatures.
func renewed[T metadata.Roles](m *metadata.Metadata[T]) *metadata.Metadata[T] {
	text, err := m.ToBytes(false)
	if err != nil {
		panic(err) // it was read from such bytes, or made of strings and numbers
	}
	again, err := new(metadata.Metadata[T]).FromBytes(text)
	if err != nil {
		panic(err)
	}
	again.ClearSignatures()
	return again
}

// delegated is the role of the waves in the targets, nil where there is none.
func delegated(targets *metadata.Metadata[metadata.TargetsType]) *metadata.DelegatedRole {
	if targets == nil || targets.Signed.Delegations == nil || len(targets.Signed.Delegations.Roles) != 1 {
		return nil
	}
	return &targets.Signed.Delegations.Roles[0]
}
