package repository

import (
	"bytes"
	"encoding/asn1"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fakeBundle has the form of a bundle, with a manifest and this content.
func fakeBundle(tb testing.TB, manifest, content string) []byte {
	tb.Helper()
	explicit := func(value any) asn1.RawValue {
		text, err := asn1.Marshal(value)
		if err != nil {
			tb.Fatal(err)
		}
		return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: text}
	}
	type inner struct {
		Type asn1.ObjectIdentifier
		Data asn1.RawValue
	}
	type signed struct {
		Version int
		Digests []int `asn1:"set"`
		Content inner
	}
	type message struct {
		Type    asn1.ObjectIdentifier
		Content asn1.RawValue
	}
	oid := asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	signature, err := asn1.Marshal(message{oid, explicit(signed{1, nil, inner{oid, explicit([]byte(manifest))}})})
	if err != nil {
		tb.Fatal(err)
	}
	text := append([]byte("hsqs"+content), signature...)
	return binary.BigEndian.AppendUint64(text, uint64(len(signature)))
}

func manifestOf(compatible, version string) string {
	return "[update]\ncompatible=" + compatible + "\nversion=" + version + "\n\n[bundle]\nformat=verity\n"
}

// The bundle in testdata was made by RAUC 1.8 of a file of zeros.
func TestReadManifestOfARealBundle(t *testing.T) {
	t.Parallel()
	got, err := ReadManifest("testdata/real.raucb")
	if want := (Manifest{"assaygate-raspberrypi4_64", "v1.2.0"}); err != nil || got != want {
		t.Errorf("got %+v, error %v; want %+v", got, err, want)
	}
}

func TestReadManifestRefuses(t *testing.T) {
	t.Parallel()
	real, err := os.ReadFile("testdata/real.raucb")
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(real)
	damaged[len(real)-1700] ^= 0xff
	for name, c := range map[string]struct {
		text []byte
		want string
	}{
		"empty":           {nil, "this is no bundle"},
		"text":            {[]byte("hello, this is a text"), "this is no bundle"},
		"magic only":      {[]byte("hsqs"), "the end of the bundle"},
		"cut off":         {real[:len(real)-5000], "cut off"},
		"last bytes lost": {real[:len(real)-1], "cut off"},
		"endless length":  {append(bytes.Clone(real[:len(real)-8]), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "cut off"},
		"damaged":         {damaged, "damaged"},
		"no board":        {fakeBundle(t, "[update]\nversion=1.0.0\n[image.rootfs]\ncompatible=x\n", ""), "has no compatible"},
		"plain":           {read(t, "testdata/plain.raucb"), "format is not verity"},
	} {
		path := filepath.Join(t.TempDir(), "x.raucb")
		if err := os.WriteFile(path, c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadManifest(path); err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path) {
			t.Errorf("%s: error %v; want %q", name, err, c.want)
		}
	}
	if _, err := ReadManifest(filepath.Join(t.TempDir(), "none")); !os.IsNotExist(err) {
		t.Errorf("error %v", err)
	}
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func FuzzParseBundle(f *testing.F) {
	f.Add(read(f, "testdata/real.raucb"))
	f.Add(fakeBundle(f, manifestOf("a", "1.0.0"), "content"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := parseBundle(bytes.NewReader(text), int64(len(text)))
		if err == nil && m.Compatible == "" {
			t.Error("a bundle without a board")
		}
	})
}
