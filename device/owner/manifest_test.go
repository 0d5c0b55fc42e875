package owner

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// testKey is a key of the tests; n tells several apart.
func testKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func public(key ed25519.PrivateKey) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }

// signText signs what a manifest of another hand says.
func signText(text string, key ed25519.PrivateKey) []byte {
	return []byte(base64.StdEncoding.EncodeToString(ed25519.Sign(key, signed([]byte(text)))))
}

const someSum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// stick is a directory with these files, signed.
func stick(t *testing.T, m Manifest, files map[string]string) (string, Manifest) {
	t.Helper()
	directory := t.TempDir()
	for name, text := range files {
		path := filepath.Join(directory, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	names, others, err := FilesBelow(directory)
	if err != nil || others != nil {
		t.Fatalf("others %q, error %v", others, err)
	}
	if _, err := Sign(directory, names, m, testKey(1)); err != nil {
		t.Fatal(err)
	}
	data, signature := readStick(t, directory)
	m, err = ParseManifest(data, signature, public(testKey(1)))
	if err != nil {
		t.Fatal(err)
	}
	return directory, m
}

func readStick(t *testing.T, directory string) (data, signature []byte) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(directory, ManifestName))
	if err != nil {
		t.Fatal(err)
	}
	signature, err = os.ReadFile(filepath.Join(directory, SignatureName))
	if err != nil {
		t.Fatal(err)
	}
	return data, signature
}

// expectError takes an error that holds the text; "" stands for no error.
func expectError(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("error %q, want none", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want one with %q", err, want)
	}
}

func TestSignedDirectoryIsTakenAsSigned(t *testing.T) {
	files := map[string]string{"assaygate.yaml": "version: 1\n", "profiles/Häma.yaml": "name: x\n", "start": ""}
	directory, m := stick(t, Manifest{Revision: 7, Serials: []string{"A1"}, Fleet: "north"}, files)
	if m.Revision != 7 || !slices.Equal(m.Serials, []string{"A1"}) || m.Fleet != "north" {
		t.Errorf("read back as %+v", m)
	}
	if want := []string{"assaygate.yaml", "profiles/Häma.yaml", "start"}; !slices.Equal(m.Files(), want) {
		t.Errorf("signed %q, want %q", m.Files(), want)
	}
	for name, text := range files {
		expectError(t, m.Check(name, []byte(text)), "")
		expectError(t, m.Check(strings.ToUpper(name), []byte(text)), "")
	}
	names, _, err := FilesBelow(directory)
	if err != nil {
		t.Fatal(err)
	}
	expectError(t, m.Whole(names), "")

	// Signed again over its own signature, it lists the same files.
	if again, err := Sign(directory, names, Manifest{Revision: 8}, testKey(1)); err != nil || !slices.Equal(again.Files(), m.Files()) {
		t.Errorf("signed again: %q, error %v", again.Files(), err)
	}
}

func TestFilesThatAreNotAsSigned(t *testing.T) {
	_, m := stick(t, Manifest{Revision: 1}, map[string]string{"assaygate.yaml": "version: 1\n", "tls/box.pem": "x"})
	expectError(t, m.Check("assaygate.yaml", []byte("version: 3\n")), "assaygate.yaml was changed after it was signed")
	expectError(t, m.Check("assaygate.yaml", nil), "assaygate.yaml was changed after it was signed")
	expectError(t, m.Check("password.txt", []byte("x")), "password.txt is not signed")
	expectError(t, m.Whole([]string{"Assaygate.yaml"}), "signed, but not on the stick: tls/box.pem")
	expectError(t, m.Whole(nil), "signed, but not on the stick: assaygate.yaml, tls/box.pem")
	for i := range len("version: 1\n") * 8 {
		data := []byte("version: 1\n")
		data[i/8] ^= 1 << (i % 8)
		if m.Check("assaygate.yaml", data) == nil {
			t.Errorf("bit %d changed, and it was taken", i)
		}
	}
}

func TestEveryBitOfAManifestIsSigned(t *testing.T) {
	directory, _ := stick(t, Manifest{Revision: 1}, map[string]string{"start": ""})
	data, signature := readStick(t, directory)
	for i := range len(data) * 8 {
		changed := bytes.Clone(data)
		changed[i/8] ^= 1 << (i % 8)
		if _, err := ParseManifest(changed, signature, public(testKey(1))); err == nil {
			t.Errorf("bit %d of the manifest changed, and it was taken", i)
		}
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(signature)))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(raw) * 8 {
		changed := bytes.Clone(raw)
		changed[i/8] ^= 1 << (i % 8)
		text := base64.StdEncoding.EncodeToString(changed)
		if _, err := ParseManifest(data, []byte(text), public(testKey(1))); err == nil {
			t.Errorf("bit %d of the signature changed, and it was taken", i)
		}
	}
}

