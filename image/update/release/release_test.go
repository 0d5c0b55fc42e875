package release

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

func valid() Release {
	return Release{Version: "1.4.0", Boards: []string{"assaygate-raspberrypi4_64"}, Minimum: "1.2.0", Notes: "Faster.\n\tAnd safer: 2×."}
}

func TestReleaseReadsWhatItWrites(t *testing.T) {
	t.Parallel()
	for _, want := range []Release{valid(), {Version: "v2.0.0-rc.1", Boards: []string{"a", "b"}, Downgrade: true}} {
		data, err := want.Custom()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseRelease(data)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %+v, error %v; want %+v", data, got, err, want)
		}
	}
}

func TestParseReleaseLeavesOutWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	got, err := ParseRelease([]byte(`{"other":[1],"assaygate":{"version":"1.0.0","boards":["a"],"later":true}}`))
	if err != nil || got.Version != "1.0.0" {
		t.Errorf("got %+v, error %v", got, err)
	}
}

func TestParseReleaseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ data, want string }{
		{``, "no bundle for a box"},
		{`{}`, "no bundle for a box"},
		{`{"assaygate":null}`, "no bundle for a box"},
		{`{"assaygate":`, "unexpected end"},
		{`{"assaygate":{"version":1}}`, "cannot unmarshal"},
		{`{"assaygate":{"boards":["a"]}}`, `version: "" is no version such as 1.4.0`},
	} {
		if _, err := ParseRelease([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v; want %q", c.data, err, c.want)
		}
	}
}

func TestValidateNamesTheKey(t *testing.T) {
	t.Parallel()
	for want, spoil := range map[string]func(*Release){
		`version: "1.4" is a short version: write all three numbers, such as 1.4.0`: func(r *Release) { r.Version = "1.4" },
		`version: "1.4.0+7" has build metadata`:                                     func(r *Release) { r.Version = "1.4.0+7" },
		`version: "vv1.4.0" is no version`:                                          func(r *Release) { r.Version = "vv1.4.0" },
		`version: "latest" is no version`:                                           func(r *Release) { r.Version = "latest" },
		`version: "1.4.0-aaaa`:                                                      func(r *Release) { r.Version += "-" + strings.Repeat("a", 64) },
		`boards: empty`:                                                             func(r *Release) { r.Boards = nil },
		`boards: 65 entries, more than 64`:                                          func(r *Release) { r.Boards = make([]string, 65) },
		`boards: "../x" is no compatible string`:                                    func(r *Release) { r.Boards = []string{"../x"} },
		`boards: "" is no compatible string`:                                        func(r *Release) { r.Boards = []string{"a", ""} },
		`boards: "a" is there twice`:                                                func(r *Release) { r.Boards = []string{"a", "b", "a"} },
		`minimum: "x" is no version`:                                                func(r *Release) { r.Minimum = "x" },
		`minimum: 1.4.1 is above the version 1.4.0 itself`:                          func(r *Release) { r.Minimum = "1.4.1" },
		`notes: has control characters`:                                             func(r *Release) { r.Notes = "\x1b[2J" },
		`notes: has control characters or is no UTF-8`:                              func(r *Release) { r.Notes = "\xff" },
		`notes: 8193 bytes, more than 8192`:                                         func(r *Release) { r.Notes = strings.Repeat("n", 8193) },
	} {
		r := valid()
		spoil(&r)
		if err := r.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v; want %q", err, want)
		}
		if _, err := r.Custom(); err == nil {
			t.Errorf("%q: was written", want)
		}
	}
}

