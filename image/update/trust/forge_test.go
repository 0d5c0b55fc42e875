package trust

import (
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

const (
	board    = "assaygate-raspberrypi4_64"
	month    = 30 * 24 * time.Hour
	runs     = "1.0.0" // what the box of these tests runs
	bundle11 = "bundles/assaygate-raspberrypi4_64-1.1.0.raucb"
)

// today is when these tests take place.
func today() time.Time { return time.Date(2031, 5, 4, 12, 0, 0, 0, time.UTC) }

// forge makes repositories that are really signed, and breaks them in every way. A
// change is seen by boxes after publish.
type forge struct {
	t         testing.TB
	dir       string
	keys      map[string][]ed25519.PrivateKey // by role
	signs     map[string][]ed25519.PrivateKey // who really signs, where that is someone else
	root      *metadata.Metadata[metadata.RootType]
	targets   *metadata.Metadata[metadata.TargetsType]
	waves     *metadata.Metadata[metadata.TargetsType]
	snapshot  *metadata.Metadata[metadata.SnapshotType]
	timestamp *metadata.Metadata[metadata.TimestampType]
	version   int64 // of all but the root
}

// newForge is a repository with a root of two keys out of three, and nothing else.
func newForge(t testing.TB) *forge {
	t.Helper()
	expires := today().Add(12 * month)
	f := &forge{
		t: t, dir: t.TempDir(), keys: map[string][]ed25519.PrivateKey{}, signs: map[string][]ed25519.PrivateKey{},
		root: metadata.Root(expires), targets: metadata.Targets(expires), waves: metadata.Targets(expires),
		snapshot: metadata.Snapshot(today().Add(month)), timestamp: metadata.Timestamp(today().Add(7 * 24 * time.Hour)),
	}
	for role, n := range map[string]int{metadata.ROOT: 3, metadata.TARGETS: 2, metadata.SNAPSHOT: 1, metadata.TIMESTAMP: 1, wavesRole: 1} {
		for range n {
			f.keys[role] = append(f.keys[role], newKey(t))
		}
	}
	for role, keys := range f.keys {
		for _, key := range keys {
			if role != wavesRole {
				must(t, f.root.Signed.AddKey(public(t, key), role))
			}
		}
	}
	f.root.Signed.Roles[metadata.ROOT].Threshold = 2
	f.root.Signed.Roles[metadata.TARGETS].Threshold = 2
	f.delegate("waves/*")
	f.publishRoot()
	return f
}

func (f *forge) delegate(paths ...string) {
	id, err := public(f.t, f.keys[wavesRole][0]).ID()
	must(f.t, err)
	f.targets.Signed.Delegations = &metadata.Delegations{
		Keys:  map[string]*metadata.Key{id: public(f.t, f.keys[wavesRole][0])},
		Roles: []metadata.DelegatedRole{{Name: wavesRole, KeyIDs: []string{id}, Threshold: 1, Terminating: true, Paths: paths}},
	}
}

func newKey(t testing.TB) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	return key
}

