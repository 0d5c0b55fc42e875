package owner

import (
	"crypto/ed25519"
	"encoding/hex"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "owner.key")
	key, err := NewKey(path)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ReadKey(path)
	if err != nil || !read.Equal(key) {
		t.Errorf("read back another key, error %v", err)
	}
	if _, err := NewKey(path); err == nil || !strings.Contains(err.Error(), "is not overwritten") {
		t.Errorf("a second key at the same place: error %v", err)
	}
	if again, err := ReadKey(path); err != nil || !again.Equal(key) {
		t.Errorf("the first key is gone, error %v", err)
	}
	text := FormatKey(key.Public().(ed25519.PublicKey))
	if len(text) != 44 {
		t.Errorf("the public key is %q, want 44 characters", text)
	}
	if back, err := ParseKey(text); err != nil || !back.Equal(key.Public()) {
		t.Errorf("the public key does not come back, error %v", err)
	}
}

func TestKeyFilesThatAreRefused(t *testing.T) {
	directory := t.TempDir()
	if _, err := NewKey(filepath.Join(directory, "missing", "owner.key")); err == nil {
		t.Error("a key was made in a directory that does not exist")
	}
	if _, err := ReadKey(directory); err == nil {
		t.Error("a directory was read as a key")
	}
	for name, text := range map[string]string{
		"empty": "", "public": FormatKey(public(testKey(1))), "no key": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
		"too long": strings.Repeat("\n", maxKeyFile+1),
	} {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKey(path)
		expectError(t, err, "no Ed25519 private key is in it")
	}
	path := filepath.Join(directory, "owner.key")
	if _, err := NewKey(path); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		return // it has no such modes
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := ReadKey(path)
		expectError(t, err, "chmod 600 "+path)
	}
}

// lowOrder is every point for which X25519 gives nothing and anybody can sign.
func lowOrder() []string {
	return []string{
		"0100000000000000000000000000000000000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	}
}

func TestPublicKeysThatAreRefused(t *testing.T) {
	type refused struct{ name, text, want string }
	good := FormatKey(public(testKey(1)))
	tests := []refused{
		{"empty", "", "44 characters"},
		{"no base64", strings.Repeat("?", 44), "44 characters"},
		{"too short", "AAAA", "44 characters"},
		{"with bits behind its end", good[:42] + string(good[42]+1) + "=", "44 characters"},
		{"with a line end in it", good[:20] + "\n" + good[20:], "44 characters"},
	}
	for _, text := range lowOrder() {
		tests = append(tests, refused{"low order " + text, format(t, text), "protects nothing"})
	}
	for name, text := range map[string]string{
		"identity, y of p+1":   "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"identity, other sign": "0100000000000000000000000000000000000000000000000000000000000080",
		"0, y of p":            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"y of p+3":             "f0ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"not on the curve":     "0200000000000000000000000000000000000000000000000000000000000000",
	} {
		tests = append(tests, refused{name, format(t, text), "no Ed25519 public key"})
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseKey(test.text)
			expectError(t, err, test.want)
		})
	}
}

// format writes a key that is given as hexadecimal digits.
func format(t *testing.T, text string) string {
	t.Helper()
	key, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return FormatKey(key)
}
