package trust

import (
	"bytes"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/image/update/release"
)

// TestWavesThatCannotBeTrusted do not stop an update by hand, and open nothing.
func TestWavesThatCannotBeTrusted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do    func(f *forge)
		words string
	}{
		"none for the version": {func(f *forge) { clear(f.waves.Signed.Targets); f.publish() }, "version 1.1.0 has no waves"},
		"no role":              {func(f *forge) { f.targets.Signed.Delegations = nil; f.publish() }, "the repository has no waves"},
		"not for these paths":  {func(f *forge) { f.delegate("other/*"); f.publish() }, "may not sign waves/1.1.0.json"},
		"wrong key": {func(f *forge) {
			f.signs[wavesRole] = append(f.signs[wavesRole], newKey(f.t))
			f.publish()
		}, "waves.json of the repository is not signed"},
		"expired":      {func(f *forge) { f.waves.Signed.Expires = today().Add(-1); f.publish() }, "the list of waves (waves.json) has run out"},
		"file missing": {func(f *forge) { must(f.t, os.RemoveAll(f.path("targets/waves"))) }, "the file of waves/1.1.0.json is missing"},
		"file changed": {func(f *forge) {
			name := f.target(f.waves, "waves/1.1.0.json")
			f.write(name, bytes.Replace(f.read(name), []byte(`"share":5`), []byte(`"share":4`), 1))
		}, "waves/1.1.0.json of the repository is not what was signed"},
		"file too long": {func(f *forge) {
			name := f.target(f.waves, "waves/1.1.0.json")
			f.write(name, append(f.read(name), ' '))
		}, "has more than"},
		"of another version": {func(f *forge) {
			f.wave(release.Waves{Version: "1.2.0", Waves: []release.Wave{{Share: 5, From: today()}}})
			f.waves.Signed.Targets["waves/1.1.0.json"] = f.waves.Signed.Targets["waves/1.2.0.json"]
			must(f.t, os.Rename(f.path(f.target(f.waves, "waves/1.2.0.json")), f.path(f.target(f.waves, "waves/1.1.0.json"))))
			f.publish()
		}, "the waves of version 1.1.0 are those of version 1.2.0"},
		"too large a canary": {func(f *forge) {
			f.wave(release.Waves{Version: "1.1.0", Waves: []release.Wave{{Share: 50, From: today()}}})
			f.publish()
		}, "the first wave has at most 5 percent"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everywhere(t, func(t *testing.T, source func(string) Source) {
				f := normal(t)
				c.do(f)
				repository, err := f.box().Refresh(t.Context(), source(f.dir))
				must(t, err)
				offers, err := repository.Offers(t.Context(), release.Box{Compatible: board, Version: runs})
				must(t, err)
				if len(offers) != 1 || offers[0].Refused != nil || offers[0].Waves != nil || offers[0].NoWaves == nil ||
					!strings.Contains(offers[0].NoWaves.Error(), c.words) {
					t.Errorf("offers %+v; want no waves, and %q", offers, c.words)
				}
			})
		})
	}
}

func TestOffersOfAnotherBoard(t *testing.T) {
	t.Parallel()
	f := normal(t)
	repository, err := f.box().Refresh(t.Context(), Directory(f.dir))
	must(t, err)
	offers, err := repository.Offers(t.Context(), release.Box{Compatible: "assaygate-qemu_aarch64", Version: runs})
	if err != nil || len(offers) != 0 {
		t.Errorf("offers %+v, error %v", offers, err)
	}
	want := []string{"the repository has bundles for assaygate-raspberrypi3_64, assaygate-raspberrypi4_64, and none for this box, " +
		"which is assaygate-qemu_aarch64: add the bundle of its board"}
	if !reflect.DeepEqual(repository.Warnings, want) {
		t.Errorf("warnings %q", repository.Warnings)
	}
}

func TestOffersThatContradict(t *testing.T) {
	t.Parallel()
	f := normal(t)
	f.bundle(release.Release{Version: "1.0.5", Boards: []string{board}, Downgrade: true}, 10)
	f.publish()
	repository, err := f.box().Refresh(t.Context(), Directory(f.dir))
	must(t, err)
	_, err = repository.Offers(t.Context(), release.Box{Compatible: board, Version: runs})
	refused(t, err, ErrDamaged, "the repository contradicts itself", "take 1.1.0 out")
}
