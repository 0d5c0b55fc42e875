package repository

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// reader returns a file of public/metadata, fs.ErrNotExist where there is none.
type reader func(name string) ([]byte, error)

// published files as they lie on the disk.
func metadataReader(public string) reader {
	return func(name string) ([]byte, error) { return os.ReadFile(filepath.Join(public, "metadata", name)) }
}

// over reads the files instead of those below where there are such.
func (below reader) over(files []file) reader {
	return func(name string) ([]byte, error) {
		for _, f := range files {
			if f.name == name {
				return f.data, nil
			}
		}
		return below(name)
	}
}

// metadataName is the name of a file of metadata. Only that of the timestamp has
// no version in it.
func metadataName(role string, version int64) string {
	if role == Timestamp {
		return "timestamp.json"
	}
	return strconv.FormatInt(version, 10) + "." + role + ".json"
}

// walk takes the metadata of a repository in as a box does that trusts the given
// root, in the same order and by the same judgement. A clock of zero finds nothing
// expired. The error names the file that is refused.
func walk(read reader, root []byte, clock time.Time) (box *trustedmetadata.TrustedMetadata, err error) {
	err = guarded(func() error {
		box, err = trustedmetadata.New(root)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("the root that is trusted from the start: %w", err)
	}
	box.RefTime = clock
	for {
		name := metadataName(Root, box.Root.Signed.Version+1)
		data, err := read(name)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err == nil {
			err = guarded(func() error { _, err := box.UpdateRoot(data); return err })
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	if !box.Root.Signed.ConsistentSnapshot {
		return nil, fmt.Errorf("%s: consistent_snapshot is off", metadataName(Root, box.Root.Signed.Version))
	}
	return box, follow(box, read)
}

// guarded calls into the library, which takes for granted that nothing is missing
// in metadata, and panics where something is.
func guarded(load func() error) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			err = fmt.Errorf("is not complete: %v", fault)
		}
	}()
	return load()
}

// follow takes in what stands below the root.
func follow(box *trustedmetadata.TrustedMetadata, read reader) error {
	take := func(role string, version int64, update func([]byte) error) error {
		name := metadataName(role, version)
		data, err := read(name)
		if err == nil {
			err = guarded(func() error { return update(data) })
		}
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		return nil
	}
	if err := take(Timestamp, 0, func(data []byte) error { _, err := box.UpdateTimestamp(data); return err }); err != nil {
		return err
	}
	meta := box.Timestamp.Signed.Meta[Snapshot+".json"]
	if meta == nil {
		return errors.New("timestamp.json: names no snapshot.json")
	}
	if err := take(Snapshot, meta.Version, func(data []byte) error { _, err := box.UpdateSnapshot(data, false); return err }); err != nil {
		return err
	}
	for _, of := range []struct{ role, delegator string }{{Targets, Root}, {Waves, Targets}} {
		meta := box.Snapshot.Signed.Meta[of.role+".json"]
		if meta == nil {
			return fmt.Errorf("%s: names no %s.json", metadataName(Snapshot, box.Snapshot.Signed.Version), of.role)
		}
		err := take(of.role, meta.Version, func(data []byte) error {
			_, err := box.UpdateDelegatedTargets(data, of.role, of.delegator)
			return err
		})
		if err != nil {
			return err
		}
	}
	return checkDelegation(box.Targets[Targets])
}

// checkDelegation holds the role of the waves to what boxes expect: who signs
// waves must not be able to name bundles.
func checkDelegation(targets *metadata.Metadata[metadata.TargetsType]) error {
	name := metadataName(Targets, targets.Signed.Version)
	of := targets.Signed.Delegations
	if of == nil || len(of.Roles) != 1 || of.Roles[0].Name != Waves {
		return fmt.Errorf("%s: must delegate to the role waves, and to no other", name)
	}
	role := of.Roles[0]
	if !role.Terminating || len(role.Paths) != 1 || role.Paths[0] != wavePaths || len(role.PathHashPrefixes) != 0 {
		return fmt.Errorf("%s: the role waves must be terminating, and for %s only", name, wavePaths)
	}
	return nil
}

// wavePaths are the targets that the operator of a fleet signs.
const wavePaths = "waves/*"
