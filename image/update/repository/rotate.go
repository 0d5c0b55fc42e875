package repository

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Rotate puts a new key in place of the one of that name: the one in the file, or
// one that it makes in the first directory of keys, whose file it returns. The
// history of roots is kept: a box that has slept for years follows it.
func (r *Repository) Rotate(name, file string) (made string, out Outcome, err error) {
	role, old, err := r.keyNamed(name)
	if err != nil {
		return "", Outcome{}, err
	}
	// Who holds none of the keys that decide about this one can do nothing.
	decides := Root
	if role == Waves {
		decides = Targets
	}
	if err := r.require(decides); err != nil {
		return "", Outcome{}, err
	}
	key, made, err := r.replacement(role, file)
	if err != nil {
		return "", Outcome{}, err
	}
	r.change(decides)
	touched := []string{decides}
	if role == Waves {
		err = exchange(old, key, role, r.draft.targets.Signed.RevokeKey, r.draft.targets.Signed.AddKey)
	} else {
		err = exchange(old, key, role, r.draft.root.Signed.RevokeKey, r.draft.root.Signed.AddKey)
	}
	if err != nil {
		return "", Outcome{}, err
	}
	if role == Targets || role == Waves {
		r.change(role) // what they have signed is signed again, by the new key
	}
	out, err = r.settle(touched, false)
	out.Notes = append([]string{fmt.Sprintf("%s takes the place of %s", r.identify([]string{idOf(key)}), r.settings.name(old))}, out.Notes...)
	return made, out, err
}

func exchange(old string, key *metadata.Key, role string, revoke func(string, string) error, add func(*metadata.Key, string) error) error {
	return errors.Join(revoke(old, role), add(key, role))
}

// keyNamed finds a key that is in use by its name, or the beginning of its id.
func (r *Repository) keyNamed(name string) (role, id string, err error) {
	ids := map[string]string{}
	for role, of := range r.draft.root.Signed.Roles {
		for _, id := range of.KeyIDs {
			ids[id] = role
		}
	}
	if of := delegated(r.draft.targets); of != nil {
		for _, id := range of.KeyIDs {
			ids[id] = Waves
		}
	}
	var known []string
	for id, role := range ids {
		if r.settings.name(id) == name || len(name) >= 8 && strings.HasPrefix(id, name) {
			return role, id, nil
		}
		known = append(known, r.settings.name(id))
	}
	slices.Sort(known)
	return "", "", fmt.Errorf("there is no key %s in use: the keys are %s", name, strings.Join(known, ", "))
}

// replacement reads the new key, or makes it.
func (r *Repository) replacement(role, file string) (key *metadata.Key, made string, err error) {
	name := r.settings.nextName(role)
	if file == "" {
		if err := r.lonely(role, name); err != nil {
			return nil, "", err
		}
		made = filepath.Join(r.keys.dirs[0], name+privateSuffix)
		if _, err := newKey(made); err != nil {
			return nil, "", err
		}
		if err := r.keys.take(made); err != nil {
			return nil, "", err
		}
		file = made
	}
	private, key, err := readKeyFile(file)
	if err != nil {
		return nil, "", err
	}
	if known, is := r.settings.Keys[idOf(key)]; is {
		return nil, "", fmt.Errorf("%s is the key %s, which the repository has or had: a new key is one that nobody had before", file, known)
	}
	if private != nil {
		if err := r.keys.take(file); err != nil {
			return nil, "", err
		}
	}
	r.settings.Keys[idOf(key)] = name
	if err := r.saveSettings(); err != nil {
		if made != "" {
			os.Remove(made)
		}
		return nil, "", err
	}
	return key, made, nil
}

// lonely refuses to make a key beside another of its role on somebody's stick, where
// two must sign: who took that stick would have both. Where so many lie together
// already it is too late for that.
func (r *Repository) lonely(role, name string) error {
	dir, beside := r.keys.dirs[0], ""
	of := r.draft.root.Signed.Roles[role]
	if of == nil {
		return nil
	}
	count := 0
	for _, id := range of.KeyIDs {
		if path, is := r.keys.files[id]; is && filepath.Dir(path) == filepath.Clean(dir) {
			count, beside = count+1, r.settings.name(id)
		}
	}
	if count == 0 || count >= of.Threshold {
		return nil
	}
	return fmt.Errorf("%s has %s already, and whoever took it would have two keys of %s: make the new key where it is to lie, "+
		"with assaygate update repo key DIR/%s.pem, and call rotate with --with DIR/%s.pub", dir, beside, role, name, name)
}
