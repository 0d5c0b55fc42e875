package trust

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Whatever is wrong with the next root, the box follows it not, keeps none of it, and
// says what it is and what to do. Once it is right, the box goes on.
func TestRootsThatAreWrong(t *testing.T) {
	t.Parallel()
	const second = "metadata/2.root.json"
	// inside has the keys of old and new root sign something that claims to be one.
	inside := func(f *forge, change func(*metadata.RootType)) {
		f.t.Helper()
		right := f.root.Signed
		f.root.Signed.UnrecognizedFields = nil
		change(&f.root.Signed)
		f.write(second, sign(f, metadata.ROOT, f.root))
		f.root.Signed = right
	}
	for name, test := range map[string]struct {
		do    func(f *forge)
		kind  error
		words []string
	}{
		"cut off": {
			func(f *forge) { f.write(second, f.read(second)[:len(f.read(second))/2]) },
			ErrDamaged,
			[]string{"2.root.json of the repository is not readable", "copy the whole repository again"},
		},
		"empty": {
			func(f *forge) { f.write(second, nil) },
			ErrDamaged,
			[]string{"2.root.json of the repository is not readable"},
		},
		"one byte too large": {
			func(f *forge) {
				f.write(second, append(f.read(second), bytes.Repeat([]byte(" "), maxRoot+1-len(f.read(second)))...))
			},
			ErrEndless,
			[]string{"metadata/2.root.json of the repository has more than the 262144 bytes", "copy the whole repository again"},
		},
		"the one before under its name": {
			func(f *forge) { f.write(second, f.read("metadata/1.root.json")) },
			ErrDamaged,
			[]string{"2.root.json of the repository is another version than its name says", "under its own number"},
		},
		"the one after under its name": {
			func(f *forge) {
				f.rotate(metadata.TIMESTAMP)
				f.write(second, f.read("metadata/3.root.json"))
			},
			ErrDamaged,
			[]string{"2.root.json of the repository is another version than its name says"},
		},
		"the version zero": {
			func(f *forge) { inside(f, func(r *metadata.RootType) { r.Version = 0 }) },
			ErrDamaged,
			[]string{"2.root.json of the repository is another version than its name says"},
		},
		"another kind of metadata": {
			func(f *forge) { f.write(second, f.read("metadata/1.targets.json")) },
			ErrDamaged,
			[]string{"2.root.json of the repository"},
		},
		"without keys": {
			func(f *forge) { inside(f, func(r *metadata.RootType) { r.Keys = map[string]*metadata.Key{} }) },
			ErrDamaged,
			[]string{"2.root.json of the repository is not readable"},
		},
		"without its own role": {
			func(f *forge) {
				inside(f, func(r *metadata.RootType) {
					r.Roles = map[string]*metadata.Role{metadata.TIMESTAMP: r.Roles[metadata.TIMESTAMP]}
				})
			},
			ErrDamaged,
			[]string{"2.root.json of the repository"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(t *testing.T, source func(string) Source) {
				f := normal(t)
				box := f.box()
				f.rotate(metadata.TIMESTAMP)
				f.publish()
				right := f.copyOf()
				test.do(f)
				repository, err := box.Refresh(t.Context(), source(f.dir))
				refused(t, err, test.kind, test.words...)
				if kept := keptIn(t, box); repository != nil || len(kept) != 0 {
					t.Errorf("it has %v, and keeps %v", repository, names(kept))
				}
				if repository, err = box.Refresh(t.Context(), source(right)); err != nil || repository.Root != 2 {
					t.Errorf("the right one gives %+v, %v", repository, err)
				}
			})
		})
	}
}

// A root that is not there ends the search, whatever comes after it (TUF, 5.3): where the
// keys in use are still the old ones, all is well without it.
func TestGapThatHarmsNobody(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		f.rotate()
		f.rotate()
		f.rotate()
		must(t, os.Remove(f.path("metadata/3.root.json")))
		repository, err := f.box().Refresh(t.Context(), source(f.dir))
		if err != nil || repository.Root != 2 {
			t.Errorf("it has %+v, %v", repository, err)
		}
	})
}

// A box that stays with a root which has run out, for the next is missing, needs no new
// one.
func TestGapAfterARootThatHasRunOut(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		f.root.Signed.Expires = today().Add(-month)
		f.rotate()
		f.root.Signed.Expires = today().Add(24 * month)
		f.rotate()
		f.rotate()
		must(t, os.Remove(f.path("metadata/3.root.json")))
		box := f.box()
		_, err := box.Refresh(t.Context(), source(f.dir))
		refused(t, err, ErrExpired, "metadata/3.root.json is missing from the repository, and 4.root.json is there", "Put every root.json back")
		must(t, os.Remove(f.path("metadata/4.root.json")))
		_, err = box.Refresh(t.Context(), source(f.dir))
		refused(t, err, ErrExpired, "2.root.json of the repository ran out", "signs a new root")
		// What has run out besides does not come from the gap.
		f.root.Signed.Version = 2
		f.rotate()
		f.rotate()
		must(t, os.Remove(f.path("metadata/4.root.json")))
		f.rotate()
		box.clock = at(today().Add(8 * 24 * time.Hour))
		_, err = box.Refresh(t.Context(), source(f.dir))
		refused(t, err, ErrExpired, "timestamp.json of the repository ran out")
		if strings.Contains(err.Error(), "is missing") {
			t.Errorf("it says %v", err)
		}
	})
}

// A root that the card has spoilt is fetched again; one that it has lost as well as the
// server leaves the box with the keys of before.
func TestKeptRootThatIsSpoilt(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		box := f.box()
		f.rotate(metadata.ROOT, metadata.TIMESTAMP)
		f.publish()
		_, err := box.Refresh(t.Context(), source(f.dir))
		must(t, err)
		kept := keptIn(t, box)
		right := slices.Clone(kept["2.root.json"])
		for _, spoilt := range [][]byte{right[:len(right)/2], bytes.Replace(right, []byte(`"version": 2`), []byte(`"version": 7`), 1), f.read("metadata/1.root.json")} {
			if bytes.Equal(spoilt, right) || !json.Valid(right) {
				t.Fatal("nothing is spoilt")
			}
			kept["2.root.json"] = spoilt
			must(t, box.kept.replace(kept))
			repository, err := box.Refresh(t.Context(), source(f.dir))
			if err != nil || repository.Root != 2 || !bytes.Equal(keptIn(t, box)["2.root.json"], right) {
				t.Errorf("it has %+v, %v", repository, err)
			}
		}
		kept["2.root.json"] = right[:10]
		must(t, box.kept.replace(kept))
		must(t, os.Remove(f.path("metadata/2.root.json")))
		_, err = box.Refresh(t.Context(), source(f.dir))
		refused(t, err, ErrUntrusted, "timestamp.json of the repository is not signed by the keys that this box trusts")
	})
}

// A server that makes roots without end is not followed without end.
func TestRootsWithoutEnd(t *testing.T) {
	t.Parallel()
	f := normal(t)
	for range maxRotations {
		f.rotate()
	}
	_, err := f.box().Refresh(t.Context(), Directory(f.dir))
	refused(t, err, ErrDamaged, "goes on after 256 new roots", "Flash it anew")
}
