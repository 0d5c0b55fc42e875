package spool

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

const identityFile = "identity.key"

// IdentityFile is the name of the box's private key in the store's directory: a
// backup of a box keeps it, and the box that it is restored on is that box.
const IdentityFile = identityFile

// openIdentity has the box sign with its key. Without one there are no exports,
// which is no reason to take in no messages.
func (s *Spool) openIdentity() {
	if s.identity, s.anonymous = loadIdentity(filepath.Join(s.directory, identityFile)); s.anonymous != nil {
		s.log.Error("this box cannot sign, so its records cannot be exported", "error", s.anonymous)
	}
}

// loadIdentity reads the key that this box signs with, and makes one where there
// is none. It never leaves the box, but for a backup of it that its owner alone can
// read: records that move to another box are signed with it, and that box has one
// of its own.
func loadIdentity(path string) (ed25519.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeIdentity(path)
	}
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(text); block != nil {
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if private, is := key.(ed25519.PrivateKey); err == nil && is {
			return private, nil
		}
	}
	return nil, fmt.Errorf("%s holds no Ed25519 key; restore it, or remove it to have a new one made (who compares it then sees another box)", path)
}

func makeIdentity(path string) (ed25519.PrivateKey, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	text, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, replaceFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: text}), true)
}

// Identity returns the public key of this box, with which its exports are
// verified; nil where it has none, or the store is open for reading and none was
// made yet.
func (s *Spool) Identity() ed25519.PublicKey {
	if s.identity == nil {
		return nil
	}
	return s.identity.Public().(ed25519.PublicKey)
}

// FormatKey writes a public key as people compare it; "" for none.
func FormatKey(key ed25519.PublicKey) string { return base64.StdEncoding.EncodeToString(key) }

// ParseKey reads what FormatKey wrote.
func ParseKey(text string) (ed25519.PublicKey, error) {
	key, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%q is no public key; give the 44 characters that spool status shows on the box", text)
	}
	return key, nil
}
