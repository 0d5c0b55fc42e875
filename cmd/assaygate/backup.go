package main

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope/spool"
)

// secretsFolder holds passwords, beside the configuration.
const secretsFolder = "secrets"

// writeBackup writes all that makes a box this one, encrypted to its owner: the
// saved configuration with what it names, its secrets, its owner and its
// identity, but not the messages of its store.
func (o ownership) writeBackup(to io.Writer, key ed25519.PublicKey, a about, store string) error {
	if key == nil {
		return errors.New("this box has no owner, so there is nobody to encrypt a backup to; give it one first: assaygate owner keygen")
	}
	b, err := o.backup(store)
	if err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	b.about = a
	b.Version, b.Assaygate = backupVersion, version
	b.members[backupPin] = pinText(key) // also where it could not be pinned
	encrypted, err := owner.Encrypt(to, key)
	if err != nil {
		return err
	}
	return errors.Join(b.write(encrypted), encrypted.Close())
}

// backup gathers the members.
func (o ownership) backup(store string) (backup, error) {
	b := backup{members: map[string][]byte{}}
	text, err := os.ReadFile(o.config)
	if o.config == "" || errors.Is(err, fs.ErrNotExist) {
		return b, errors.New("this box has no configuration of its own yet, so there is nothing to back up")
	}
	if err != nil {
		return b, err
	}
	c, err := parseConfig(text, o.config)
	if err != nil {
		return b, err
	}
	b.members[backupConfig] = text
	total := len(text)
	// put reads a file into the backup, and says whether there is one.
	put := func(name, file string) (bool, error) {
		data, err := readBounded(file)
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if !backupMember(name) {
			return false, fmt.Errorf("%s has a name that a backup cannot keep; rename it", file)
		}
		if other, twice := b.members[name]; twice && !bytes.Equal(other, data) {
			return false, fmt.Errorf("%s and another file have one name in a backup; rename one", file)
		}
		b.members[name] = data
		if total += len(data); total > maxBackup || len(b.members) >= maxBackupMembers {
			return false, errors.New("there is more to keep than a backup takes; remove profiles or secrets that nobody needs")
		}
		return true, nil
	}
	identity := filepath.Join(store, spool.IdentityFile)
	switch there, err := put(backupIdentity, identity); {
	case err != nil:
		return b, err
	case !there:
		return b, fmt.Errorf("%s is not there: this box cannot sign, so another one cannot be it", identity)
	}
	if _, err := put(backupTaken, o.path(takenFile)); err != nil {
		return b, err
	}
	for folder, from := range map[string]string{backupSecrets: o.path(secretsFolder), backupProfiles: c.Profiles} {
		if err := putFolder(put, folder, from); err != nil {
			return b, err
		}
	}
	for _, named := range c.namedFiles() {
		if _, held := o.secret(named.file); held {
			continue
		}
		if _, err := put(memberOf(named.file), named.file); err != nil {
			return b, fmt.Errorf("%s: %w", named.key, err)
		}
	}
	return b, nil
}

func putFolder(put func(name, file string) (bool, error), folder, from string) error {
	if from == "" {
		return nil
	}
	entries, err := os.ReadDir(from)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || strings.HasPrefix(entry.Name(), ".") {
			continue // a temporary file, or nothing of ours
		}
		if _, err := put(folder+entry.Name(), filepath.Join(from, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// readBounded reads a file that should be small.
func readBounded(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxBackupMember+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxBackupMember {
		return nil, fmt.Errorf("%s is larger than %d MiB", path, maxBackupMember>>20)
	}
	return data, nil
}

// memberOf is the member for a file that a configuration names.
func memberOf(file string) string {
	return backupNamed + strings.TrimPrefix(filepath.ToSlash(filepath.Clean(file)), "/")
}

// secret returns the name of a file in the folder of secrets.
func (o ownership) secret(file string) (name string, is bool) {
	directory, name := filepath.Split(filepath.Clean(file))
	return name, filepath.Clean(directory) == filepath.Clean(o.path(secretsFolder))
}
