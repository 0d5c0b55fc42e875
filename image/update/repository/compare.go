package repository

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Compare says what of a copy of what is published, as boxes have seen it, the
// repository lacks or has otherwise: nothing where it may be published. Metadata is
// never taken away, so a repository that lacks some is an old state, and boxes
// refuse what is made of it. An empty copy is that of a server before the first
// publication. It looks at metadata only, so that a pause goes out whatever became
// of a bundle.
func Compare(dir, seen string) (faults []string, err error) {
	if _, err := readSettings(dir); err != nil {
		return nil, err
	}
	if _, err := os.Stat(seen); err != nil {
		return nil, fmt.Errorf("the copy of what is published: %w", err)
	}
	own, theirs := metadataReader(filepath.Join(dir, publicName)), metadataReader(seen)
	entries, err := os.ReadDir(filepath.Join(seen, "metadata"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, entry := range entries {
		name := entry.Name()
		if filepath.Ext(name) != ".json" || name[0] == '.' {
			continue
		}
		there, err := theirs(name)
		if err != nil {
			return nil, err
		}
		here, err := own(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			faults = append(faults, fmt.Sprintf("%s is not here, and boxes have seen it", name))
		case err != nil:
			return nil, err
		case bytes.Equal(here, there):
		case name != metadataName(Timestamp, 0):
			faults = append(faults, fmt.Sprintf("%s is another one here than boxes have seen", name))
		default:
			if mine, others := timestampVersion(here), timestampVersion(there); mine <= others {
				faults = append(faults, fmt.Sprintf("%s is version %d here, and boxes have seen another version %d", name, mine, others))
			}
		}
	}
	return faults, nil
}

// timestampVersion is 0 for what is none: each one is newer.
func timestampVersion(text []byte) (version int64) {
	_ = guarded(func() error { // a server's file may be cut off
		m, err := new(metadata.Metadata[metadata.TimestampType]).FromBytes(text)
		if err == nil {
			version = m.Signed.Version
		}
		return err
	})
	return version
}
