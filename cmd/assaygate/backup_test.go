package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/owner"
)

// dataTree is a box's data as the image has it, below a directory of the test.
type dataTree struct {
	ownership
	root, store string
	identity    ed25519.PrivateKey
}

// files are all files below the root, by their path there.
func (d dataTree) files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	names, _, err := owner.FilesBelow(d.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(d.root, filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(text)
	}
	return all
}

const backupYAML = `version: 1
box: {name: ward}
instruments:
  - {name: lan, astm: {listen: ":0"}, tls: {certificate: ROOT/tls/box.pem, key: ROOT/tls/box.key}}
profiles: ROOT/profiles
destinations:
  - {name: lims, senaite: {url: "https://lims.example.org", username: u, password_file: ROOT/config/secrets/lims, ca: ROOT/tls/ca.pem}}
spool: {directory: ROOT/spool}
`

// bareBox is a box that has its identity; with a configuration where files say so.
func bareBox(t *testing.T, root string, n byte, files map[string]string) dataTree {
	t.Helper()
	d := dataTree{ownership{config: filepath.Join(root, "config", "assaygate.yaml")}, root, filepath.Join(root, "spool"), ownerKey(n)}
	identity, err := owner.MarshalKey(d.identity)
	if err != nil {
		t.Fatal(err)
	}
	files = maps.Clone(files)
	if files == nil {
		files = map[string]string{}
	}
	files["spool/identity.key"] = string(identity)
	for name, text := range files {
		d.plant(t, name, strings.ReplaceAll(text, "ROOT", root))
	}
	return d
}

