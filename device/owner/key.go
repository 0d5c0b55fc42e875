// Package owner decides who may change a box: the owner's Ed25519 key, manifests
// signed with it (what a stick carries, for which boxes, and in which order),
// and encryption to that key, so that what a box gives away is read by its
// owner only. It knows neither boxes nor sticks: its caller says which files
// there are, and what this box's serial number is.
package owner

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"

	"filippo.io/edwards25519"
)

// FormatKey writes a public key as people see it: 44 characters of base64.
func FormatKey(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }

// ParseKey reads what FormatKey wrote, and takes only keys that CheckKey takes.
func ParseKey(text string) (ed25519.PublicKey, error) {
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(key) != ed25519.PublicKeySize || len(text) != base64.StdEncoding.EncodedLen(len(key)) {
		return nil, errors.New("this is no public key; give the 44 characters that assaygate owner keygen printed")
	}
	if err := CheckKey(key); err != nil {
		return nil, err
	}
	return key, nil
}

// CheckKey refuses what looks like a public key but protects nothing: points of
// low order, for which anybody can sign and decrypt, and second spellings of a
// point, which compare as another key.
func CheckKey(key ed25519.PublicKey) error {
	_, err := parsePoint(key)
	return err
}

func parsePoint(key ed25519.PublicKey) (*edwards25519.Point, error) {
	point, err := new(edwards25519.Point).SetBytes(key)
	if err != nil || !bytes.Equal(point.Bytes(), key) {
		return nil, errors.New("this is no Ed25519 public key; give the 44 characters that assaygate owner keygen printed")
	}
	if new(edwards25519.Point).MultByCofactor(point).Equal(edwards25519.NewIdentityPoint()) == 1 {
		return nil, errors.New("this public key protects nothing, because anybody can sign for it; make one with assaygate owner keygen")
	}
	return point, nil
}

// NewKey makes a private key and writes it to the file, which must not exist:
// a key that is overwritten locks its owner out of his boxes.
func NewKey(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := MarshalKey(key)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists already and is not overwritten: boxes may have it as their owner; name another file with --key", path)
	}
	if err != nil {
		return nil, err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		os.Remove(path) // half a key would stand in the way of a whole one
		return nil, err
	}
	return key, nil
}

// MarshalKey writes a private key as PEM of PKCS#8.
func MarshalKey(key ed25519.PrivateKey) ([]byte, error) {
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}), nil
}

// ReadKey reads a private key that NewKey, or a box for itself, wrote. A file
// that others on this machine can read is refused.
func ReadKey(path string) (ed25519.PrivateKey, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory; name the file with the private key", path)
	}
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others on this machine (mode %04o); take that away: chmod 600 %s", path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile+1))
	if err != nil {
		return nil, err
	}
	key, err := UnmarshalKey(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

// maxKeyFile is far above what a key takes.
const maxKeyFile = 4 << 10

// UnmarshalKey reads what MarshalKey wrote.
func UnmarshalKey(text []byte) (ed25519.PrivateKey, error) {
	if block, _ := pem.Decode(text); block != nil && len(text) <= maxKeyFile {
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if private, is := key.(ed25519.PrivateKey); err == nil && is {
			return private, nil
		}
	}
	return nil, errors.New("no Ed25519 private key is in it; it is the file that assaygate owner keygen made")
}
