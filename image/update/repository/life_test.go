package repository

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"

	"github.com/assaygate/assaygate/image/update/release"
)

const pi4 = "assaygate-raspberrypi4_64"

// initialised is a new repository, with all its keys in it.
func initialised(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repository")
	if _, out, err := Init(dir, DefaultInit()); err != nil || len(out.Missing) > 0 {
		t.Fatalf("init: %+v, error %v", out, err)
	}
	return dir
}

// with opens a repository for one change.
func with(t *testing.T, dir string, keys []string, change func(*Repository) (Outcome, error)) (Outcome, error) {
	t.Helper()
	r, err := Open(dir, keys...)
	if err != nil {
		return Outcome{}, err
	}
	defer r.Close()
	return change(r)
}

// must is with, for a change that goes through at once.
func must(t *testing.T, dir string, change func(*Repository) (Outcome, error)) Outcome {
	t.Helper()
	out, err := with(t, dir, nil, change)
	if err != nil || len(out.Missing) > 0 {
		t.Fatalf("outcome %+v, error %v", out, err)
	}
	return out
}

// bundleOf is a file with this content, as a release for a Raspberry Pi 4.
func bundleOf(t *testing.T, version, content string) Bundle {
	t.Helper()
	path := filepath.Join(t.TempDir(), version+".raucb")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return Bundle{path, release.Release{Version: version, Boards: []string{pi4}}}
}

func add(bundles ...Bundle) func(*Repository) (Outcome, error) {
	return func(r *Repository) (Outcome, error) { return r.Add(bundles) }
}

func wavesFrom(version string, start time.Time) release.Waves {
	return release.Waves{Version: version, Waves: []release.Wave{
		{Share: 5, From: start}, {Share: 25, From: start.Add(24 * time.Hour)}, {Share: 100, From: start.Add(48 * time.Hour)},
	}}
}

func wave(w release.Waves) func(*Repository) (Outcome, error) {
	return func(r *Repository) (Outcome, error) { return r.Wave(w) }
}

func rotate(key string) func(*Repository) (Outcome, error) {
	return func(r *Repository) (Outcome, error) {
		_, out, err := r.Rotate(key, "")
		return out, err
	}
}

func refresh(renew ...string) func(*Repository) (Outcome, error) {
	return func(r *Repository) (Outcome, error) { return r.Refresh(renew...) }
}

// today is a whole second, as files have it.
func today() time.Time { return time.Now().UTC().Truncate(time.Second) }

// box is a client that nobody here wrote, with its own memory.
type box struct {
	dir  string
	root []byte
	url  string
}

func serve(t *testing.T, public string) string {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(public)))
	t.Cleanup(server.Close)
	return server.URL
}

// newBox is flashed with the first root.
func newBox(t *testing.T, dir string) *box {
	t.Helper()
	public := filepath.Join(dir, "public")
	return &box{t.TempDir(), read(t, filepath.Join(public, "metadata", "1.root.json")), serve(t, public)}
}

// takes follows the repository as go-tuf's client does and returns what it has to
// say of the targets: their content by their path, of those that there are.
func (b *box) takes(paths ...string) (map[string]string, error) {
	settings, err := config.New(b.url+"/metadata", b.root)
	if err != nil {
		return nil, err
	}
	settings.RemoteTargetsURL = b.url + "/targets"
	settings.LocalMetadataDir, settings.LocalTargetsDir = filepath.Join(b.dir, "metadata"), filepath.Join(b.dir, "targets")
	client, err := updater.New(settings)
	if err != nil {
		return nil, err
	}
	if err := client.Refresh(); err != nil {
		return nil, err
	}
	got := map[string]string{}
	for _, path := range paths {
		info, err := client.GetTargetInfo(path)
		if err != nil {
			if strings.Contains(err.Error(), "not found") {
				continue
			}
			return nil, err
		}
		info.Path = path
		_, data, err := client.DownloadTarget(info, "", "")
		if err != nil {
			return nil, err
		}
		got[path] = string(data)
	}
	return got, nil
}

func (b *box) expect(t *testing.T, want map[string]string, paths ...string) {
	t.Helper()
	got, err := b.takes(paths...)
	if err != nil {
		t.Errorf("the client of go-tuf: %v", err)
		return
	}
	if len(want) == 0 && len(got) == 0 {
		return
	}
	if !maps.Equal(got, want) {
		t.Errorf("the client of go-tuf gets %q, want %q", got, want)
	}
}

