package owner

import (
	"bytes"
	"encoding/hex"
	"io"
	"testing"

	"filippo.io/age"
)

func encrypted(t *testing.T, text []byte, n byte) []byte {
	t.Helper()
	var file bytes.Buffer
	w, err := Encrypt(&file, public(testKey(n)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func TestOnlyTheOwnerOpensWhatIsEncrypted(t *testing.T) {
	for n := range byte(20) {
		text := bytes.Repeat([]byte("secret "), 20_000)
		file := encrypted(t, text, n)
		if bytes.Contains(file, []byte("secret")) {
			t.Fatal("the text stands in the file")
		}
		content, err := Decrypt(bytes.NewReader(file), testKey(n))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := io.ReadAll(content); err != nil || !bytes.Equal(back, text) {
			t.Fatalf("read back %d bytes of %d, error %v", len(back), len(text), err)
		}
		_, err = Decrypt(bytes.NewReader(file), testKey(n+1))
		expectError(t, err, "encrypted for another key than "+FormatKey(public(testKey(n+1))))
	}
}

// TestAgeOpensWhatIsEncrypted gives the key to age itself.
func TestAgeOpensWhatIsEncrypted(t *testing.T) {
	identity, err := age.ParseX25519Identity(AgeIdentity(testKey(3)))
	if err != nil {
		t.Fatal(err)
	}
	point, err := parsePoint(public(testKey(3)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := bech32("age", point.BytesMontgomery()), identity.Recipient().String(); got != want {
		t.Errorf("the public key becomes %s, want %s", got, want)
	}
	content, err := age.Decrypt(bytes.NewReader(encrypted(t, []byte("hello"), 3)), identity)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(content); err != nil || string(text) != "hello" {
		t.Errorf("read %q, error %v", text, err)
	}
}

func TestDamagedFilesAreNotOpenedAsWhole(t *testing.T) {
	text := bytes.Repeat([]byte("x"), 200_000) // more than one of age's 64 KiB chunks
	file := encrypted(t, text, 1)
	open := func(file []byte) error {
		content, err := Decrypt(bytes.NewReader(file), testKey(1))
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, content)
		return err
	}
	if err := open(file); err != nil {
		t.Fatal(err)
	}
	for cut := 0; cut < len(file); cut += 997 {
		if open(file[:cut]) == nil {
			t.Errorf("cut after %d bytes, and taken as whole", cut)
		}
	}
	for i := 0; i < len(file); i += 997 {
		changed := bytes.Clone(file)
		changed[i] ^= 0x20
		if open(changed) == nil {
			t.Errorf("byte %d changed, and taken", i)
		}
	}
	if open(append(bytes.Clone(file), 0)) == nil {
		t.Error("lengthened, and taken")
	}
	expectError(t, open([]byte("PK\x03\x04 a ZIP")), "it is no encrypted file, or damaged")
}

func TestNothingIsEncryptedToAKeyThatProtectsNothing(t *testing.T) {
	for _, text := range lowOrder() {
		key, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Encrypt(io.Discard, key)
		expectError(t, err, "protects nothing")
	}
	_, err := Encrypt(io.Discard, nil)
	expectError(t, err, "no Ed25519 public key")
}

// TestBech32 holds the writing to examples of BIP 173.
func TestBech32(t *testing.T) {
	if got, want := bech32("a", nil), "a12uel5l"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := bech32("split", mustHex(t, "c5f38b70305f519bf66d85fb6cf03058f3dde463ecd7918f2dc743918f2d")), "split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func mustHex(t *testing.T, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
