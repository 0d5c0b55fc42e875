package repository

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Files of keys: private ones are PKCS#8, public ones PKIX, both as PEM.
const (
	privateSuffix = ".pem"
	publicSuffix  = ".pub"
	maxKeyFile    = 4 << 10 // bytes, far above what a key takes
)

// NewKey makes a private key and writes it to path, which must end in .pem and
// not exist, and its public half beside it, in a file that ends in .pub. It
// returns the path of that.
func NewKey(path string) (public string, err error) {
	base, is := strings.CutSuffix(path, privateSuffix)
	if !is {
		return "", fmt.Errorf("%s: a file with a private key ends in %s: name it so, for keys are looked for by that", path, privateSuffix)
	}
	private, err := newKey(path)
	if err != nil {
		return "", err
	}
	text, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		return "", err
	}
	public = base + publicSuffix
	return public, replace(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: text}))
}

// ShortID is the beginning of the id of the key in a file, private or public: what
// stands behind the names of keys where people are to compare them.
func ShortID(path string) (string, error) {
	_, public, err := readKeyFile(path)
	if err != nil {
		return "", err
	}
	return short(idOf(public)), nil
}

func short(id string) string { return id[:min(len(id), 8)] }

// RoleOf is the role that a file of a key is named for, as ROLE-N.pem or ROLE-N.pub:
// "" where it is named otherwise.
func RoleOf(path string) string {
	name := filepath.Base(path)
	suffix := filepath.Ext(name)
	role, _, is := strings.Cut(strings.TrimSuffix(name, suffix), "-")
	if !is || !slices.Contains(Roles(), role) || suffix != privateSuffix && suffix != publicSuffix {
		return ""
	}
	return role
}

// newKey writes a private key to a new file that nobody else can read.
func newKey(path string) (ed25519.PrivateKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists already and is not overwritten: boxes may trust what it signs", path)
	}
	if err != nil {
		return nil, err
	}
	_, err = file.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		os.Remove(path) // half a key would stand in the way of a whole one
		return nil, err
	}
	return private, syncDirectory(filepath.Dir(path))
}

// exposedError is for a private key that is not private.
type exposedError struct {
	path string
	mode fs.FileMode
}

func (e exposedError) Error() string {
	return fmt.Sprintf("%s can be read by others on this machine (mode %04o); take that away: chmod 600 %s; on a stick with FAT or exFAT, which has no modes, "+
		"mount it with umask=077, or copy the key to a directory of your own", e.path, e.mode, e.path)
}

// readKeyFile reads a private or a public key; private is nil for the latter.
func readKeyFile(path string) (private ed25519.PrivateKey, public *metadata.Key, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	var text []byte
	if info.Mode().IsRegular() && info.Size() <= maxKeyFile {
		if text, err = os.ReadFile(path); err != nil {
			return nil, nil, err
		}
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, nil, fmt.Errorf("%s: no key is in it", path)
	}
	var key crypto.PublicKey
	switch block.Type {
	case "PRIVATE KEY":
		if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
			return nil, nil, exposedError{path, mode}
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if p, is := parsed.(ed25519.PrivateKey); err == nil && is {
			private, key = p, p.Public()
		}
	case "PUBLIC KEY":
		if parsed, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
			key = parsed
		}
	}
	if of, is := key.(ed25519.PublicKey); is {
		public, err = metadata.KeyFromPublicKey(of)
		return private, public, err
	}
	return nil, nil, fmt.Errorf("%s: no Ed25519 key is in it", path)
}

// idOf is the key id by which metadata calls a key.
func idOf(key *metadata.Key) string {
	id, err := key.ID()
	if err != nil {
		panic(err) // a key is a struct of strings: it can always be encoded
	}
	return id
}

// keyring are the private keys at hand.
type keyring struct {
	dirs    []string
	signers map[string]signature.Signer // by key id
	files   map[string]string           // whence they are, by key id
	passed  []string                    // files that are no such keys, with the reason
}

// readKeys takes every private key in the directories, whatever its file is
// called before the .pem.
func readKeys(dirs []string) (keyring, error) {
	k := keyring{dirs: dirs, signers: map[string]signature.Signer{}, files: map[string]string{}}
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return keyring{}, fmt.Errorf("the directory with keys: %w", err)
		}
		for _, entry := range entries {
			if !strings.HasSuffix(entry.Name(), privateSuffix) {
				continue
			}
			if err := k.take(filepath.Join(dir, entry.Name())); err != nil {
				return keyring{}, err
			}
		}
	}
	return k, nil
}

// take reads one file. One that is no key of this kind, such as that of RAUC's
// signature, may lie beside them; one that others can read is an error.
func (k *keyring) take(path string) error {
	private, public, err := readKeyFile(path)
	switch {
	case errors.As(err, &exposedError{}):
		return err
	case err != nil:
		k.passed = append(k.passed, err.Error())
		return nil
	case private == nil:
		return nil
	}
	signer, err := signature.LoadED25519Signer(private)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	id := idOf(public)
	if _, known := k.signers[id]; !known { // else it lies in two of the directories
		k.signers[id], k.files[id] = signer, path
	}
	return nil
}

// has returns those of the ids whose private key is at hand.
func (k *keyring) has(ids []string) (at []string) {
	for _, id := range ids {
		if _, is := k.signers[id]; is {
			at = append(at, id)
		}
	}
	return at
}

// sign adds the signatures of those of the keys that are at hand and have not
// signed yet, and returns how many these are.
func sign[T metadata.Roles](k *keyring, m *metadata.Metadata[T], ids []string) (added int, err error) {
	for _, id := range k.has(ids) {
		if slices.ContainsFunc(m.Signatures, func(s metadata.Signature) bool { return s.KeyID == id }) {
			continue
		}
		if _, err := m.Sign(k.signers[id]); err != nil {
			return added, err
		}
		added++
	}
	return added, nil
}
