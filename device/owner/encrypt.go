package owner

import (
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// Encrypt returns a writer whose content only the private key of the given
// public key opens again. What comes out is a file of age (age-encryption.org)
// for the X25519 key that belongs to the Ed25519 key. Close must be called, and
// its error counts: before it the file is not whole. w stays open.
func Encrypt(w io.Writer, to ed25519.PublicKey) (io.WriteCloser, error) {
	point, err := parsePoint(to)
	if err != nil {
		return nil, err
	}
	recipient, err := age.ParseX25519Recipient(bech32("age", point.BytesMontgomery()))
	if err != nil {
		return nil, err
	}
	return age.Encrypt(w, recipient)
}

// Decrypt returns the content of a file that Encrypt wrote for this key. Its
// Read fails where the file was changed or is not whole; what was read before
// that is genuine, but not all.
func Decrypt(r io.Reader, key ed25519.PrivateKey) (io.Reader, error) {
	identity, err := age.ParseX25519Identity(AgeIdentity(key))
	if err != nil {
		return nil, err
	}
	content, err := age.Decrypt(r, identity)
	var other *age.NoIdentityMatchError
	switch {
	case errors.As(err, &other):
		return nil, fmt.Errorf("it is encrypted for another key than %s; give the private key of the owner that the box had when it wrote this", FormatKey(key.Public().(ed25519.PublicKey)))
	case err != nil:
		return nil, fmt.Errorf("it is no encrypted file, or damaged: %w", err)
	}
	return content, nil
}

// AgeIdentity is the private key as the program age takes it ("age -d -i FILE"):
// whoever has lost everything but this key still reads his files.
func AgeIdentity(key ed25519.PrivateKey) string {
	// The scalar of the Ed25519 key is the one of its X25519 key: RFC 8032,
	// 5.1.5; X25519 clamps it by itself.
	digest := sha512.Sum512(key.Seed())
	return strings.ToUpper(bech32("age-secret-key-", digest[:32]))
}