func TestPermit(t *testing.T) {
	t.Parallel()
	const board = "assaygate-raspberrypi4_64"
	for _, c := range []struct {
		name     string
		change   func(*Release)
		box      Box
		kind     error
		sentence string
	}{
		{name: "newer", box: Box{board, "1.3.9"}},
		{name: "with and without v", box: Box{board, "v1.3.9"}},
		{name: "from the minimum", box: Box{board, "1.2.0"}},
		{name: "from its own candidate", box: Box{board, "1.4.0-rc.1"}},
		{
			name: "another board", box: Box{"assaygate-raspberrypi3_64", "1.3.0"}, kind: ErrWrongBoard,
			sentence: "version 1.4.0 is made for assaygate-raspberrypi4_64, and this box is assaygate-raspberrypi3_64: take the bundle of its own board",
		},
		{
			name: "a debug box", box: Box{"assaygate-debug-raspberrypi4_64", "1.3.0"}, kind: ErrWrongBoard,
			sentence: "version 1.4.0 is made for assaygate-raspberrypi4_64, and this box is assaygate-debug-raspberrypi4_64: take the bundle of its own board",
		},
		{
			name: "the same", box: Box{board, "v1.4.0"}, kind: ErrNotNewer,
			sentence: "this box runs version 1.4.0 already: nothing to do",
		},
		{
			name: "older", box: Box{board, "1.10.0"}, kind: ErrNotNewer,
			sentence: "version 1.4.0 is older than 1.10.0, which this box runs: versions only rise, " +
				"unless who makes the releases signs this one as a downgrade",
		},
		{
			name: "too old a box", box: Box{board, "1.1.9"}, kind: ErrTooOld,
			sentence: "this box runs 1.1.9, and version 1.4.0 can be installed from 1.2.0 on: install 1.2.0 first",
		},
		{
			name: "a box without version", box: Box{board, "devel"}, kind: ErrNoVersion,
			sentence: `this box runs "devel", which is no version that could be compared with 1.4.0: flash a released image`,
		},
		{name: "a downgrade", change: downgrade, box: Box{board, "1.10.0"}},
		{name: "a downgrade to the same", change: downgrade, box: Box{board, "1.4.0"}, kind: ErrNotNewer, sentence: "this box runs version 1.4.0 already: nothing to do"},
		{name: "a downgrade for another board", change: downgrade, box: Box{"x", "1.10.0"}, kind: ErrWrongBoard},
		{name: "a downgrade of a box that is too old", change: downgrade, box: Box{board, "1.0.0"}, kind: ErrTooOld},
		{name: "a downgrade that cannot be compared", change: downgrade, box: Box{board, "devel"}, kind: ErrNoVersion},
		{name: "a downgrade of any", change: func(r *Release) { r.Downgrade, r.Minimum = true, "" }, box: Box{board, "devel"}},
	} {
		r := valid()
		if c.change != nil {
			c.change(&r)
		}
		err := r.Permit(c.box)
		if !errors.Is(err, c.kind) || (err == nil) != (c.kind == nil) {
			t.Errorf("%s: error %v; want %v", c.name, err, c.kind)
		}
		if c.sentence != "" && err != nil && err.Error() != c.sentence {
			t.Errorf("%s:\n got %s\nwant %s", c.name, err, c.sentence)
		}
	}
}

func downgrade(r *Release) { r.Downgrade = true }

func TestConflict(t *testing.T) {
	t.Parallel()
	a := Release{Version: "1.0.0", Boards: []string{"x", "y"}}
	b := Release{Version: "v1.1.0", Boards: []string{"y", "z"}}
	back := a
	back.Downgrade = true
	other := b
	other.Boards = []string{"z"}
	upper := b
	upper.Downgrade = true
	same := Release{Version: "v1.0.0", Boards: []string{"y"}}
	for _, c := range []struct {
		releases []Release
		want     string
	}{
		{[]Release{a, b}, ""},
		{[]Release{back, other}, ""},
		{[]Release{a, upper}, ""},
		{[]Release{a, same}, "version 1.0.0 for y is there twice: take one of them out"},
		{[]Release{b, back}, "version 1.0.0 is signed as a downgrade beside the higher version 1.1.0 for the same board: " +
			"a box would go to and fro between them; take 1.1.0 out, or make 1.0.0 no downgrade any longer"},
	} {
		got := ""
		if err := Conflict(c.releases); err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("%+v:\n got %s\nwant %s", c.releases, got, c.want)
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	if got := BundlePath("assaygate-raspberrypi4_64", "v1.4.0"); got != "bundles/assaygate-raspberrypi4_64-1.4.0.raucb" {
		t.Error(got)
	}
	if got := WavePath("v1.4.0-rc.1"); got != "waves/1.4.0-rc.1.json" {
		t.Error(got)
	}
}

func FuzzParseRelease(f *testing.F) {
	for _, r := range []Release{valid(), {Version: "v2.0.0-rc.1", Boards: []string{"a", "b"}, Downgrade: true}} {
		data, err := r.Custom()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, "1.3.0")
	}
	f.Add([]byte(`{"assaygate":{"version":"01.0.0"}}`), "")
	f.Fuzz(func(t *testing.T, data []byte, runs string) {
		first, err := ParseRelease(data)
		if err != nil {
			return
		}
		written, err := first.Custom()
		if err != nil {
			t.Fatalf("%s is read and not written: %v", data, err)
		}
		second, err := ParseRelease(written)
		if err != nil || !reflect.DeepEqual(normal(first), normal(second)) {
			t.Fatalf("%+v comes back as %+v, error %v", first, second, err)
		}
		box := Box{Compatible: first.Boards[0], Version: runs}
		if first.Permit(box) == nil && !first.Downgrade && Compare(first.Version, runs) <= 0 {
			t.Fatalf("%s may replace %s", first.Version, runs)
		}
	})
}

// normal makes no difference between an empty list and none.
func normal(r Release) Release {
	r.Boards = append([]string{}, r.Boards...)
	return r
}
