package repository

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// aged makes all targets of the repository so old.
func aged(t *testing.T, dir string, age time.Duration) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "public", "targets", "*", "*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if err := os.Chtimes(file, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
}

func prune(t *testing.T, dir string) []string {
	t.Helper()
	var removed []string
	must(t, dir, func(r *Repository) (_ Outcome, err error) {
		removed, err = r.Prune()
		return Outcome{}, err
	})
	return removed
}

// kinds are the names of files without their hashes.
func kinds(files []string) (all []string) {
	for _, file := range files {
		_, name, _ := strings.Cut(filepath.Base(file), ".")
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// What boxes are told of stays, and so does what came just now. The rest goes.
func TestPrune(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	start := today().Add(time.Hour)
	must(t, dir, add(bundleOf(t, "1.0.0", "first"), bundleOf(t, "1.1.0", "second")))
	must(t, dir, wave(wavesFrom("1.0.0", start)))
	must(t, dir, wave(wavesFrom("1.1.0", start)))
	must(t, dir, wave(wavesFrom("1.1.0", start.Add(time.Hour)))) // in place of the one before
	must(t, dir, func(r *Repository) (Outcome, error) { return r.Remove("1.0.0") })
	stray := filepath.Join(dir, "public", "targets", "bundles", ".partial.cut-off.raucb")
	for _, path := range []string{stray, filepath.Join(dir, "public", "targets", "mine.txt")} {
		if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	public := filepath.Join(dir, "public")
	metadataBefore, _ := filepath.Glob(filepath.Join(public, "metadata", "*"))

	aged(t, dir, pruneAfter-time.Hour)
	if removed := prune(t, dir); len(removed) != 0 {
		t.Errorf("too early: %v", removed)
	}
	aged(t, dir, pruneAfter+time.Hour)
	want := []string{"1.1.0.json", "assaygate-raspberrypi4_64-1.0.0.raucb", "partial.cut-off.raucb"}
	if removed := kinds(prune(t, dir)); !slices.Equal(removed, want) {
		t.Errorf("removed %v, want %v", removed, want)
	}
	if removed := prune(t, dir); len(removed) != 0 {
		t.Errorf("and then %v", removed)
	}
	if after, _ := filepath.Glob(filepath.Join(public, "metadata", "*")); !slices.Equal(after, metadataBefore) {
		t.Errorf("metadata is %v", after)
	}
	got, err := newBox(t, dir).takes("bundles/assaygate-raspberrypi4_64-1.0.0.raucb", "bundles/assaygate-raspberrypi4_64-1.1.0.raucb", "waves/1.1.0.json", "waves/1.0.0.json")
	if err != nil || len(got) != 3 || got["bundles/assaygate-raspberrypi4_64-1.1.0.raucb"] != "second" {
		t.Errorf("a box takes %v, %v", got, err)
	}
}

// What is published stays though its removal waits for a signature, and what is to come
// stays too.
func TestPruneLeavesWhatWaits(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	must(t, dir, add(bundleOf(t, "1.0.0", "first")))
	out, err := with(t, dir, nil, func(r *Repository) (Outcome, error) {
		r.change(Targets) // as two holders of keys do it, one of whom comes later
		bundle := bundleOf(t, "1.1.0", "second")
		of, err := measure(bundle.Path)
		if err != nil {
			return Outcome{}, err
		}
		r.draft.targets.Signed.Targets = map[string]*metadata.TargetFiles{"bundles/waits.raucb": of}
		return Outcome{}, errors.Join(copyTarget(bundle.Path, r.public(), "bundles/waits.raucb", of), r.keep(r.draft.changed))
	})
	if err != nil {
		t.Fatal(out, err)
	}
	aged(t, dir, 30*24*time.Hour)
	if removed := prune(t, dir); len(removed) != 0 {
		t.Errorf("removed %v", removed)
	}
}

// Before anything is published nobody knows what a file is for.
func TestPruneOfAnEmptyRepository(t *testing.T) {
	t.Parallel()
	r := &Repository{dir: t.TempDir(), now: today()}
	if removed, err := r.Prune(); err == nil || len(removed) != 0 {
		t.Errorf("removed %v, %v", removed, err)
	}
}