// expectSound expects that a box finds no fault.
func expectSound(t *testing.T, dir string) Report {
	t.Helper()
	report, err := Verify(dir, VerifyOptions{At: time.Now()})
	if err != nil || len(report.Faults) > 0 {
		t.Errorf("faults %q, error %v", report.Faults, err)
	}
	return report
}

func expectError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v; want %q", err, want)
	}
}

// tree is every file below a directory with the hash of its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		sum := sha256.Sum256(text)
		files[path] = hex.EncodeToString(sum[:])
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// The whole life of a repository, as a box sees it that was flashed on its first
// day and as one that comes later.
func TestLifeOfARepository(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	first := newBox(t, dir)
	old, new := release.BundlePath(pi4, "1.0.0"), release.BundlePath(pi4, "1.1.0")
	first.expect(t, nil, old)

	must(t, dir, add(bundleOf(t, "1.0.0", "one")))
	first.expect(t, map[string]string{old: "one"}, old, new)
	must(t, dir, add(bundleOf(t, "v1.1.0", "two")))
	first.expect(t, map[string]string{old: "one", new: "two"}, old, new)

	start := today()
	must(t, dir, wave(wavesFrom("1.1.0", start)))
	path := release.WavePath("1.1.0")
	got, err := first.takes(path)
	if err != nil {
		t.Fatal(err)
	}
	waves, err := release.ParseWaves([]byte(got[path]))
	if err != nil || waves.Version != "1.1.0" || !waves.Waves[0].From.Equal(start) {
		t.Errorf("waves %+v, error %v", waves, err)
	}

	for _, key := range []string{"root-1", "targets-1", "snapshot-1", "timestamp-1", "waves-1", "root-2", "timestamp-2"} {
		must(t, dir, rotate(key))
		first.expect(t, map[string]string{new: "two", path: got[path]}, new, path)
	}
	newBox(t, dir).expect(t, map[string]string{new: "two"}, new)
	must(t, dir, refresh(Root, Targets, Waves))
	must(t, dir, add(bundleOf(t, "1.2.0", "three")))
	first.expect(t, map[string]string{old: "one", new: "two"}, old, new)
	report := expectSound(t, dir)
	if got := report.Boards[0].Boxes[0]; got.Stick != "1.2.0" {
		t.Errorf("an old box with a stick takes %q", got.Stick)
	}
	if root := report.Roles[0]; root.Version != 8 {
		t.Errorf("root %d; want each of six rotations and a renewal to make one, all but that of the waves", root.Version)
	}

	must(t, dir, func(r *Repository) (Outcome, error) { return r.Remove("1.2.0") })
	first.expect(t, nil, release.BundlePath(pi4, "1.2.0"))
	expectSound(t, dir)
}

func TestKeysAreForTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("it has no such modes")
	}
	dir := initialised(t)
	must(t, dir, rotate("root-1"))
	keys, err := os.ReadDir(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, key := range keys {
		info, err := key.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", key.Name(), info.Mode())
		}
		names = append(names, key.Name())
	}
	want := []string{"root-1.pem", "root-2.pem", "root-3.pem", "root-4.pem", "snapshot-1.pem", "targets-1.pem", "timestamp-1.pem", "waves-1.pem"}
	if !slices.Equal(names, want) {
		t.Errorf("keys %q, want %q", names, want)
	}
	if info, err := os.Stat(filepath.Join(dir, "keys")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, error %v", info.Mode(), err)
	}
	for path := range tree(t, filepath.Join(dir, "public")) {
		if strings.Contains(string(read(t, path)), "PRIVATE") {
			t.Errorf("%s holds a private key", path)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
			t.Errorf("%s has mode %v, error %v: a web server must read it", path, info.Mode(), err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "keys", "targets-1.pem"), 0o640); err != nil {
		t.Fatal(err)
	}
	_, err = with(t, dir, nil, add(bundleOf(t, "1.0.0", "one")))
	expectError(t, err, "chmod 600")
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "a"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, _, err := Init(full, DefaultInit())
	expectError(t, err, "is not empty")
	_, _, err = Init(initialised(t), DefaultInit())
	expectError(t, err, "is not empty")

	for want, spoil := range map[string]func(*InitOptions){
		"root: 4 signatures of 3 keys":     func(o *InitOptions) { o.RootThreshold = 4 },
		"targets: 0 signatures of 1 keys":  func(o *InitOptions) { o.TargetsThreshold = 0 },
		"valid for 0 days":                 func(o *InitOptions) { o.TimestampDays = 0 },
		"the directory with keys":          func(o *InitOptions) { o.KeyDirs = []string{filepath.Join(full, "none")} },
		"there is no key of root":          func(o *InitOptions) { o.KeyDirs = []string{full} },
		"root: 2 signatures of 0 keys can": func(o *InitOptions) { o.RootKeys = 0 },
	} {
		o := DefaultInit()
		spoil(&o)
		dir := filepath.Join(t.TempDir(), "new")
		_, _, err := Init(dir, o)
		expectError(t, err, want)
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the directory was made", want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	_, err := Open(t.TempDir())
	expectError(t, err, "is no repository")
	_, err = Open(filepath.Join(t.TempDir(), "none"))
	expectError(t, err, "is no repository")
	dir := initialised(t)
	_, err = Open(dir, filepath.Join(dir, "none"))
	expectError(t, err, "the directory with keys")

	settings := filepath.Join(dir, "repository.json")
	good := read(t, settings)
	for text, want := range map[string]string{
		"{":             "unexpected end",
		`{"version":2}`: "version 2 is not known",
		`{"version":1}`: "validity_days.root: 0",
	} {
		write(t, settings, text)
		_, err := Open(dir)
		expectError(t, err, want)
	}
	write(t, settings, string(good))
	write(t, filepath.Join(dir, "pending.json"), "{")
	_, err = with(t, dir, nil, signWaiting)
	expectError(t, err, "pending.json: it is damaged: unexpected end")
	write(t, filepath.Join(dir, "pending.json"), "{}")

	// Nothing is signed on top of what a stranger has put there.
	target := filepath.Join(dir, "public", "metadata", "1.targets.json")
	write(t, target, strings.Replace(string(read(t, target)), `"version": 1`, `"version": 1, "x": 1`, 1))
	_, err = Open(dir)
	expectError(t, err, "1.targets.json")
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAddRefuses(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	must(t, dir, add(bundleOf(t, "1.1.0", "two")))
	before := tree(t, dir)
	missing := bundleOf(t, "1.2.0", "x")
	missing.Path += "x"
	short := bundleOf(t, "1.2.0", "x")
	short.Release.Version = "1.2"
	for want, b := range map[string]Bundle{
		"version 1.0.0 is lower than 1.1.0":                     bundleOf(t, "1.0.0", "one"),
		"version 1.1.0 for assaygate-raspberrypi4_64 is in the": bundleOf(t, "1.1.0", "other"),
		"no such file": missing,
		"1.2.0.raucb: version: \"1.2\" is a short version: writ": short,
	} {
		_, err := with(t, dir, nil, add(b))
		if runtime.GOOS == "windows" && want == "no such file" {
			want = "cannot find"
		}
		expectError(t, err, want)
	}
	_, err := with(t, dir, []string{t.TempDir()}, add(bundleOf(t, "1.2.0", "three")))
	expectError(t, err, "targets: 0 of 1 signatures; missing 1 of targets-1")
	if !maps.Equal(before, tree(t, dir)) {
		t.Error("what was refused has left something behind")
	}
	// The same again is no mistake.
	must(t, dir, add(bundleOf(t, "1.1.0", "two")))
}

func TestDowngrade(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	for i := range 3 {
		must(t, dir, add(bundleOf(t, fmt.Sprintf("1.%d.0", i), fmt.Sprint("content ", i))))
	}
	back := bundleOf(t, "1.0.0", "content 0")
	back.Release.Downgrade = true
	out := must(t, dir, add(back))
	want := []string{"version 1.1.0 is no longer offered to " + pi4, "version 1.2.0 is no longer offered to " + pi4}
	if !slices.Equal(out.Notes, want) {
		t.Errorf("notes %q, want %q", out.Notes, want)
	}
	boxes := expectSound(t, dir).Boards[0].Boxes
	if len(boxes) != 2 || boxes[0].Stick != "1.0.0" {
		t.Errorf("boxes %+v", boxes)
	}
	out = must(t, dir, add(bundleOf(t, "1.3.0", "content 3")))
	if want := []string{"version 1.0.0 is no downgrade any longer"}; !slices.Equal(out.Notes, want) {
		t.Errorf("notes %q, want %q", out.Notes, want)
	}
	expectSound(t, dir)
}

func TestWaveRefuses(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	_, err := with(t, dir, nil, wave(wavesFrom("1.0.0", today())))
	expectError(t, err, "the repository has none yet")
	must(t, dir, add(bundleOf(t, "1.0.0", "one")))
	_, err = with(t, dir, nil, wave(wavesFrom("1.1.0", today())))
	expectError(t, err, "there is no version 1.1.0: the repository has 1.0.0")
	_, err = with(t, dir, nil, wave(wavesFrom("1.0.0", today().Add(-time.Hour))))
	expectError(t, err, "the first wave would have begun 1h0m")
	greedy := wavesFrom("1.0.0", today())
	greedy.Waves[0].Share = 6
	_, err = with(t, dir, nil, wave(greedy))
	expectError(t, err, "at most 5 percent")
	_, err = with(t, dir, []string{t.TempDir()}, wave(wavesFrom("1.0.0", today())))
	expectError(t, err, "missing 1 of waves-1")

	// Waves that run may be paused, and go on as they were.
	start := today().Add(-5 * time.Minute)
	w := wavesFrom("v1.0.0", start)
	must(t, dir, wave(w))
	w.Paused = "boxes do not come back"
	must(t, dir, wave(w))
	if got := expectSound(t, dir).Boards[0].Releases[0].State(today()); got != "paused: boxes do not come back" {
		t.Errorf("state %q", got)
	}
	w.Paused = ""
	must(t, dir, wave(w))
	if got := expectSound(t, dir).Boards[0].Releases[0].State(today()); !strings.HasPrefix(got, "5% of boxes over HTTPS, 25% from ") {
		t.Errorf("state %q", got)
	}
}

func TestRefreshRenewsTheTimestampOnly(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	b := newBox(t, dir)
	b.expect(t, nil)
	out := must(t, dir, refresh())
	if want := []string{"timestamp.json"}; !slices.Equal(out.Published, want) {
		t.Errorf("published %q, want %q", out.Published, want)
	}
	b.expect(t, nil)

	// A snapshot that grows old is renewed with it.
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.now = r.now.AddDate(0, 0, snapshotDays*2/3)
	out, err = r.Refresh()
	r.Close()
	if want := []string{"2.snapshot.json", "timestamp.json"}; err != nil || !slices.Equal(out.Published, want) {
		t.Errorf("published %q, error %v; want %q", out.Published, err, want)
	}
	_, err = with(t, dir, nil, refresh(Timestamp))
	expectError(t, err, "timestamp is not signed by people")
	_, err = with(t, dir, []string{t.TempDir()}, refresh())
	expectError(t, err, "timestamp: 0 of 1 signatures; missing 1 of timestamp-1")
}

// What somebody takes along is good for as long as its timestamp says.
func TestTheSnapshotOutlivesTheTimestamp(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "repository")
	o := DefaultInit()
	o.TimestampDays = 400
	if _, _, err := Init(dir, o); err != nil {
		t.Fatal(err)
	}
	// The days of one that was made otherwise.
	short := copyOf(t, dir)
	settings := filepath.Join(short, "repository.json")
	write(t, settings, strings.Replace(string(read(t, settings)), `"snapshot": 801`, `"snapshot": 400`, 1))
	must(t, short, refresh())
	for _, dir := range []string{dir, short} {
		for _, days := range []int{0, 100, 399, 500} {
			r, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			r.now = r.now.AddDate(0, 0, days)
			_, err = r.Refresh()
			if err != nil || r.base.snapshot.Signed.Expires.Before(r.base.timestamp.Signed.Expires) {
				t.Errorf("after %d days: the snapshot expires on %v, the timestamp on %v; error %v",
					days, r.base.snapshot.Signed.Expires, r.base.timestamp.Signed.Expires, err)
			}
			r.Close()
		}
	}
}

func TestRotateRefuses(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	_, err := with(t, dir, nil, rotate("root-9"))
	expectError(t, err, "there is no key root-9 in use: the keys are root-1, root-2, root-3, snapshot-1, targets-1, timestamp-1, waves-1")
	before := tree(t, dir)
	_, err = with(t, dir, []string{t.TempDir()}, rotate("targets-1"))
	expectError(t, err, "root: 0 of 2 signatures")
	_, err = with(t, dir, nil, func(r *Repository) (Outcome, error) {
		_, out, err := r.Rotate("root-1", filepath.Join(dir, "keys", "root-2.pem"))
		return out, err
	})
	expectError(t, err, "is the key root-2, which the repository has or had")
	_, err = with(t, dir, nil, func(r *Repository) (Outcome, error) {
		_, out, err := r.Rotate("root-1", "testdata/plain.raucb")
		return out, err
	})
	expectError(t, err, "no key is in it")
	if !maps.Equal(before, tree(t, dir)) {
		t.Error("what was refused has left something behind")
	}
}
