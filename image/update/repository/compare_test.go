package repository

import (
	"path/filepath"
	"slices"
	"testing"
)

// An old state is not published over what boxes have seen, and each newer one is.
func TestCompareFindsAnOldState(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	first := copyOf(t, dir)
	must(t, dir, add(bundleOf(t, "1.0.0", "one")))
	must(t, dir, rotate("root-1"))
	seen := filepath.Join(copyOf(t, dir), "public")
	must(t, dir, refresh())

	// A backup, in which work goes on: another release gets the same numbers.
	old := copyOf(t, first)
	must(t, old, add(bundleOf(t, "1.1.0", "two")))
	write(t, filepath.Join(seen, "metadata", ".partial.9.root.json"), "x")
	for name, c := range map[string]struct {
		dir, seen string
		want      []string
	}{
		"newer":   {dir, seen, nil},
		"same":    {dir, filepath.Join(dir, "public"), nil},
		"nothing": {dir, t.TempDir(), nil},
		"backup": {first, seen, []string{
			"2.root.json is not here, and boxes have seen it", "2.snapshot.json is not here, and boxes have seen it",
			"2.targets.json is not here, and boxes have seen it", "timestamp.json is version 1 here, and boxes have seen another version 2",
		}},
		"apart": {old, seen, []string{
			"2.root.json is not here, and boxes have seen it", "2.snapshot.json is another one here than boxes have seen",
			"2.targets.json is another one here than boxes have seen", "timestamp.json is version 2 here, and boxes have seen another version 2",
		}},
	} {
		got, err := Compare(c.dir, c.seen)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, error %v; want %q", name, got, err, c.want)
		}
	}
	// A server whose timestamp was cut off gets a new one.
	write(t, filepath.Join(seen, "metadata", "timestamp.json"), `{"signed":`)
	if got, err := Compare(dir, seen); err != nil || len(got) > 0 {
		t.Errorf("%q, error %v", got, err)
	}
	_, err := Compare(dir, filepath.Join(seen, "none"))
	expectError(t, err, "the copy of what is published")
	_, err = Compare(seen, seen)
	expectError(t, err, "is no repository")
}