func TestSignaturesThatAreRefused(t *testing.T) {
	text := `{"revision": 1, "files": {"start": "` + someSum + `"}}`
	good := signText(text, testKey(1))
	bare := base64.StdEncoding.EncodeToString(ed25519.Sign(testKey(1), []byte(text)))
	for _, test := range []struct {
		name, text, signature string
		key                   ed25519.PublicKey
		want                  string
	}{
		{"as signed", text, string(good), public(testKey(1)), ""},
		{"with the line end of Windows", text, string(good) + "\r\n", public(testKey(1)), ""},
		{"of another owner", text, string(signText(text, testKey(2))), public(testKey(1)), "not signed by this box's owner (" + FormatKey(public(testKey(1))) + ")"},
		{"over the JSON without its line", text, bare, public(testKey(1)), "not signed by this box's owner"},
		{"of another manifest", text + " ", string(good), public(testKey(1)), "was changed after it was signed"},
		{"none", text, "", public(testKey(1)), "holds no signature"},
		{"no base64", text, strings.Repeat("?", 88), public(testKey(1)), "holds no signature"},
		{"too short", text, string(good[:40]), public(testKey(1)), "holds no signature"},
		{"too long", text, string(good) + strings.Repeat(" ", MaxSignature), public(testKey(1)), "holds no signature"},
		{"a manifest that is too large", text + strings.Repeat(" ", MaxManifest), "", public(testKey(1)), "larger than 256 KiB"},
		{"a key for which anybody can sign", text, string(good), append([]byte{1}, make([]byte, 31)...), "protects nothing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseManifest([]byte(test.text), []byte(test.signature), test.key)
			expectError(t, err, test.want)
		})
	}
}

