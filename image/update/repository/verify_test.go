package repository

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"github.com/assaygate/assaygate/image/update/release"
)

// forged changes what people sign, past all that Add and Wave refuse, and signs it.
func forged(t *testing.T, dir, role string, change func(*Repository)) {
	t.Helper()
	must(t, dir, func(r *Repository) (Outcome, error) {
		r.change(role)
		change(r)
		return r.settle([]string{role}, false)
	})
}

// forgedWave puts this text in place of a wave file, signed.
func forgedWave(t *testing.T, dir, path, text string) {
	t.Helper()
	forged(t, dir, Waves, func(r *Repository) {
		of, err := new(metadata.TargetFiles).FromBytes(path, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		r.draft.waves.Signed.Targets[path] = of
		write(t, targetFile(r.public(), path, of), text)
	})
}

// only is the one file that the pattern names below public.
func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "public", filepath.FromSlash(pattern)))
	if err != nil || len(files) != 1 {
		t.Fatalf("%s: %q, error %v", pattern, files, err)
	}
	return files[0]
}

func TestVerifyFindsEachFault(t *testing.T) {
	t.Parallel()
	start := initialised(t)
	must(t, start, add(bundleOf(t, "1.0.0", "one")))
	must(t, start, wave(wavesFrom("1.0.0", today())))
	must(t, start, rotate("root-1"))
	must(t, start, rotate("root-2"))
	expectSound(t, start)

	remove := func(pattern string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Remove(only(t, dir, pattern)); err != nil {
				t.Fatal(err)
			}
		}
	}
	change := func(pattern, old, new string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := only(t, dir, pattern)
			text := string(read(t, path))
			if !strings.Contains(text, old) {
				t.Fatalf("no %q in %s", old, path)
			}
			write(t, path, strings.Replace(text, old, new, 1))
		}
	}
	custom := func(change func(map[string]any)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			forged(t, dir, Targets, func(r *Repository) {
				of := r.draft.targets.Signed.Targets[release.BundlePath(pi4, "1.0.0")]
				var all map[string]map[string]any
				if err := json.Unmarshal(*of.Custom, &all); err != nil {
					t.Fatal(err)
				}
				change(all["assaygate"])
				text, err := json.Marshal(all)
				if err != nil {
					t.Fatal(err)
				}
				of.Custom = (*json.RawMessage)(&text)
			})
		}
	}
	text, err := json.Marshal(wavesFrom("1.0.0", today()))
	if err != nil {
		t.Fatal(err)
	}
	waves := func(path, old, new string) func(*testing.T, string) {
		if !strings.Contains(string(text), old) {
			t.Fatalf("no %q in %s", old, text)
		}
		return func(t *testing.T, dir string) { forgedWave(t, dir, path, strings.Replace(string(text), old, new, 1)) }
	}

	for name, c := range map[string]struct {
		spoil func(*testing.T, string)
		want  string
	}{
		"first root missing": {remove("metadata/1.root.json"), "1.root.json"},
		"first root changed": {change("metadata/1.root.json", `"threshold": 2`, `"threshold": 1`), "the root that is trusted from the start"},
		"root changed":       {change("metadata/2.root.json", `"version": 2`, `"version": 2, "x": 1`), "2.root.json: "},
		"root of another": {func(t *testing.T, dir string) {
			path := only(t, dir, "metadata/3.root.json")
			write(t, path, strings.ReplaceAll(string(read(t, path)), `"sig": "`, `"sig": "00`))
		}, "3.root.json: "},
		"gap in the roots":  {remove("metadata/2.root.json"), "2.root.json is missing: boxes with an older root can follow no further"},
		"no timestamp":      {remove("metadata/timestamp.json"), "timestamp.json: "},
		"timestamp changed": {change("metadata/timestamp.json", `"version": 3`, `"version": 4`), "timestamp.json: "},
		"timestamp cut off": {func(t *testing.T, dir string) { write(t, only(t, dir, "metadata/timestamp.json"), `{"signed":`) }, "timestamp.json: unexpected end"},
		"no snapshot":       {remove("metadata/3.snapshot.json"), "3.snapshot.json: "},
		"snapshot changed":  {change("metadata/3.snapshot.json", `"version": 3`, `"version": 3 `), "3.snapshot.json: "},
		"no targets":        {remove("metadata/2.targets.json"), "2.targets.json: "},
		"targets changed":   {change("metadata/2.targets.json", `1.0.0`, `1.0.1`), "2.targets.json: "},
		"no waves":          {remove("metadata/2.waves.json"), "2.waves.json: "},
		"waves changed":     {change("metadata/2.waves.json", `1.0.0`, `1.0.1`), "2.waves.json: "},
		"no bundle":         {remove("targets/bundles/*.raucb"), "1.0.0.raucb: the file is not there"},
		"bundle changed":    {change("targets/bundles/*.raucb", "one", "two"), "1.0.0.raucb: is not the file that was signed: 3 bytes"},
		"bundle longer":     {change("targets/bundles/*.raucb", "one", "one."), "1.0.0.raucb: is not the file that was signed: 4 bytes"},
		"no wave file":      {remove("targets/waves/*.json"), "waves/1.0.0.json: the file is not there"},
		"wave file changed": {change("targets/waves/*.json", "25", "95"), "waves/1.0.0.json: is not the file that was signed"},
		"private key": {func(t *testing.T, dir string) {
			_, err := newKey(filepath.Join(dir, "public", "targets", "a"))
			must0(t, err)
		}, "is a private key: take it out"},
		"no custom":              {custom(func(c map[string]any) { delete(c, "version") }), `1.0.0.raucb: version: "" is no version`},
		"path of another":        {custom(func(c map[string]any) { c["version"] = "1.0.1" }), "which its name does not say"},
		"board of another":       {custom(func(c map[string]any) { c["boards"] = []string{"x"} }), "which its name does not say"},
		"greedy waves":           {waves("waves/1.0.0.json", `"share":5`, `"share":50`), "waves/1.0.0.json: waves: number 1"},
		"waves with other words": {waves("waves/1.0.0.json", `"waves"`, `"pause":"x","waves"`), `waves/1.0.0.json: wave file: json: unknown field "pause"`},
		"waves of another":       {waves("waves/1.0.0.json", `"1.0.0"`, `"1.0.1"`), "waves/1.0.0.json: is for version 1.0.1"},
		"waves name a bundle":    {waves("bundles/x.raucb", `"1.0.0"`, `"1.0.0"`), "bundles/x.raucb: the role waves may not name it"},
		"no release": {func(t *testing.T, dir string) {
			forged(t, dir, Targets, func(r *Repository) {
				r.draft.targets.Signed.Targets[release.BundlePath(pi4, "1.0.0")].Custom = nil
			})
		}, "this is no bundle for a box"},
		"to and fro": {func(t *testing.T, dir string) {
			must(t, dir, add(bundleOf(t, "1.1.0", "two")))
			custom(func(c map[string]any) { c["downgrade"] = true })(t, dir)
		}, "a box would go to and fro"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyOf(t, start)
			c.spoil(t, dir)
			report, err := Verify(dir, VerifyOptions{At: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(report.Faults, func(fault string) bool { return strings.Contains(fault, c.want) }) {
				t.Errorf("faults %q; want %q", report.Faults, c.want)
			}
		})
	}
}

