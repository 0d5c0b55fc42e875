package repository

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/image/update/release"
)

var errCut = errors.New("the power was cut")

// cutter writes so many files and then none any more.
func cutter(left int) func(string, []byte) error {
	return func(path string, data []byte) error {
		if left--; left < 0 {
			return errCut
		}
		return replace(path, data)
	}
}

// copyOf is another copy of a repository.
func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(to, "keys", "*.pem"))
	for _, key := range keys {
		err = errors.Join(err, os.Chmod(key, 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// simple is a new repository with one key a role.
func simple(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repository")
	o := DefaultInit()
	o.RootKeys, o.RootThreshold = 1, 1
	if _, _, err := Init(dir, o); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Whatever file a change was cut at, boxes find the repository as it was before
// or as it is after it, and the next command goes on.
func TestACutAtEachFileLeavesTheRepositoryConsistent(t *testing.T) {
	t.Parallel()
	start := simple(t)
	must(t, start, add(bundleOf(t, "1.0.0", "one")))
	must(t, start, wave(wavesFrom("1.0.0", today())))
	followed := newBox(t, start)
	followed.expect(t, nil)
	path := release.BundlePath(pi4, "1.1.0")
	bundle := bundleOf(t, "1.1.0", "two")
	paused := wavesFrom("1.0.0", today())
	paused.Paused = "wait"

	for name, c := range map[string]struct {
		change func(*Repository) (Outcome, error)
		writes int // so many files, at least
	}{
		"add":              {add(bundle), 4},
		"wave":             {wave(paused), 5},
		"refresh":          {refresh(), 1},
		"renew":            {refresh(Root, Targets, Waves), 6},
		"rotate root":      {rotate("root-1"), 3},
		"rotate targets":   {rotate("targets-1"), 6},
		"rotate waves":     {rotate("waves-1"), 6},
		"rotate snapshot":  {rotate("snapshot-1"), 5},
		"rotate timestamp": {rotate("timestamp-1"), 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for writes := 0; ; writes++ {
				dir := copyOf(t, start)
				before := newBox(t, dir)
				must0(t, os.CopyFS(before.dir, os.DirFS(followed.dir)))
				_, err := with(t, dir, nil, func(r *Repository) (Outcome, error) {
					r.replace = cutter(writes)
					return c.change(r)
				})
				if err == nil {
					if writes < c.writes {
						t.Errorf("it was done with %d writes, fewer than %d: the cuts tell nothing", writes, c.writes)
					}
					return
				}
				if !errors.Is(err, errCut) {
					t.Fatalf("after %d writes: %v", writes, err)
				}
				for _, b := range []*box{before, newBox(t, dir)} {
					got, err := b.takes(path, release.BundlePath(pi4, "1.0.0"), release.WavePath("1.0.0"))
					if err != nil || got[path] != "" && got[path] != "two" || len(got) < 2 {
						t.Errorf("after %d writes a box gets %q, error %v", writes, got, err)
					}
				}
				must(t, dir, func(r *Repository) (Outcome, error) { return r.Sign() })
				must(t, dir, add(bundle))
				before.expect(t, map[string]string{path: "two"}, path)
				expectSound(t, dir)
			}
		})
	}
}

// Where a key is lost, what it should have signed beside the new one is not good
// for a moment. Boxes keep what they have, and the next command ends it.
func TestACutWhileALostKeyIsReplaced(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"targets-1", "snapshot-1", "timestamp-1"} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			start := simple(t)
			if err := os.Remove(filepath.Join(start, "keys", key+".pem")); err != nil {
				t.Fatal(err)
			}
			refusals := 0
			for writes := 0; ; writes++ {
				dir := copyOf(t, start)
				b := newBox(t, dir)
				out, err := with(t, dir, nil, func(r *Repository) (Outcome, error) {
					r.replace = cutter(writes)
					return rotate(key)(r)
				})
				if err == nil {
					if len(out.Notes) != 2 || !strings.Contains(out.Notes[1], "did not sign beside the new ones") {
						t.Errorf("notes %q", out.Notes)
					}
					break
				}
				if _, err := b.takes(); err != nil {
					refusals++
				}
				if _, err := with(t, dir, nil, func(r *Repository) (Outcome, error) { return r.Sign() }); err != nil {
					t.Errorf("after %d writes: %v", writes, err)
				}
				if writes < 2 { // nothing was kept of it yet
					_, err := with(t, dir, nil, rotate(key))
					must0(t, err)
				}
				must(t, dir, rotate("root-1"))
				b.expect(t, nil)
				expectSound(t, dir)
			}
			if refusals != 1 {
				t.Errorf("boxes found nothing after %d of the cuts, want 1: between timestamp and root", refusals)
			}
		})
	}
}

