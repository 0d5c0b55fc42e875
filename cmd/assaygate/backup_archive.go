package main

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// The members of a backup, which is a gzipped tar. What the configuration names
// stands in backupNamed under its path there.
const (
	backupAbout    = "assaygate-backup.json" // the first
	backupConfig   = "config/assaygate.yaml"
	backupPin      = "config/" + pinFile
	backupTaken    = "config/" + takenFile
	backupIdentity = "identity.key"
	backupSecrets  = "config/secrets/"
	backupProfiles = "profiles/"
	backupNamed    = "named/"
)

// Bounds of a backup: it is read into memory, by a small box and from anybody.
const (
	maxBackup        = 16 << 20 // bytes of all members
	maxBackupMember  = 2 << 20
	maxBackupMembers = 500
)

const backupVersion = 1

// about is what a backup says of itself.
type about struct {
	Version   int       `json:"version"`
	Box       string    `json:"box"`
	Serial    string    `json:"serial"`
	Made      time.Time `json:"made"`
	Assaygate string    `json:"assaygate"` // the version that made it
}

// backup is the content of an archive: its members by name.
type backup struct {
	about
	members map[string][]byte
}

// write writes the archive as readBackup takes it.
func (b backup) write(to io.Writer) error {
	first, err := json.MarshalIndent(b.about, "", "  ")
	if err != nil {
		return err
	}
	zipped := gzip.NewWriter(to)
	out := tar.NewWriter(zipped)
	put := func(name string, data []byte) error {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(data)), Mode: 0o600, ModTime: b.Made, Format: tar.FormatPAX}
		if err := out.WriteHeader(header); err != nil {
			return err
		}
		_, err := out.Write(data)
		return err
	}
	if err := put(backupAbout, append(first, '\n')); err != nil {
		return err
	}
	for _, name := range sortedKeys(b.members) {
		if err := put(name, b.members[name]); err != nil {
			return err
		}
	}
	return errors.Join(out.Close(), zipped.Close())
}

// readBackup reads an archive whole, and takes nothing that write would not have
// written.
func readBackup(from io.Reader) (backup, error) {
	b := backup{members: map[string][]byte{}}
	zipped, err := gzip.NewReader(from)
	if err != nil {
		return backup{}, fmt.Errorf("this is no backup of a box: %w", err)
	}
	zipped.Multistream(false)
	in := tar.NewReader(io.LimitReader(zipped, 2*maxBackup)) // with headers and padding
	total := 0
	for n := 0; ; n++ {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return backup{}, fmt.Errorf("the backup is damaged: %w", err)
		}
		data, err := b.member(n, header, in)
		if err != nil {
			return backup{}, err
		}
		if total += len(data); total > maxBackup || n > maxBackupMembers {
			return backup{}, errors.New("the backup is larger than that of a box can be")
		}
	}
	// What follows the tar: the padding of its end, and that the file is whole.
	if _, err := io.Copy(io.Discard, io.LimitReader(zipped, maxBackup)); err != nil {
		return backup{}, fmt.Errorf("the backup is damaged: %w", err)
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(from, maxBackup)); err != nil {
		return backup{}, fmt.Errorf("the backup is damaged: %w", err)
	}
	for _, needed := range []string{backupConfig, backupIdentity, backupPin} {
		if b.members[needed] == nil {
			return backup{}, fmt.Errorf("this is no backup of a box: it lacks %s", needed)
		}
	}
	return b, nil
}

// member reads the member that is number n, and keeps it.
func (b *backup) member(n int, header *tar.Header, in io.Reader) ([]byte, error) {
	if header.Typeflag != tar.TypeReg || header.Size > maxBackupMember {
		return nil, fmt.Errorf("the backup is refused: %q is no file of at most %d MiB", header.Name, maxBackupMember>>20)
	}
	data, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("the backup is damaged: %w", err)
	}
	if n == 0 {
		if header.Name != backupAbout || json.Unmarshal(data, &b.about) != nil || b.Version < 1 {
			return nil, errors.New("this is no backup of a box")
		}
		if b.Version > backupVersion {
			return nil, errors.New("a newer release has made this backup; update this box first")
		}
		return data, nil
	}
	if !backupMember(header.Name) {
		return nil, fmt.Errorf("the backup is refused: %q is no file of a backup", header.Name)
	}
	if _, twice := b.members[header.Name]; twice {
		return nil, fmt.Errorf("the backup is refused: %q is in it twice", header.Name)
	}
	b.members[header.Name] = data
	return data, nil
}

// backupMember reports whether a member may have the name.
func backupMember(name string) bool {
	if path.Clean(name) != name || strings.HasPrefix(name, "/") || strings.ContainsAny(name, "\\\x00") {
		return false
	}
	if slices.Contains([]string{backupConfig, backupPin, backupTaken, backupIdentity}, name) {
		return true
	}
	for _, folder := range []string{backupSecrets, backupProfiles} {
		if base, is := strings.CutPrefix(name, folder); is {
			return usableName.MatchString(base)
		}
	}
	return strings.HasPrefix(name, backupNamed)
}