// TestManifestsThatAreRefused signs each rightly: what is refused is what it says.
func TestManifestsThatAreRefused(t *testing.T) {
	file := func(name string) string { return `{"revision": 1, "files": {"` + name + `": "` + someSum + `"}}` }
	files := `"files": {"start": "` + someSum + `"}`
	many := strings.Repeat(`"x",`, maxSerials) + `"x"`
	for _, test := range []struct{ name, text, want string }{
		{"plain", `{"revision": 1, ` + files + `}`, ""},
		{"all keys", `{"revision": 18446744073709551615, "serials": ["A"], "fleet": "f", ` + files + `}`, ""},
		{"path in a folder", file("tls/box.pem"), ""},
		{"unknown key", `{"revision": 1, "until": 2, ` + files + `}`, `unknown key "until"`},
		{"key in other case", `{"Revision": 1, ` + files + `}`, `unknown key "Revision"`},
		{"key twice", `{"revision": 1, "revision": 2, ` + files + `}`, `the key "revision" is there twice`},
		{"file twice", `{"revision": 1, "files": {"a": "` + someSum + `", "a": "` + someSum + `"}}`, `the key "a" is there twice`},
		{"file twice but for case", `{"revision": 1, "files": {"a": "` + someSum + `", "A": "` + someSum + `"}}`, `"A" and "a" are one name on a stick`},
		{"file twice, mixed case", `{"revision": 1, "files": {"aB": "` + someSum + `", "Ab": "` + someSum + `"}}`, `"Ab" and "aB" are one name on a stick`},
		{"no revision", `{` + files + `}`, "revision is missing"},
		{"no files", `{"revision": 1}`, "files is missing"},
		{"empty files", `{"revision": 1, "files": {}}`, "it lists no files"},
		{"revision 0", `{"revision": 0, ` + files + `}`, "must be 1 or more"},
		{"revision negative", `{"revision": -1, ` + files + `}`, "must be a whole number"},
		{"revision too large", `{"revision": 18446744073709551616, ` + files + `}`, "must be a whole number"},
		{"revision as fraction", `{"revision": 1.5, ` + files + `}`, "must be a whole number"},
		{"revision as text", `{"revision": "1", ` + files + `}`, "must be a whole number"},
		{"serials empty", `{"revision": 1, "serials": [], ` + files + `}`, "serials is empty"},
		{"serial empty", `{"revision": 1, "serials": [""], ` + files + `}`, "where a text is expected"},
		{"serial a number", `{"revision": 1, "serials": [7], ` + files + `}`, "where a text is expected"},
		{"serial with a line end", `{"revision": 1, "serials": ["A\nB"], ` + files + `}`, "is no serial number"},
		{"serial with a blank after it", `{"revision": 1, "serials": ["A "], ` + files + `}`, "is no serial number"},
		{"serial too long", `{"revision": 1, "serials": ["` + strings.Repeat("A", 129) + `"], ` + files + `}`, "is no serial number"},
		{"too many serials", `{"revision": 1, "serials": [` + many + `], ` + files + `}`, "more than 1000 serial numbers"},
		{"serials no list", `{"revision": 1, "serials": "A", ` + files + `}`, "where [ is expected"},
		{"fleet empty", `{"revision": 1, "fleet": "", ` + files + `}`, "where a text is expected"},
		{"fleet with an escape sequence", `{"revision": 1, "fleet": "\u001b[2J", ` + files + `}`, "is no fleet name"},
		{"digest too short", `{"revision": 1, "files": {"a": "e3b0"}}`, "64 lower-case hexadecimal digits"},
		{"digest in upper case", `{"revision": 1, "files": {"a": "` + strings.ToUpper(someSum) + `"}}`, "64 lower-case hexadecimal digits"},
		{"digest not hexadecimal", `{"revision": 1, "files": {"a": "` + strings.Repeat("g", 64) + `"}}`, "64 lower-case hexadecimal digits"},
		{"digest no text", `{"revision": 1, "files": {"a": null}}`, "where a text is expected"},
		{"path empty", file(""), "a path must have 1 to 255 bytes"},
		{"path too long", file(strings.Repeat("a", 256)), "a path must have 1 to 255 bytes"},
		{"path absolute", file("/etc/passwd"), "must not begin with a slash"},
		{"path up", file("../x"), "leaves the stick"},
		{"path up in the middle", file("a/../../x"), "leaves the stick"},
		{"path is up", file(".."), "leaves the stick"},
		{"path is here", file("."), `write the path as "."`},
		{"path with here", file("./x"), `write the path as "x"`},
		{"path with two slashes", file("a//x"), `write the path as "a/x"`},
		{"path with a slash at its end", file("a/"), `write the path as "a"`},
		{"path there and back", file("a/../x"), `write the path as "x"`},
		{"path with backslash", file(`a\\x`), "without backslash and colon"},
		{"path of a drive", file("C:/x"), "without backslash and colon"},
		{"path with a NUL", file(`a\u0000`), "without backslash and colon"},
		{"path with a line end", file(`a\nb`), "printable characters"},
		{"path with half a character", file(`a\ud800`), "printable characters"},
		{"path with a dot at its end", file("assaygate.yaml."), "FAT drops dots and blanks"},
		{"path with a blank at its end", file("assaygate.yaml "), "FAT drops dots and blanks"},
		{"path of a folder with a dot at its end", file("a./x"), "FAT drops dots and blanks"},
		{"itself", file("ASSAYGATE-manifest.json"), "cannot sign itself"},
		{"its signature", file(SignatureName), "cannot sign itself"},
		{"not UTF-8", "{\"revision\": 1, \"fleet\": \"\xff\", " + files + "}", "not UTF-8"},
		{"cut off", `{"revision": 1, ` + files, "ends too early"},
		{"empty", ``, "ends too early"},
		{"a list", `[]`, "where { is expected"},
		{"no JSON", `revision: 1`, "not JSON"},
		{"something behind it", `{"revision": 1, ` + files + `}{}`, "something follows"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseManifest([]byte(test.text), signText(test.text, testKey(1)), public(testKey(1)))
			expectError(t, err, test.want)
		})
	}
	var entries []string
	for i := range maxFiles + 1 {
		entries = append(entries, fmt.Sprintf(`"%d": %q`, i, someSum))
	}
	text := `{"revision": 1, "files": {` + strings.Join(entries, ",") + `}}`
	_, err := ParseManifest([]byte(text), signText(text, testKey(1)), public(testKey(1)))
	expectError(t, err, "more than 1000 files")
}