func (d dataTree) plant(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(d.root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// oldBox is one that has everything.
func oldBox(t *testing.T, root string) dataTree {
	return bareBox(t, root, 100, map[string]string{
		"config/assaygate.yaml": backupYAML, "config/owner.pub": ownerText(1) + "\n", "config/stick-revision": "7 abc\n",
		"config/secrets/lims": "secret", "config/secrets/.lims.123": "half", "config/assaygate.yaml.previous": "old",
		"tls/box.pem": "certificate", "tls/box.key": "key", "tls/ca.pem": "ca", "tls/forgotten.pem": "x",
		"profiles/mine.yaml": "profile", "spool/spool.db": "PATIENT", "captures/1.astm": "PATIENT",
	})
}

func madeBackup(t *testing.T, d dataTree) []byte {
	t.Helper()
	var file bytes.Buffer
	about := about{Box: "ward", Serial: "A1", Made: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
	if err := d.writeBackup(&file, publicOf(ownerKey(1)), about, d.store); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

// opened is the backup as the owner sees it.
func opened(t *testing.T, file []byte, key ed25519.PrivateKey) backup {
	t.Helper()
	content, err := owner.Decrypt(bytes.NewReader(file), key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := readBackup(content)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestBackupHoldsTheBoxAndNoMessages(t *testing.T) {
	d := oldBox(t, t.TempDir())
	file := madeBackup(t, d)
	b := opened(t, file, ownerKey(1))
	if b.Box != "ward" || b.Serial != "A1" || b.Version != 1 {
		t.Errorf("it says of itself %+v", b.about)
	}
	named := strings.TrimPrefix(filepath.ToSlash(d.root), "/")
	want := []string{
		"config/assaygate.yaml", "config/owner.pub", "config/secrets/lims", "config/stick-revision", "identity.key",
		"named/" + named + "/tls/box.key", "named/" + named + "/tls/box.pem", "named/" + named + "/tls/ca.pem", "profiles/mine.yaml",
	}
	if got := slices.Sorted(maps.Keys(b.members)); !slices.Equal(got, want) {
		t.Errorf("holds %q\nwant  %q", got, want)
	}
	for name, data := range b.members {
		if bytes.Contains(data, []byte("PATIENT")) {
			t.Errorf("%s holds messages", name)
		}
	}
	if bytes.Contains(file, []byte("ward")) {
		t.Error("it can be read without the key")
	}
}

func TestBackupIsRefused(t *testing.T) {
	var file bytes.Buffer
	d := oldBox(t, t.TempDir())
	if err := d.writeBackup(&file, nil, about{}, d.store); err == nil || !strings.Contains(err.Error(), "has no owner") || file.Len() > 0 {
		t.Errorf("without an owner: %v, %d bytes", err, file.Len())
	}
	fresh := bareBox(t, t.TempDir(), 101, nil)
	if err := fresh.writeBackup(&file, publicOf(ownerKey(1)), about{}, fresh.store); err == nil || !strings.Contains(err.Error(), "no configuration of its own") {
		t.Errorf("without a configuration: %v", err)
	}
	d.plant(t, "config/secrets/large", strings.Repeat("x", maxBackupMember+1))
	if err := d.writeBackup(&file, publicOf(ownerKey(1)), about{}, d.store); err == nil || !strings.Contains(err.Error(), "larger than 2 MiB") {
		t.Errorf("with a large file: %v", err)
	}
	d = oldBox(t, t.TempDir())
	if err := os.Remove(filepath.Join(d.store, "identity.key")); err != nil {
		t.Fatal(err)
	}
	if err := d.writeBackup(&file, publicOf(ownerKey(1)), about{}, d.store); err == nil || !strings.Contains(err.Error(), "identity.key is not there") {
		t.Errorf("without an identity: %v", err)
	}
}

// restickWith encrypts the backup of the old box to the new one, by the command.
func restickWith(t *testing.T, file []byte, to dataTree) (directory string) {
	t.Helper()
	work := t.TempDir()
	key, err := owner.MarshalKey(ownerKey(1))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"owner.key": key, "backup.age": file} {
		if err := os.WriteFile(filepath.Join(work, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	directory = filepath.Join(work, "stick")
	var out, errs bytes.Buffer
	status := execute([]string{
		"owner", "restore", filepath.Join(work, "backup.age"), directory, "--box", owner.FormatKey(publicOf(to.identity)),
		"--key", filepath.Join(work, "owner.key"), "--revision", "9",
	}, &out, &errs)
	if status != done || !strings.Contains(out.String(), "backup of ward (A1), made 2026-11-27 12:00 UTC\nsigned restore.age\n") {
		t.Fatalf("status %d\n%s%s", status, out.String(), errs.String())
	}
	return directory
}

// replaced is a new box in the place of an old one, with the backup of that as a
// stick brings it, and what the old one held.
func replaced(t *testing.T) (fresh dataTree, b backup, held map[string]string) {
	t.Helper()
	root := filepath.Join(t.TempDir(), "data")
	old := oldBox(t, root)
	file, held := madeBackup(t, old), old.files(t)
	if err := os.RemoveAll(root); err != nil {
		t.Fatal(err)
	}
	fresh = bareBox(t, root, 101, nil)
	data, err := os.ReadFile(filepath.Join(restickWith(t, file, fresh), "restore.age"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = openBackup(bytes.NewReader(data), fresh.store); err != nil {
		t.Fatal(err)
	}
	return fresh, b, held
}

// TestRestoreMakesTheOldBoxOfANewOne goes the whole way of a backup.
func TestRestoreMakesTheOldBoxOfANewOne(t *testing.T) {
	fresh, b, want := replaced(t)
	r, err := fresh.restore(b, taken{9, "def"})
	if err != nil || r.notes != nil {
		t.Fatalf("notes %q, error %v", r.notes, err)
	}
	if r.Box != "ward" || r.Serial != "A1" {
		t.Errorf("it says of itself %+v", r.about)
	}
	r.files[fresh.config] = r.config
	if err := config.NewJournal(fresh.path("change")).Replace(config.Change{Files: r.files}); err != nil {
		t.Fatal(err)
	}
	for _, left := range []string{"config/secrets/.lims.123", "config/assaygate.yaml.previous", "tls/forgotten.pem", "spool/spool.db", "captures/1.astm"} {
		delete(want, left)
	}
	want["config/stick-revision"] = "9 def\n" // that of the stick, which is newer
	got := fresh.files(t)
	if names, wanted := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(names, wanted) {
		t.Errorf("the new box has %q\nwant            %q", names, wanted)
	}
	for name := range want {
		if got[name] != want[name] {
			t.Errorf("%s is %q, want %q", name, got[name], want[name])
		}
	}
}

func TestBackupIsForOneBox(t *testing.T) {
	fresh := bareBox(t, t.TempDir(), 102, nil)
	_, err := openBackup(bytes.NewReader(madeBackup(t, oldBox(t, t.TempDir()))), fresh.store)
	if want := "owner restore BACKUP --box " + owner.FormatKey(publicOf(fresh.identity)) + " DIR"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want one with %q", err, want)
	}
}

// TestRestoreAndTheOwner: a backup brings its owner to a new box only.
func TestRestoreAndTheOwner(t *testing.T) {
	for _, test := range []struct {
		name, saved, pin string
		sets             bool
		want             string
	}{
		{"new", "", "", true, ""},
		{"flashed with the same owner", "", ownerText(1), false, ""},
		{"configured by the same owner", "version: 1\n", ownerText(1), false, ""},
		{"configured without owner", "version: 1\n", "", false, "cannot be changed or set without a factory reset"},
		{"another owner", "", ownerText(2), false, "cannot be changed or set without a factory reset"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fresh, b, _ := replaced(t)
			for name, text := range map[string]string{"config/assaygate.yaml": test.saved, "config/owner.pub": test.pin} {
				if text != "" {
					fresh.plant(t, name, text)
				}
			}
			r, err := fresh.restore(b, taken{})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if _, sets := r.files[fresh.path(pinFile)]; sets != test.sets {
				t.Errorf("sets the owner: %t, want %t", sets, test.sets)
			}
		})
	}
}

func TestRestoreKeepsTheHighestRevision(t *testing.T) {
	for _, test := range []struct {
		present string
		by      taken
		want    string // "" where the present one stays
	}{
		{"", taken{}, "7 abc\n"},
		{"", taken{6, "x"}, "7 abc\n"},
		{"", taken{8, "x"}, "8 x\n"},
		{"9 y\n", taken{8, "x"}, ""},
		{"5 y\n", taken{6, "x"}, "7 abc\n"},
	} {
		fresh, b, _ := replaced(t)
		if test.present != "" {
			fresh.plant(t, "config/stick-revision", test.present)
		}
		r, err := fresh.restore(b, test.by)
		if got := string(r.files[fresh.path(takenFile)]); err != nil || got != test.want {
			t.Errorf("%+v: %q, %v", test, got, err)
		}
	}
}

// TestRestoreWritesOnlyWhereItMay: a backup comes from anybody where a box has
// no owner.
func TestRestoreWritesOnlyWhereItMay(t *testing.T) {
	root := t.TempDir()
	o, store := ownership{config: filepath.Join(root, "config", "assaygate.yaml")}, filepath.Join(root, "spool")
	for place, want := range map[string]bool{
		"config/secrets/lims": true, "config/tls/box.pem": true, "tls/box.pem": true, "tls/deep/box.pem": true, "profiles/mine.yaml": true,
		"config/assaygate.yaml": false, "config/owner.pub": false, "config/reset-requested": false, "config/change/redo/index": false,
		"config/secrets": false, "tls": false, "spool/spool.db": false, "captures/1.astm": false, "other/x": false,
		"config/../spool/identity.key": false, "tls/../config/owner.pub": false, "../outside": false,
	} {
		_, err := o.within(filepath.Join(root, filepath.FromSlash(place)), store)
		if _, plain := o.within(root+"/"+place, store); (err == nil) != want || (plain == nil) != want {
			t.Errorf("%s: %v, %v; may be written: %t", place, err, plain, want)
		}
	}
	if _, err := o.within(filepath.Join(root, "tls", "box.pem"), filepath.Join(root, "tls")); err == nil {
		t.Error("a file in the store may be written")
	}
	fresh, b, _ := replaced(t)
	b.members[backupConfig] = bytes.ReplaceAll(b.members[backupConfig], []byte("/tls/ca.pem"), []byte("/config/owner.pub"))
	r, err := fresh.restore(b, taken{})
	if err != nil || len(r.notes) != 1 || !strings.Contains(r.notes[0], "owner.pub is not restored") {
		t.Errorf("notes %q, error %v", r.notes, err)
	}
}

// archive is a gzipped tar of this test's hand.
func archive(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var file bytes.Buffer
	zipped := gzip.NewWriter(&file)
	out := tar.NewWriter(zipped)
	for _, h := range headers {
		text := `{"version": 1}`
		if h.Name == "newer" {
			h.Name, text = backupAbout, `{"version": 2}`
		}
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Typeflag == tar.TypeReg && h.Size == 0 {
			h.Size = int64(len(text))
		}
		if err := out.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(out, text+strings.Repeat(" ", int(h.Size)-len(text))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(out.Close(), zipped.Close()); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func files(names ...string) (headers []tar.Header) {
	for _, name := range names {
		headers = append(headers, tar.Header{Name: name})
	}
	return headers
}

func TestArchivesThatAreNoBackups(t *testing.T) {
	whole := append(files(backupAbout), files(backupConfig, backupIdentity, backupPin)...)
	var many []tar.Header
	for i := range maxBackupMembers {
		many = append(many, tar.Header{Name: fmt.Sprintf("profiles/%d.yaml", i)})
	}
	var large []tar.Header
	for i := range maxBackup/maxBackupMember + 1 {
		large = append(large, tar.Header{Name: fmt.Sprintf("profiles/%d.yaml", i), Size: maxBackupMember})
	}
	good := archive(t, whole...)
	for _, test := range []struct {
		name string
		file []byte
		want string
	}{
		{"whole", good, ""},
		{"empty", nil, "no backup of a box"},
		{"no gzip", []byte("hello"), "no backup of a box"},
		{"cut off", good[:len(good)-9], "damaged"},
		{"nothing in it", archive(t), "lacks config/assaygate.yaml"},
		{"of something else", archive(t, files("readme")...), "no backup of a box"},
		{"of a newer release", archive(t, append(files("newer"), whole[1:]...)...), "a newer release has made this backup"},
		{"without identity", archive(t, whole[:2]...), "lacks identity.key"},
		{"without owner", archive(t, whole[:3]...), "lacks config/owner.pub"},
		{"something twice", archive(t, append(slices.Clone(whole), whole[1])...), `"config/assaygate.yaml" is in it twice`},
		{"too many files", archive(t, append(slices.Clone(whole), many...)...), "larger than that of a box can be"},
		{"too large a file", archive(t, append(slices.Clone(whole), tar.Header{Name: "profiles/x", Size: maxBackupMember + 1})...), "no file of at most 2 MiB"},
		{"too large as a whole", archive(t, append(slices.Clone(whole), large...)...), "larger than that of a box can be"},
		{"a link", archive(t, append(slices.Clone(whole), tar.Header{Name: "config/secrets/x", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"})...), `"config/secrets/x" is no file`},
		{"a directory", archive(t, append(slices.Clone(whole), tar.Header{Name: "profiles/", Typeflag: tar.TypeDir})...), `"profiles/" is no file`},
		{"outside", archive(t, append(slices.Clone(whole), files("config/../../x")...)...), `"config/../../x" is no file of a backup`},
		{"absolute", archive(t, append(slices.Clone(whole), files("/named/x")...)...), "is no file of a backup"},
		{"named outside", archive(t, append(slices.Clone(whole), files("named/../x")...)...), "is no file of a backup"},
		{"a hidden secret", archive(t, append(slices.Clone(whole), files("config/secrets/.x")...)...), "is no file of a backup"},
		{"a deep secret", archive(t, append(slices.Clone(whole), files("config/secrets/a/b")...)...), "is no file of a backup"},
		{"something else of a configuration", archive(t, append(slices.Clone(whole), files("config/reset-requested")...)...), "is no file of a backup"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := readBackup(bytes.NewReader(test.file))
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// FuzzBackup: what is taken is what would be written, and no more than fits.
func FuzzBackup(f *testing.F) {
	plain := func(file []byte) []byte {
		zipped, err := gzip.NewReader(bytes.NewReader(file))
		if err != nil {
			f.Fatal(err)
		}
		text, err := io.ReadAll(zipped)
		if err != nil {
			f.Fatal(err)
		}
		return text
	}
	f.Add(plain(archive(f, files(backupAbout, backupConfig, backupIdentity, backupPin, "named/data/tls/x", "profiles/x.yaml")...)))
	f.Add(plain(archive(f, files(backupAbout, "named/../x")...)))
	f.Fuzz(func(t *testing.T, text []byte) {
		var file bytes.Buffer
		zipped := gzip.NewWriter(&file)
		if _, err := zipped.Write(text); err != nil {
			t.Fatal(err)
		}
		if err := zipped.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := readBackup(&file)
		if err != nil {
			return
		}
		total := 0
		for name, data := range b.members {
			if !filepath.IsLocal(filepath.FromSlash(name)) {
				t.Errorf("took %q", name)
			}
			total += len(data)
		}
		if total > maxBackup {
			t.Errorf("took %d bytes", total)
		}
		var again bytes.Buffer
		if err := b.write(&again); err != nil {
			t.Fatal(err)
		}
		back, err := readBackup(&again)
		if err != nil || !reflect.DeepEqual(back.members, b.members) {
			t.Errorf("read back %v, error %v", slices.Sorted(maps.Keys(back.members)), err)
		}
	})
}
