package repository

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"runtime"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// replace puts data in place of the file, so that at any moment, and after a
// power cut, it is either the old file or the new one, whole. Everybody may read
// it. A cut leaves a file behind whose name begins with a dot, which the next
// attempt replaces.
func replace(name string, data []byte) error {
	return place(name, func(file *os.File) error {
		_, err := file.Write(data)
		return err
	})
}

// place has write fill a new file and puts it where it belongs.
func place(name string, write func(*os.File) error) (err error) {
	directory, base := filepath.Split(name)
	partial := filepath.Join(directory, ".partial."+base)
	file, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close() // a second close does no harm
			os.Remove(partial)
		}
	}()
	if err := file.Chmod(0o644); err != nil && runtime.GOOS != "windows" {
		return err
	}
	if err := write(file); err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(partial, name); err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(name))
}

func syncDirectory(name string) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call; its rename is written through
	}
	directory, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// measure is length and SHA-256 of a file, as metadata has them.
func measure(name string) (*metadata.TargetFiles, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return measureReader(file)
}

func measureReader(from io.Reader) (*metadata.TargetFiles, error) {
	sum := sha256.New()
	length, err := io.Copy(sum, from)
	if err != nil {
		return nil, err
	}
	return &metadata.TargetFiles{Length: length, Hashes: metadata.Hashes{"sha256": sum.Sum(nil)}}, nil
}

// sameFile reports whether two targets are the same bytes.
func sameFile(a, b *metadata.TargetFiles) bool {
	return a.Length == b.Length && a.Hashes.Equal(b.Hashes)
}

// targetFile is where the bytes of a target lie below public: consistent
// snapshots have the hash in the name.
func targetFile(public, target string, of *metadata.TargetFiles) string {
	dir, base := path.Split(target)
	return filepath.Join(public, "targets", filepath.FromSlash(dir), hex.EncodeToString(of.Hashes["sha256"])+"."+base)
}

// copyTarget brings a file to its place as a target, where it is not there
// already. It must still be what was measured.
func copyTarget(from, public, target string, of *metadata.TargetFiles) error {
	to := targetFile(public, target, of)
	if there, err := measure(to); err == nil && sameFile(there, of) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	return place(to, func(file *os.File) error {
		copied, err := measureReader(io.TeeReader(source, file))
		if err == nil && !sameFile(copied, of) {
			err = fmt.Errorf("%s changed while it was read: repeat the command when it is whole", from)
		}
		return err
	})
}
