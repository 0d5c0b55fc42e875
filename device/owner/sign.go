package owner

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// maxSigned is how large a file may be that is signed: it is hashed on a laptop
// and checked on a small box.
const maxSigned = 256 << 20

// Sign writes the manifest and its signature into the directory, over the files
// of it that are named by slash paths as in FilesBelow. Of m, Revision, Serials
// and Fleet are taken. The manifest is written last, so that a stick that is
// pulled out too early has none, or one that does not fit its signature.
func Sign(directory string, names []string, m Manifest, key ed25519.PrivateKey) (Manifest, error) {
	m.files = map[string][sha256.Size]byte{}
	root, err := os.OpenRoot(directory)
	if err != nil {
		return Manifest{}, err
	}
	defer root.Close()
	for _, name := range names {
		if m.files[name], err = hashFile(root, name); err != nil {
			return Manifest{}, err
		}
	}
	data, signature, err := m.seal(key)
	if err != nil {
		return Manifest{}, err
	}
	if err := write(root, SignatureName, signature); err != nil {
		return Manifest{}, err
	}
	return m, write(root, ManifestName, data)
}

func hashFile(root *os.Root, name string) (sum [sha256.Size]byte, err error) {
	file, err := root.Open(filepath.FromSlash(name))
	if err != nil {
		return sum, err
	}
	defer file.Close()
	digest := sha256.New()
	n, err := io.Copy(digest, io.LimitReader(file, maxSigned+1))
	if err != nil {
		return sum, fmt.Errorf("%s: %w", name, err)
	}
	if n > maxSigned {
		return sum, fmt.Errorf("%s is larger than %d MiB", name, maxSigned>>20)
	}
	return [sha256.Size]byte(digest.Sum(nil)), nil
}

func write(root *os.Root, name string, data []byte) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(data)
	return errors.Join(err, file.Sync(), file.Close())
}

// FilesBelow lists the regular files below a directory as slash paths, without
// manifest and signature, and apart from them what is neither file nor
// directory, which a stick cannot hold.
func FilesBelow(directory string) (names, others []string, err error) {
	err = fs.WalkDir(os.DirFS(directory), ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil && name != "." && errors.Is(err, fs.ErrPermission):
			others = append(others, name) // "System Volume Information"
			return fs.SkipDir
		case err != nil:
			return err
		case d.IsDir(), fold(name) == ManifestName, fold(name) == SignatureName:
		case d.Type().IsRegular():
			names = append(names, name)
		default:
			others = append(others, name)
		}
		return nil
	})
	return names, others, err
}
