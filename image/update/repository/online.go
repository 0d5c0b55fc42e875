package repository

import (
	"maps"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// follow makes snapshot and timestamp for what people have signed, where those
// that are published are not good for it, or a fresh timestamp is asked for. Files
// are those of the roles that change.
func (r *Repository) follow(
	root *metadata.Metadata[metadata.RootType], targets, waves *metadata.Metadata[metadata.TargetsType], files []file, fresh bool,
) (made []file, err error) {
	snapshot, timestamp := r.base.snapshot, r.base.timestamp
	meta := map[string]*metadata.MetaFiles{}
	for role, m := range map[string]*metadata.Metadata[metadata.TargetsType]{Targets: targets, Waves: waves} {
		name := metadataName(role, m.Signed.Version)
		if at := slices.IndexFunc(files, func(f file) bool { return f.name == name }); at >= 0 {
			meta[role+".json"] = describe(m.Signed.Version, files[at].data)
		} else {
			meta[role+".json"] = snapshot.Signed.Meta[role+".json"]
		}
	}
	old := snapshot == nil || !maps.EqualFunc(snapshot.Signed.Meta, meta, sameMeta) || root.VerifyDelegate(Snapshot, snapshot) != nil
	if old || fresh && r.snapshotAges() {
		next := metadata.Snapshot(r.expires(Snapshot))
		next.Signed.Meta = meta
		if snapshot != nil {
			next.Signed.Version = snapshot.Signed.Version + 1
		}
		if err := signOnline(r, root, Snapshot, next); err != nil {
			return nil, err
		}
		f, err := encode(Snapshot, next.Signed.Version, next)
		if err != nil {
			return nil, err
		}
		made, snapshot = append(made, f), next
	}
	if len(made) == 0 && !fresh && timestamp != nil && root.VerifyDelegate(Timestamp, timestamp) == nil {
		return nil, nil
	}
	next := metadata.Timestamp(r.expires(Timestamp))
	next.Signed.Meta = map[string]*metadata.MetaFiles{}
	if len(made) > 0 {
		next.Signed.Meta[Snapshot+".json"] = describe(snapshot.Signed.Version, made[0].data)
	} else {
		next.Signed.Meta[Snapshot+".json"] = timestamp.Signed.Meta[Snapshot+".json"]
	}
	if timestamp != nil {
		next.Signed.Version = timestamp.Signed.Version + 1
	}
	if err := signOnline(r, root, Timestamp, next); err != nil {
		return nil, err
	}
	f, err := encode(Timestamp, next.Signed.Version, next)
	return append(made, f), err
}

// signOnline signs with the keys that the role has under the root, and with those
// that boxes know so far.
func signOnline[T metadata.Roles](r *Repository, root *metadata.Metadata[metadata.RootType], role string, m *metadata.Metadata[T]) error {
	if missing, is := r.unable(root, role); is {
		return &MissingError{Missing: []Missing{missing}, Dirs: r.keys.dirs, Passed: r.keys.passed}
	}
	ids := slices.Clone(root.Signed.Roles[role].KeyIDs)
	if r.base.root != nil {
		ids = append(ids, without(r.base.root.Signed.Roles[role].KeyIDs, ids)...)
	}
	_, err := sign(&r.keys, m, ids)
	return err
}

// snapshotAges reports whether less than half of the time is left that the
// published snapshot is valid for, or it would expire before the new timestamp: what
// somebody takes along now is good for as long as that says.
func (r *Repository) snapshotAges() bool {
	expires := r.base.snapshot.Signed.Expires
	return r.expires(Timestamp).After(expires) || r.now.AddDate(0, 0, r.settings.ValidityDays[Snapshot]/2).After(expires)
}

// describe is what the metadata above says of a file of metadata.
func describe(version int64, data []byte) *metadata.MetaFiles {
	of, err := new(metadata.TargetFiles).FromBytes("", data)
	if err != nil {
		panic(err) // SHA-256 is known, and bytes can be read
	}
	return &metadata.MetaFiles{Version: version, Length: of.Length, Hashes: of.Hashes}
}

func sameMeta(a, b *metadata.MetaFiles) bool {
	return a.Version == b.Version && a.Length == b.Length && a.Hashes.Equal(b.Hashes)
}