func must0(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestVerifySaysWhatExpires(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	for _, c := range []struct {
		days   int
		faults []string // of these files, in order
		warns  []string
	}{
		{0, nil, nil},
		{timestampDays - 5, nil, []string{"timestamp.json"}},
		{timestampDays + 1, []string{"timestamp.json"}, nil},
		{snapshotDays - 5, []string{"timestamp.json"}, []string{"1.snapshot.json"}},
		{snapshotDays + 1, []string{"1.snapshot.json", "timestamp.json"}, nil},
		{offlineDays - 300, []string{"1.snapshot.json", "timestamp.json"}, []string{"1.root.json", "1.targets.json", "1.waves.json"}},
		{offlineDays + 1, []string{"1.root.json", "1.targets.json", "1.waves.json", "1.snapshot.json", "timestamp.json"}, nil},
	} {
		report, err := Verify(dir, VerifyOptions{At: time.Now().AddDate(0, 0, c.days)})
		if err != nil {
			t.Fatal(err)
		}
		names := func(lines []string) (names []string) {
			for _, line := range lines {
				name, _, _ := strings.Cut(line, " ")
				names = append(names, name)
			}
			return names
		}
		if got := names(report.Faults); !slices.Equal(got, c.faults) {
			t.Errorf("in %d days: faults %q, want %q", c.days, report.Faults, c.faults)
		}
		if report.Expired != len(c.faults) {
			t.Errorf("in %d days: %d have expired", c.days, report.Expired)
		}
		if got := names(report.Warnings); !slices.Equal(got, c.warns) {
			t.Errorf("in %d days: warnings %q, want %q", c.days, report.Warnings, c.warns)
		}
	}
}

// The root that boxes were flashed with decides, not the one that lies there.
func TestVerifyWithTheRootOfABox(t *testing.T) {
	t.Parallel()
	dir, other := initialised(t), initialised(t)
	must(t, dir, rotate("root-1"))
	for name, c := range map[string]struct {
		root  string
		sound bool
	}{
		"first":   {filepath.Join(dir, "public", "metadata", "1.root.json"), true},
		"second":  {filepath.Join(dir, "public", "metadata", "2.root.json"), true},
		"another": {filepath.Join(other, "public", "metadata", "1.root.json"), false},
	} {
		report, err := Verify(dir, VerifyOptions{Root: read(t, c.root), At: time.Now()})
		if err != nil || (len(report.Faults) == 0) != c.sound {
			t.Errorf("%s: faults %q, error %v", name, report.Faults, err)
		}
	}
	// What is published is enough to judge.
	report, err := Verify(filepath.Join(dir, "public"), VerifyOptions{At: time.Now()})
	if err != nil || len(report.Faults) > 0 || len(report.Roles) != 5 {
		t.Errorf("report %+v, error %v", report, err)
	}
	_, err = Verify(t.TempDir(), VerifyOptions{At: time.Now()})
	expectError(t, err, "is no repository")
}

func TestBoxesAreJudged(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	for _, version := range []string{"1.0.0", "1.1.0"} {
		must(t, dir, add(bundleOf(t, version, version)))
	}
	high := bundleOf(t, "1.2.0", "three")
	high.Release.Minimum = "1.1.0"
	other := bundleOf(t, "1.0.0", "other board")
	other.Release.Boards = []string{"assaygate-raspberrypi3_64"}
	must(t, dir, add(high, other))
	start := today()
	must(t, dir, wave(wavesFrom("1.1.0", start)))
	must(t, dir, wave(wavesFrom("1.2.0", start.Add(24*time.Hour))))

	report := expectSound(t, dir)
	if want := []string{"version 1.0.0 has no wave file: boxes take it from a stick only; assaygate update repo wave lets them take it over HTTPS"}; !slices.Equal(report.Notes, want) || len(report.Warnings) > 0 {
		t.Errorf("notes %q, warnings %q", report.Notes, report.Warnings)
	}
	for _, c := range []struct {
		hours int
		want  []BoxReport
	}{
		{1, []BoxReport{
			{"", "1.1.0", []Share{{5, "1.1.0"}, {95, ""}}, "1.0.0"},
			{"1.0.0", "1.1.0", []Share{{5, "1.1.0"}, {95, ""}}, ""},
			{"1.1.0", "1.2.0", []Share{{100, ""}}, ""},
			{"1.2.0", "", []Share{{100, ""}}, ""},
		}},
		{49, []BoxReport{
			{"", "1.1.0", []Share{{100, "1.1.0"}}, "1.0.0"},
			{"1.0.0", "1.1.0", []Share{{100, "1.1.0"}}, ""},
			{"1.1.0", "1.2.0", []Share{{25, "1.2.0"}, {75, ""}}, ""},
			{"1.2.0", "", []Share{{100, ""}}, ""},
		}},
	} {
		report, err := Verify(dir, VerifyOptions{At: start.Add(time.Duration(c.hours) * time.Hour)})
		if err != nil || len(report.Boards) != 2 {
			t.Fatalf("%+v, error %v", report, err)
		}
		if got := report.Boards[1]; got.Board != pi4 || !reflect.DeepEqual(got.Boxes, c.want) {
			t.Errorf("after %d hours %s: %+v, want %+v", c.hours, got.Board, got.Boxes, c.want)
		}
	}
	states := map[int]string{-1: "not yet over HTTPS, 5% from ", 1: "5% of boxes over HTTPS, 25% from ", 25: "25% of boxes over HTTPS, 100% from ", 49: "100% of boxes over HTTPS"}
	for hours, want := range states {
		if got := report.Boards[1].Releases[1].State(start.Add(time.Duration(hours) * time.Hour)); !strings.HasPrefix(got, want) {
			t.Errorf("after %d hours: %q, want %q", hours, got, want)
		}
	}
}

// A box between the lowest version of a release and the release itself is neither
// older than all nor one of those that are there.
func TestBoxesBetweenAreJudged(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	one, two := bundleOf(t, "1.3.0", "one"), bundleOf(t, "2.0.0", "two")
	one.Release.Minimum, two.Release.Minimum = "1.0.0", "1.3.0"
	must(t, dir, add(one, two))
	want := []BoxReport{
		{"", "", []Share{{100, ""}}, "1.0.0"},
		{"1.0.0", "1.3.0", []Share{{100, ""}}, "1.3.0"},
		{"1.3.0", "2.0.0", []Share{{100, ""}}, ""},
		{"2.0.0", "", []Share{{100, ""}}, ""},
	}
	if got := expectSound(t, dir).Boards[0].Boxes; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// What asks for nothing is no warning: who gets each of these by mail reads none.
func TestWhatIsRemovedGivesNoWarning(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	must(t, dir, add(bundleOf(t, "1.0.0", "one")))
	must(t, dir, wave(wavesFrom("1.0.0", today())))
	out := must(t, dir, func(r *Repository) (Outcome, error) { return r.Remove("1.0.0") })
	if want := []string{"version 1.0.0 is no longer offered to " + pi4}; !slices.Equal(out.Notes, want) {
		t.Errorf("notes %q, want %q", out.Notes, want)
	}
	report := expectSound(t, dir)
	if want := []string{"waves/1.0.0.json: there is no bundle of this version, so it is without effect"}; !slices.Equal(report.Notes, want) || len(report.Warnings) > 0 {
		t.Errorf("notes %q, warnings %q", report.Notes, report.Warnings)
	}
}

// Who signs waves must not be able to name bundles.
func TestTheDelegationIsHeld(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*metadata.Delegations){
		"not terminating": func(d *metadata.Delegations) { d.Roles[0].Terminating = false },
		"for all":         func(d *metadata.Delegations) { d.Roles[0].Paths = []string{"*/*"} },
		"and for bundles": func(d *metadata.Delegations) { d.Roles[0].Paths = append(d.Roles[0].Paths, "bundles/*") },
		"another too":     func(d *metadata.Delegations) { d.Roles = append(d.Roles, metadata.DelegatedRole{Name: "x"}) },
	} {
		dir := initialised(t)
		_, err := with(t, dir, nil, func(r *Repository) (Outcome, error) {
			r.change(Targets)
			spoil(r.draft.targets.Signed.Delegations)
			return r.settle([]string{Targets}, false)
		})
		if err == nil || !strings.Contains(err.Error(), "a box would refuse this: 2.targets.json: ") {
			t.Errorf("%s: error %v", name, err)
		}
		newBox(t, dir).expect(t, nil)
	}
	dir := initialised(t)
	_, err := with(t, dir, nil, func(r *Repository) (Outcome, error) {
		r.change(Root)
		r.draft.root.Signed.ConsistentSnapshot = false
		return r.settle([]string{Root}, false)
	})
	expectError(t, err, "consistent_snapshot is off")
}