func TestAdmits(t *testing.T) {
	for _, test := range []struct {
		name          string
		m             Manifest
		serial, fleet string
		last          uint64
		same          bool
		want          string
	}{
		{"every box", Manifest{Revision: 1}, "C", "", 0, false, ""},
		{"every box, one without number", Manifest{Revision: 1}, "", "", 0, false, ""},
		{"this box", Manifest{Revision: 1, Serials: []string{"A", "C"}}, "C", "", 0, false, ""},
		{"this box in other case", Manifest{Revision: 1, Serials: []string{"dc:a6"}}, "DC:A6", "", 0, false, ""},
		{"another box", Manifest{Revision: 1, Serials: []string{"A", "B"}}, "C", "", 0, false, "signed for boxes A, B; this box is C, of no fleet"},
		{"one other box", Manifest{Revision: 1, Serials: []string{"A"}}, "C", "south", 0, false, "signed for box A; this box is C of fleet south"},
		{"many others", Manifest{Revision: 1, Serials: []string{"1", "2", "3", "4", "5", "6", "7"}}, "C", "", 0, false, "boxes 1, 2, 3, 4, 5 and 2 more"},
		{"a box without number", Manifest{Revision: 1, Serials: []string{"A"}}, "", "", 0, false, "this box is one without a serial number"},
		{"its fleet", Manifest{Revision: 1, Fleet: "north"}, "C", "north", 0, false, ""},
		{"its fleet, other serials", Manifest{Revision: 1, Fleet: "north", Serials: []string{"A"}}, "C", "north", 0, false, ""},
		{"its serial, another fleet", Manifest{Revision: 1, Fleet: "north", Serials: []string{"C"}}, "C", "south", 0, false, ""},
		{"another fleet", Manifest{Revision: 1, Fleet: "north"}, "C", "North", 0, false, "signed for the boxes of fleet north; this box is C of fleet North"},
		{"another fleet and serial", Manifest{Revision: 1, Fleet: "north", Serials: []string{"A"}}, "C", "", 0, false, "signed for box A and the boxes of fleet north; this box is C"},
		{"a newer one", Manifest{Revision: 8}, "C", "", 7, false, ""},
		{"the same again", Manifest{Revision: 7}, "C", "", 7, true, ""},
		{"another of the same revision", Manifest{Revision: 7}, "C", "", 7, false, "signed as revision 7, but this box took revision 7 before"},
		{"an older one", Manifest{Revision: 6}, "C", "", 7, false, "signed as revision 6, but this box took revision 7 before"},
		{"an older one, said to be the same", Manifest{Revision: 6}, "C", "", 7, true, "the revision must rise"},
	} {
		t.Run(test.name, func(t *testing.T) {
			expectError(t, test.m.Admits(test.serial, test.fleet, test.last, test.same), test.want)
		})
	}
}

func TestSignRefuses(t *testing.T) {
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "start"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		names []string
		m     Manifest
		want  string
	}{
		{"nothing", nil, Manifest{Revision: 1}, "it lists no files"},
		{"revision 0", []string{"start"}, Manifest{}, "must be 1 or more"},
		{"a file that is not there", []string{"assaygate.yaml"}, Manifest{Revision: 1}, "assaygate.yaml"},
		{"a file outside", []string{"../start"}, Manifest{Revision: 1}, "../start"},
		{"a serial number of two lines", []string{"start"}, Manifest{Revision: 1, Serials: []string{"A\nB"}}, "is no serial number"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := Sign(directory, test.names, test.m, testKey(1))
			expectError(t, err, test.want)
			if _, err := os.Stat(filepath.Join(directory, ManifestName)); err == nil {
				t.Error("a manifest was written all the same")
			}
		})
	}
}

// FuzzManifest signs whatever comes: what is taken must be what is written back.
func FuzzManifest(f *testing.F) {
	f.Add([]byte(`{"revision": 1, "serials": ["A"], "fleet": "f", "files": {"tls/box.pem": "` + someSum + `"}}`))
	f.Add([]byte(`{"revision": 1, "revision": 2}`))
	f.Add([]byte(`{"files": {"../x": "", "a\u0000": 7}}`))
	f.Add([]byte(`[[[[`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseManifest(data, signText(string(data), testKey(1)), public(testKey(1)))
		if err != nil {
			if !strings.Contains(err.Error(), ManifestName) {
				t.Errorf("error %q does not name the file", err)
			}
			return
		}
		for _, name := range m.Files() {
			if !filepath.IsLocal(filepath.FromSlash(name)) {
				t.Errorf("took the path %q", name)
			}
		}
		again, signature, err := m.seal(testKey(1))
		if err != nil {
			t.Fatalf("took what it does not write: %v", err)
		}
		back, err := ParseManifest(again, signature, public(testKey(1)))
		if err != nil || fmt.Sprint(back) != fmt.Sprint(m) {
			t.Errorf("wrote %+v, read %+v, error %v", m, back, err)
		}
	})
}