func TestACutOfInit(t *testing.T) {
	t.Parallel()
	for writes := 0; ; writes++ {
		dir := filepath.Join(t.TempDir(), "new")
		_, _, err := initialise(dir, DefaultInit(), cutter(writes))
		if err == nil {
			if writes < 7 {
				t.Errorf("it was done with %d writes", writes)
			}
			return
		}
		if !errors.Is(err, errCut) {
			t.Fatal(err)
		}
		out, err := with(t, dir, nil, refresh())
		switch {
		case writes == 0:
			expectError(t, err, "is no repository")
		case writes == 1:
			expectError(t, err, "has no metadata")
		case err != nil || len(out.Missing) > 0:
			t.Errorf("after %d writes: %+v, error %v", writes, out, err)
		default:
			newBox(t, dir).expect(t, nil)
			expectSound(t, dir)
		}
	}
}

// A bundle that was copied in part is copied again.
func TestACutWhileABundleIsCopied(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	b := bundleOf(t, "1.0.0", "one")
	of, err := measure(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	to := targetFile(filepath.Join(dir, "public"), release.BundlePath(pi4, "1.0.0"), of)
	write(t, filepath.Join(filepath.Dir(to), ".partial."+filepath.Base(to)), "o")
	must(t, dir, add(b))
	newBox(t, dir).expect(t, map[string]string{release.BundlePath(pi4, "1.0.0"): "one"}, release.BundlePath(pi4, "1.0.0"))
	files, err := os.ReadDir(filepath.Dir(to))
	if err != nil || len(files) != 1 {
		t.Errorf("files %v, error %v", files, err)
	}
}

// A file that another program is still writing is not signed as one and offered as
// another.
func TestABundleThatChangesIsRefused(t *testing.T) {
	t.Parallel()
	b := bundleOf(t, "1.0.0", "one")
	of, err := measure(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, b.Path, "one and more")
	public := t.TempDir()
	expectError(t, copyTarget(b.Path, public, "bundles/x", of), "changed while it was read")
	if files := tree(t, public); len(files) > 0 {
		t.Errorf("left behind: %v", files)
	}
}

// Commands of two processes wait for each other.
func TestTwoCommandsAtOnce(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	ended := make(chan error)
	for _, version := range []string{"1.0.0", "1.0.0", "1.0.0"} {
		b := bundleOf(t, version, "one")
		go func() {
			r, err := Open(dir)
			if err == nil {
				_, err = r.Add([]Bundle{b})
				r.Close()
			}
			ended <- err
		}()
	}
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	report := expectSound(t, dir)
	if len(report.Roles) == 0 || report.Roles[1].Version != 4 {
		t.Errorf("roles %+v", report.Roles)
	}
}

// Two copies that were changed apart are not mixed.
func TestAChangeOfAnotherCopyIsRefused(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	offline := splitKeys(t, dir, Root, Targets)
	if _, err := with(t, dir, []string{offline}, add(bundleOf(t, "1.0.0", "one"))); err != nil {
		t.Fatal(err)
	}
	other := copyOf(t, dir)
	if _, err := with(t, dir, []string{offline}, add(bundleOf(t, "1.1.0", "two"))); err != nil {
		t.Fatal(err)
	}
	must(t, dir, func(r *Repository) (Outcome, error) { return r.Sign() })
	before := tree(t, dir)
	write(t, filepath.Join(dir, "pending.json"), string(read(t, filepath.Join(other, "pending.json"))))
	_, err := with(t, dir, nil, signWaiting)
	expectError(t, err, "it was made from another copy of the repository")
	expectError(t, err, "remove the file, and make the change again")
	if err := os.Remove(filepath.Join(dir, "pending.json")); err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(before, tree(t, dir)) {
		t.Error("something was changed")
	}
}
