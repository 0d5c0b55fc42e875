package repository

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// InitOptions are what a new repository is made with.
type InitOptions struct {
	// KeyDirs hold the keys: files ROLE-N.pem with private keys, or ROLE-N.pub with
	// the public keys of people who sign later. Without them, keys are made.
	KeyDirs []string
	// How many keys of root and targets are made.
	RootKeys, TargetsKeys int
	// How many of them must sign.
	RootThreshold, TargetsThreshold int
	// TimestampDays is how long a timestamp is valid, so how long a box goes on with
	// a repository that nobody renews.
	TimestampDays int
}

// DefaultInit is right for most: a lost root key is no disaster, and a stolen one
// neither.
func DefaultInit() InitOptions {
	return InitOptions{RootKeys: 3, RootThreshold: 2, TargetsKeys: 1, TargetsThreshold: 1, TimestampDays: timestampDays}
}

// Init makes a repository in a directory that is new or empty. It returns the
// files of private keys that it made.
func Init(dir string, o InitOptions) (keys []string, out Outcome, err error) {
	return initialise(dir, o, replace)
}

func initialise(dir string, o InitOptions, replace func(string, []byte) error) (keys []string, out Outcome, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, Outcome{}, err
	}
	if len(entries) > 0 {
		return nil, Outcome{}, fmt.Errorf("%s is not empty: name a new directory, for a repository that is made again is another one, which no box trusts", dir)
	}
	s := newSettings()
	if o.TimestampDays < 1 {
		return nil, Outcome{}, fmt.Errorf("a timestamp that is valid for %d days: give at least one", o.TimestampDays)
	}
	// A snapshot of which half of the time is left outlives each timestamp.
	s.ValidityDays[Timestamp], s.ValidityDays[Snapshot] = o.TimestampDays, min(max(snapshotDays, 2*o.TimestampDays+1), maxDays)
	ring, notes := map[string][]*metadata.Key{}, []string(nil)
	if len(o.KeyDirs) > 0 {
		if ring, notes, err = s.namedKeys(o.KeyDirs); err != nil {
			return nil, Outcome{}, err
		}
		o.RootKeys, o.TargetsKeys = len(ring[Root]), len(ring[Targets])
	}
	if err := errors.Join(checkThreshold(Root, o.RootThreshold, o.RootKeys), checkThreshold(Targets, o.TargetsThreshold, o.TargetsKeys)); err != nil {
		return nil, Outcome{}, err
	}
	if err := makeDirectories(dir); err != nil {
		return nil, Outcome{}, err
	}
	own := filepath.Join(dir, keysName)
	if err := os.Mkdir(own, 0o700); err != nil {
		return nil, Outcome{}, err
	}
	if len(o.KeyDirs) == 0 {
		if keys, ring, err = s.makeKeys(own, o); err != nil {
			return nil, Outcome{}, err
		}
	}
	r, err := lock(dir)
	if err != nil {
		return nil, Outcome{}, err
	}
	defer r.Close()
	r.settings, r.replace = s, replace
	if err := errors.Join(r.saveSettings(), r.takeKeys(o.KeyDirs)); err != nil {
		return nil, Outcome{}, err
	}
	if err := r.begin(ring, o); err != nil {
		return nil, Outcome{}, err
	}
	out, err = r.settle(nil, false)
	out.Notes = append(notes, out.Notes...)
	return keys, out, err
}

func checkThreshold(role string, threshold, keys int) error {
	if threshold < 1 || threshold > keys {
		return fmt.Errorf("%s: %d signatures of %d keys cannot be asked for: set --%s-threshold between 1 and the number of keys", role, threshold, keys, role)
	}
	return nil
}

