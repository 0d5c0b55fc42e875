package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope/spool"
)

// restoring is a backup as it is to be put in place on this box: all as one.
type restoring struct {
	about
	config []byte            // the saved configuration
	files  map[string][]byte // by absolute path, the identity among them
	// notes say what a person has to do besides.
	notes []string
}

// openBackup reads a backup that the owner has encrypted to this box's identity,
// whose store is in the directory.
func openBackup(from io.Reader, store string) (backup, error) {
	key, err := owner.ReadKey(filepath.Join(store, spool.IdentityFile))
	if err != nil {
		return backup{}, fmt.Errorf("the key of this box: %w", err)
	}
	content, err := owner.Decrypt(from, key)
	if err != nil {
		return backup{}, fmt.Errorf("the backup is not for this box, whose key is %s; write it with assaygate owner restore BACKUP --box %[1]s DIR (%w)", owner.FormatKey(publicOf(key)), err)
	}
	return readBackup(content)
}

// restore says what becomes of a backup on this box. The store is where its
// configuration says; by is the manifest that the backup came with, the zero
// value where it came without. The new identity is used once the store is opened
// again.
func (o ownership) restore(b backup, by taken) (restoring, error) {
	r := restoring{about: b.about, config: b.members[backupConfig], files: map[string][]byte{}}
	if _, err := owner.UnmarshalKey(b.members[backupIdentity]); err != nil {
		return restoring{}, fmt.Errorf("the identity in the backup: %w", err)
	}
	c, err := parseConfig(r.config, "the configuration in the backup")
	if err != nil {
		return restoring{}, err
	}
	if err := o.restoreOwner(b, &r); err != nil {
		return restoring{}, err
	}
	if err := o.restoreTaken(b, by, &r); err != nil {
		return restoring{}, err
	}
	store, err := filepath.Abs(c.Spool.Directory)
	if err != nil {
		return restoring{}, err
	}
	r.files[filepath.Join(store, spool.IdentityFile)] = b.members[backupIdentity]
	wanted := map[string]string{} // member by place
	for _, named := range c.namedFiles() {
		if _, held := o.secret(named.file); !held {
			wanted[named.file] = memberOf(named.file)
		}
	}
	for name := range b.members {
		if base, is := strings.CutPrefix(name, backupSecrets); is {
			wanted[filepath.Join(o.path(secretsFolder), base)] = name
		}
		if base, is := strings.CutPrefix(name, backupProfiles); is && c.Profiles != "" {
			wanted[filepath.Join(c.Profiles, base)] = name
		}
	}
	for _, place := range sortedKeys(wanted) {
		data, kept := b.members[wanted[place]]
		switch at, err := o.within(place, store); {
		case err != nil:
			r.notes = append(r.notes, err.Error())
		case !kept:
			r.notes = append(r.notes, place+" is named by the configuration, but was not on the old box; put it there")
		default:
			r.files[at] = data
		}
	}
	return r, nil
}

// within returns the absolute path of a file that a restore may write: beside the
// configuration, or in a folder beside that of it, such as /data/tls. A backup
// must not overwrite what else the box has.
func (o ownership) within(place, store string) (string, error) {
	at, err := filepath.Abs(place)
	if err != nil {
		return "", err
	}
	root, err := filepath.Abs(filepath.Dir(o.config))
	if err != nil {
		return "", err
	}
	relative, err := filepath.Rel(filepath.Dir(root), at)
	if err != nil || !filepath.IsLocal(relative) {
		return "", fmt.Errorf("%s is not restored, because it is outside of %s; put it there by hand", place, filepath.Dir(root))
	}
	folder, rest, _ := strings.Cut(filepath.ToSlash(relative), "/")
	if inStore, err := filepath.Rel(store, at); err == nil && filepath.IsLocal(inStore) {
		return "", fmt.Errorf("%s is not restored, because it is in the store; put it elsewhere", place)
	}
	inConfig := folder == filepath.Base(root)
	switch {
	case inConfig && strings.HasPrefix(rest, secretsFolder+"/"), inConfig && strings.HasPrefix(rest, "tls/"), folder == "tls" && rest != "", folder == "profiles" && rest != "":
		return at, nil
	}
	return "", fmt.Errorf("%s is not restored: a backup puts files into %s, %s and %s only; put it there by hand", place,
		filepath.Join(root, secretsFolder), filepath.Join(filepath.Dir(root), "tls"), filepath.Join(filepath.Dir(root), "profiles"))
}

// restoreOwner gives the owner to a box that is new, and to no other.
func (o ownership) restoreOwner(b backup, r *restoring) error {
	key, err := owner.ParseKey(string(bytes.TrimSpace(b.members[backupPin])))
	if err != nil {
		return fmt.Errorf("the owner in the backup: %w", err)
	}
	pinned, err := o.pinned()
	if err != nil || pinned != nil && pinned.Equal(key) {
		return err
	}
	if first, err := o.first(); err != nil || pinned != nil || !first {
		return errors.Join(err, fmt.Errorf("the backup has another owner than this box: %w", errOwnerStays))
	}
	r.files[o.path(pinFile)] = pinText(key)
	return nil
}

// restoreTaken keeps the highest revision: a stick that the old box would not
// have taken any more is not for the new one either.
func (o ownership) restoreTaken(b backup, by taken, r *restoring) error {
	present, err := o.taken()
	if err != nil {
		return err
	}
	highest := present
	if by.revision > highest.revision {
		highest = by
	}
	if text := b.members[backupTaken]; text != nil {
		old, err := parseTaken(text)
		if err != nil {
			return fmt.Errorf("the last stick in the backup: %w", err)
		}
		if old.revision > highest.revision {
			highest = old
		}
	}
	if highest != present {
		r.files[o.path(takenFile)] = highest.text()
	}
	return nil
}