func public(t testing.TB, key ed25519.PrivateKey) *metadata.Key {
	t.Helper()
	known, err := metadata.KeyFromPublicKey(key.Public())
	must(t, err)
	return known
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// add puts a file into the repository as a target of the role.
func (f *forge) add(role *metadata.Metadata[metadata.TargetsType], target string, data, custom []byte) {
	f.t.Helper()
	short, long := sha256.Sum256(data), sha512.Sum512(data)
	entry := &metadata.TargetFiles{
		Length: int64(len(data)), Path: target,
		Hashes: metadata.Hashes{"sha256": short[:], "sha512": long[:]},
	}
	if custom != nil {
		raw := json.RawMessage(custom)
		entry.Custom = &raw
	}
	role.Signed.Targets[target] = entry
	f.write(targetFile(target, hex.EncodeToString(short[:])), data)
}

// bundle adds a release, and returns its content.
func (f *forge) bundle(r release.Release, length int) []byte {
	f.t.Helper()
	custom, err := r.Custom()
	must(f.t, err)
	data := make([]byte, length)
	for i := range data {
		data[i] = byte(i * i >> 7)
	}
	f.add(f.targets, release.BundlePath(r.Boards[0], r.Version), data, custom)
	return data
}

// wave adds a wave file.
func (f *forge) wave(w release.Waves) {
	f.t.Helper()
	data, err := json.Marshal(w)
	must(f.t, err)
	f.add(f.waves, release.WavePath(w.Version), data, nil)
}

// publish signs all but the root as a new state.
func (f *forge) publish() {
	f.t.Helper()
	f.version++
	f.targets.Signed.Version, f.waves.Signed.Version = f.version, f.version
	f.snapshot.Signed.Version, f.timestamp.Signed.Version = f.version, f.version
	f.snapshot.Signed.Meta = map[string]*metadata.MetaFiles{
		targetsFile: f.meta(sign(f, metadata.TARGETS, f.targets), "targets"),
		wavesFile:   f.meta(sign(f, wavesRole, f.waves), "waves"),
	}
	f.publishSnapshot()
}

// publishSnapshot signs snapshot and timestamp as they are.
func (f *forge) publishSnapshot() {
	f.t.Helper()
	f.timestamp.Signed.Meta = map[string]*metadata.MetaFiles{snapshotFile: f.meta(sign(f, metadata.SNAPSHOT, f.snapshot), "snapshot")}
	f.write("metadata/timestamp.json", sign(f, metadata.TIMESTAMP, f.timestamp))
}

func (f *forge) publishRoot() {
	f.t.Helper()
	f.write("metadata/"+rootFile(f.root.Signed.Version), sign(f, metadata.ROOT, f.root))
}

// rotate replaces all keys of the roles by a new root, which the old root signs too.
func (f *forge) rotate(roles ...string) {
	f.t.Helper()
	before := slices.Clone(f.keys[metadata.ROOT])
	for _, role := range roles {
		for i, key := range f.keys[role] {
			id, err := public(f.t, key).ID()
			must(f.t, err)
			must(f.t, f.root.Signed.RevokeKey(id, role))
			f.keys[role][i] = newKey(f.t)
			must(f.t, f.root.Signed.AddKey(public(f.t, f.keys[role][i]), role))
		}
	}
	f.root.Signed.Version++
	f.signs[metadata.ROOT] = before
	if slices.Contains(roles, metadata.ROOT) {
		f.signs[metadata.ROOT] = slices.Concat(before, f.keys[metadata.ROOT])
	}
	f.publishRoot()
	delete(f.signs, metadata.ROOT)
}

// sign signs with the keys of the role, or with those that a test has put in their
// place.
func sign[T metadata.Roles](f *forge, role string, m *metadata.Metadata[T]) []byte {
	f.t.Helper()
	m.ClearSignatures()
	keys := f.keys[role]
	if f.signs[role] != nil {
		keys = f.signs[role]
	}
	for _, key := range keys {
		signer, err := signature.LoadSigner(key, crypto.Hash(0))
		must(f.t, err)
		_, err = m.Sign(signer)
		must(f.t, err)
	}
	data, err := m.ToBytes(true)
	must(f.t, err)
	return data
}

// meta writes a signed file, and says of it what the next one has to.
func (f *forge) meta(data []byte, role string) *metadata.MetaFiles {
	f.t.Helper()
	var signed struct {
		Signed struct {
			Version int64 `json:"version"`
		} `json:"signed"`
	}
	must(f.t, json.Unmarshal(data, &signed))
	f.write(fmt.Sprintf("metadata/%d.%s.json", signed.Signed.Version, role), data)
	sum := sha256.Sum256(data)
	return &metadata.MetaFiles{Version: signed.Signed.Version, Length: int64(len(data)), Hashes: metadata.Hashes{"sha256": sum[:]}}
}

func (f *forge) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

func (f *forge) write(name string, data []byte) {
	f.t.Helper()
	must(f.t, os.MkdirAll(filepath.Dir(f.path(name)), 0o700))
	must(f.t, os.WriteFile(f.path(name), data, 0o600))
}

func (f *forge) read(name string) []byte {
	f.t.Helper()
	data, err := os.ReadFile(f.path(name))
	must(f.t, err)
	return data
}

// target is where the repository has the content of a target.
func (f *forge) target(role *metadata.Metadata[metadata.TargetsType], target string) string {
	return targetFile(target, role.Signed.Targets[target].Hashes["sha256"].String())
}

// box is a new client that trusts the repository's first root.
func (f *forge) box() *Client {
	f.t.Helper()
	return New(filepath.Join(f.t.TempDir(), "trusted"), f.read("metadata/1.root.json"), at(today()))
}

func at(now time.Time) Clock { return func() (time.Time, bool) { return now, true } }

// copyOf is another directory with all that the repository has now.
func (f *forge) copyOf() string {
	f.t.Helper()
	dir := f.t.TempDir()
	must(f.t, os.CopyFS(dir, os.DirFS(f.dir)))
	return dir
}

// normal is a repository with one release for the board, one for another board,
// and waves.
func normal(t testing.TB) *forge {
	t.Helper()
	f := newForge(t)
	f.bundle(release.Release{Version: "1.1.0", Boards: []string{board}, Notes: "Faster."}, 300_000)
	f.bundle(release.Release{Version: "1.1.0", Boards: []string{"assaygate-raspberrypi3_64"}}, 1000)
	f.wave(release.Waves{Version: "1.1.0", Waves: []release.Wave{{Share: 5, From: today()}}})
	f.publish()
	return f
}

// keptIn is what a client keeps, by name.
func keptIn(t testing.TB, c *Client) files {
	t.Helper()
	kept, _, err := c.kept.load()
	must(t, err)
	return kept
}

func names(kept files) []string { return slices.Sorted(maps.Keys(kept)) }