// makeDirectories makes those that are published. Everybody may read them, whatever
// the umask: a web server, or who copies them.
func makeDirectories(dir string) error {
	for _, below := range []string{"", "metadata", "targets", "targets/bundles", "targets/waves"} {
		path := filepath.Join(dir, publicName, filepath.FromSlash(below))
		if err := os.MkdirAll(path, 0o755); err != nil {
			return err
		}
		if err := os.Chmod(path, 0o755); err != nil && runtime.GOOS != "windows" {
			return err
		}
	}
	return nil
}

// makeKeys makes the keys of all roles in the directory.
func (s settings) makeKeys(dir string, o InitOptions) (files []string, ring map[string][]*metadata.Key, err error) {
	ring = map[string][]*metadata.Key{}
	for _, role := range Roles() {
		count := map[string]int{Root: o.RootKeys, Targets: o.TargetsKeys}[role]
		for range max(count, 1) {
			name := s.nextName(role)
			path := filepath.Join(dir, name+privateSuffix)
			private, err := newKey(path)
			if err != nil {
				return nil, nil, err
			}
			key, err := metadata.KeyFromPublicKey(private.Public())
			if err != nil {
				return nil, nil, err
			}
			s.Keys[idOf(key)] = name
			files, ring[role] = append(files, path), append(ring[role], key)
		}
	}
	return files, ring, nil
}

// namedKeys reads the keys of all roles by the names of their files, and tells of
// those that are named otherwise.
func (s settings) namedKeys(dirs []string) (ring map[string][]*metadata.Key, notes []string, err error) {
	ring = map[string][]*metadata.Key{}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, nil, fmt.Errorf("the directory with keys: %w", err)
		}
		for _, entry := range entries {
			path := filepath.Join(dir, entry.Name())
			suffix := filepath.Ext(path)
			name, role := strings.TrimSuffix(entry.Name(), suffix), RoleOf(path)
			if role == "" {
				if suffix == privateSuffix || suffix == publicSuffix {
					notes = append(notes, fmt.Sprintf("warning: %s is not used: a key of this repository is named ROLE-N.pem or ROLE-N.pub, "+
						"where ROLE is one of %s", path, strings.Join(Roles(), ", ")))
				}
				continue
			}
			_, key, err := readKeyFile(path)
			if err != nil {
				return nil, nil, err
			}
			switch other, known := s.Keys[idOf(key)]; {
			case known && other == name:
				continue // its public half
			case known:
				return nil, nil, fmt.Errorf("%s and %s are the same key: each role has keys of its own", other, name)
			}
			s.Keys[idOf(key)] = name
			ring[role] = append(ring[role], key)
		}
	}
	for _, role := range Roles() {
		if len(ring[role]) == 0 {
			return nil, nil, fmt.Errorf("there is no key of %s in %s: it is looked for in files %s-1.pem (private) or %s-1.pub (public); make one with assaygate update repo key %s-1.pem",
				role, strings.Join(dirs, ", "), role, role, role)
		}
	}
	return ring, notes, nil
}

// begin is the first version of all that people sign.
func (r *Repository) begin(ring map[string][]*metadata.Key, o InitOptions) error {
	root, targets, waves := metadata.Root(r.expires(Root)), metadata.Targets(r.expires(Targets)), metadata.Targets(r.expires(Waves))
	targets.Signed.Delegations = &metadata.Delegations{
		Keys:  map[string]*metadata.Key{},
		Roles: []metadata.DelegatedRole{{Name: Waves, KeyIDs: []string{}, Threshold: 1, Terminating: true, Paths: []string{wavePaths}}},
	}
	for _, role := range Roles() {
		for _, key := range ring[role] {
			var err error
			if role == Waves {
				err = targets.Signed.AddKey(key, Waves)
			} else {
				err = root.Signed.AddKey(key, role)
			}
			if err != nil {
				return err
			}
		}
	}
	root.Signed.Roles[Root].Threshold, root.Signed.Roles[Targets].Threshold = o.RootThreshold, o.TargetsThreshold
	r.draft = draft{root, targets, waves, []string{Root, Targets, Waves}}
	return nil
}
