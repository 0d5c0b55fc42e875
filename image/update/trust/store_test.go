package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// TestPowerCutBetweenWrites ends a replacement after each of its writes, and in the
// middle of each file: all that is kept is the old state or the new one.
func TestPowerCutBetweenWrites(t *testing.T) {
	t.Parallel()
	before := files{"2.root.json": []byte("second"), "timestamp.json": []byte("old"), "targets.json": []byte("old")}
	after := files{"2.root.json": []byte("second"), "3.root.json": []byte("third"), "timestamp.json": []byte("new"), "targets.json": []byte("new")}
	for _, first := range []files{nil, before} {
		for cut := 0; ; cut++ {
			kept := store(filepath.Join(t.TempDir(), "trusted"))
			if first != nil {
				must(t, kept.replace(first))
			}
			steps := kept.steps(after)
			if cut > len(steps) {
				break
			}
			for _, step := range steps[:cut] {
				must(t, step())
			}
			halve(t, kept.fresh(), cut)
			for range 2 { // the second start finds the same
				got, _, err := kept.load()
				must(t, err)
				old := len(got) == 0 && first == nil || first != nil && reflect.DeepEqual(got, first)
				if !old && !reflect.DeepEqual(got, after) {
					t.Fatalf("cut after %d of %d writes: kept %q", cut, len(steps), got)
				}
				if cut == len(steps) && old {
					t.Fatal("the new state is not kept in the end")
				}
			}
			// The next replacement goes through.
			must(t, kept.replace(before))
			got, _, err := kept.load()
			must(t, err)
			if !reflect.DeepEqual(got, before) {
				t.Fatalf("cut after %d writes, replaced: kept %q", cut, got)
			}
		}
	}
}

// halve takes the second half of what was written last, as long as not all of the
// files are written and synced.
func halve(t *testing.T, dir string, cut int) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || len(entries) == 0 || cut > 2+len(entries) || len(entries) == 4 {
		return
	}
	for _, entry := range entries {
		must(t, os.Truncate(filepath.Join(dir, entry.Name()), 1))
	}
}

// TestPowerCutInARefresh does the same with real metadata: after each cut the box
// still refuses what it refused before, and follows what is new.
func TestPowerCutInARefresh(t *testing.T) {
	t.Parallel()
	f := normal(t)
	oldest := f.copyOf()
	f.publish()
	box := f.box()
	_, err := box.Refresh(t.Context(), Directory(f.dir))
	must(t, err)
	before := keptIn(t, box)
	f.rotate(metadata.ROOT, metadata.TIMESTAMP)
	f.publish()
	_, err = box.Refresh(t.Context(), Directory(f.dir))
	must(t, err)
	after := keptIn(t, box)
	for cut := range store("").steps(after) {
		box := f.box()
		must(t, box.kept.replace(before))
		for _, step := range box.kept.steps(after)[:cut] {
			must(t, step())
		}
		_, err := box.Refresh(t.Context(), Directory(oldest))
		if !errors.Is(err, ErrReplayed) && !errors.Is(err, ErrUntrusted) {
			t.Fatalf("cut after %d writes: error %v", cut, err)
		}
		repository, err := box.Refresh(t.Context(), Directory(f.dir))
		must(t, err)
		if repository.Root != 2 || repository.Timestamp != 3 {
			t.Fatalf("cut after %d writes: root %d, timestamp %d", cut, repository.Root, repository.Timestamp)
		}
	}
}

// TestDamagedMetadataOnTheCard is not followed, and does not keep the box from
// updates.
func TestDamagedMetadataOnTheCard(t *testing.T) {
	t.Parallel()
	f := normal(t)
	f.rotate(metadata.ROOT)
	f.publish()
	box := f.box()
	_, err := box.Refresh(t.Context(), Directory(f.dir))
	must(t, err)
	whole := keptIn(t, box)
	for name := range whole {
		for _, damage := range [][]byte{nil, {0}, bytes.Repeat([]byte{0}, 4096), whole[name][:len(whole[name])/2]} {
			must(t, os.WriteFile(filepath.Join(string(box.kept), name), damage, 0o600))
			_, err := box.Refresh(t.Context(), Directory(f.dir))
			must(t, err)
			if got := keptIn(t, box); !reflect.DeepEqual(got, whole) {
				t.Errorf("%s is not mended", name)
			}
		}
	}
}

// TestMetadataThatTheCardCannotRead is left out and fetched anew, and said.
func TestMetadataThatTheCardCannotRead(t *testing.T) {
	t.Parallel()
	f := normal(t)
	f.rotate(metadata.ROOT)
	f.publish()
	box := f.box()
	_, err := box.Refresh(t.Context(), Directory(f.dir))
	must(t, err)
	whole := keptIn(t, box)
	for name := range whole {
		file := filepath.Join(string(box.kept), name)
		must(t, os.Remove(file))
		must(t, os.MkdirAll(filepath.Join(file, "x"), 0o700)) // reading it fails
		repository, err := box.Refresh(t.Context(), Directory(f.dir))
		must(t, err)
		if len(repository.Warnings) != 1 || !strings.Contains(repository.Warnings[0], name+" cannot be read") {
			t.Errorf("the warnings are %q", repository.Warnings)
		}
		if got := keptIn(t, box); !reflect.DeepEqual(got, whole) {
			t.Errorf("%s is not mended", name)
		}
	}
}

func TestRefreshWritesOnlyWhatIsNew(t *testing.T) {
	t.Parallel()
	f := normal(t)
	box := f.box()
	_, err := box.Refresh(t.Context(), Directory(f.dir))
	must(t, err)
	before, err := os.Stat(string(box.kept))
	must(t, err)
	_, err = box.Refresh(t.Context(), Directory(f.dir))
	must(t, err)
	after, err := os.Stat(string(box.kept))
	must(t, err)
	if !os.SameFile(before, after) {
		t.Error("the same was written again")
	}
}

func TestRefreshThatCannotBeKept(t *testing.T) {
	t.Parallel()
	f := normal(t)
	box := f.box()
	box.kept = store(filepath.Join(t.TempDir(), "none", "trusted"))
	repository, err := box.Refresh(t.Context(), Directory(f.dir))
	if repository != nil || err == nil || errors.As(err, new(*Refusal)) {
		t.Fatalf("repository %v, error %v", repository, err)
	}
	if want := "the trusted metadata cannot be kept, so nothing is installed: see whether the card is full or failing"; !bytes.Contains(fmt.Append(nil, err), []byte(want)) {
		t.Errorf("error %v", err)
	}
}
