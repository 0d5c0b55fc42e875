package config

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is a directory with files that are replaced together.
type tree struct{ directory string }

func (f tree) path(name string) string { return filepath.Join(f.directory, name) }

func newTree(t *testing.T) tree {
	t.Helper()
	f := tree{quickDirectory(t)}
	for name, text := range map[string]string{"assaygate.yaml": "old", "tls/real.pem": "old", "gone": "old"} {
		if err := os.MkdirAll(filepath.Dir(f.path(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f tree) journal() *Journal { return NewJournal(f.path("change")) }

// quickDirectory is in memory where the system has such a place: thousands of
// changes are synced.
func quickDirectory(t *testing.T) string {
	t.Helper()
	directory, err := os.MkdirTemp("/dev/shm", "assaygate-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	return directory
}

// change replaces one file, makes one in a directory that is not there, and
// removes one.
func (f tree) change(text string) Change {
	return Change{
		Files: map[string][]byte{
			f.path("assaygate.yaml"): []byte(text), f.path("tls/real.pem"): []byte(text),
			f.path("secrets/lims"): []byte(text), f.path("gone"): nil,
		},
		Previous: f.path("assaygate.yaml"),
	}
}

func (f tree) trial(text string) Change {
	c := f.change(text)
	c.Trial, c.Note = true, []byte("note of "+text)
	return c
}

// state says what stands in the files: "old", the text of a change, or what is
// neither.
func (f tree) state() string {
	held := func(name string) string {
		text, err := os.ReadFile(f.path(name))
		if errors.Is(err, os.ErrNotExist) {
			return "-"
		}
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	all := []string{held("assaygate.yaml"), held("assaygate.yaml.previous"), held("tls/real.pem"), held("secrets/lims"), held("gone")}
	switch text := strings.Join(all, " "); text {
	case "old - old - old":
		return "old"
	case "one old one one -":
		return "one"
	case "two one two two -":
		return "two"
	default:
		return "mixed: " + text
	}
}

// left are the files that neither state nor the journal knows.
func (f tree) left(t *testing.T) (names []string) {
	t.Helper()
	err := filepath.WalkDir(f.directory, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			switch name, _ := filepath.Rel(f.directory, path); filepath.ToSlash(name) {
			case "assaygate.yaml", "assaygate.yaml.previous", "tls/real.pem", "secrets/lims", "gone", "change/taken-back":
			default:
				names = append(names, name)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (f tree) want(t *testing.T, when, state string) {
	t.Helper()
	if got := f.state(); got != state {
		t.Errorf("%s: %s, want %s", when, got, state)
	}
}

func TestReplaceSeveralFiles(t *testing.T) {
	f := newTree(t)
	j := f.journal()
	must(t, j.Replace(f.change("one")))
	f.want(t, "after a change", "one")
	if names := f.left(t); names != nil {
		t.Errorf("left behind: %v", names)
	}
	for _, name := range []string{"assaygate.yaml", "assaygate.yaml.previous", "tls/real.pem", "secrets/lims"} {
		info, err := os.Stat(f.path(name))
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	if info, err := os.Stat(f.path("secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory of the secrets: %v, %v", info, err)
	}
	if _, on, err := j.Trial(); on || err != nil {
		t.Errorf("a change that is not on trial is: %v", err)
	}
	must(t, j.Replace(f.change("two")))
	f.want(t, "after another", "two")
}

func TestTrial(t *testing.T) {
	f := newTree(t)
	j := f.journal()
	must(t, j.Replace(f.trial("one")))
	f.want(t, "on trial", "one")
	// What is kept may be passwords.
	must(t, filepath.WalkDir(f.path("change"), func(path string, _ os.DirEntry, failed error) error {
		info, err := os.Stat(path)
		if err = errors.Join(failed, err); err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	}))
	must(t, j.Recover())
	note, on, err := j.Trial()
	if string(note) != "note of one" || !on || err != nil {
		t.Errorf("the trial: %q, %v, %v", note, on, err)
	}
	must(t, j.Note([]byte("later")))
	if note, _, _ := j.Trial(); string(note) != "later" {
		t.Errorf("the note: %q", note)
	}
	must(t, j.Revert([]byte("no listener")))
	f.want(t, "taken back", "old")
	if why, err := j.TakenBack(); string(why) != "no listener" || err != nil {
		t.Errorf("why: %q, %v", why, err)
	}
	must(t, j.Revert(nil)) // there is none
	f.want(t, "taken back twice", "old")

	must(t, j.Replace(f.trial("one")))
	if why, _ := j.TakenBack(); why != nil {
		t.Errorf("what was taken back before a new change: %q", why)
	}
	must(t, j.Confirm())
	must(t, j.Revert(nil))
	f.want(t, "confirmed", "one")
	if names := f.left(t); names != nil {
		t.Errorf("left behind: %v", names)
	}
}

// Two changes on trial go back together, to what was confirmed last; one that is
// not on trial confirms the one before it.
func TestChangeDuringATrial(t *testing.T) {
	f := newTree(t)
	j := f.journal()
	must(t, j.Replace(f.trial("one")))
	must(t, j.Replace(f.trial("two")))
	f.want(t, "both on trial", "two")
	must(t, j.Revert([]byte("x")))
	f.want(t, "both taken back", "old")

	must(t, j.Replace(f.trial("one")))
	must(t, j.Replace(f.change("two")))
	must(t, j.Revert(nil))
	f.want(t, "confirmed by the second", "two")

	// The second need not be about the same files.
	f = newTree(t)
	j = f.journal()
	must(t, j.Replace(f.trial("one")))
	must(t, j.Replace(Change{Files: map[string][]byte{f.path("password"): []byte("p")}, Trial: true}))
	must(t, j.Revert(nil))
	f.want(t, "the first taken back with the second", "old")
	if _, err := os.Stat(f.path("password")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of the second: %v", err)
	}
}

func TestChangeThroughLinks(t *testing.T) {
	f := newTree(t)
	link := f.path("box.pem")
	if err := os.Symlink(f.path("tls/real.pem"), link); err != nil {
		t.Skip("no symbolic links:", err)
	}
	j := f.journal()
	must(t, j.Replace(Change{Files: map[string][]byte{link: []byte("one")}, Trial: true}))
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced")
	}
	if text, _ := os.ReadFile(f.path("tls/real.pem")); string(text) != "one" {
		t.Errorf("the file behind the link holds %q", text)
	}
	must(t, j.Revert(nil))
	f.want(t, "taken back", "old")
	if err := j.Replace(Change{Files: map[string][]byte{link: []byte("1"), f.path("tls/real.pem"): []byte("2")}}); err == nil {
		t.Error("one file under two names was replaced")
	}
	f.want(t, "one file under two names", "old")
	if err := j.Replace(Change{Files: map[string][]byte{"relative": nil}}); err == nil {
		t.Error("a relative path was taken")
	}
}

// What cannot be carried out leaves all as before, and an earlier trial on.
func TestChangeThatFails(t *testing.T) {
	f := newTree(t)
	j := f.journal()
	must(t, j.Replace(f.trial("one")))
	// A directory where a file is to come shows only when it is replaced.
	c := f.trial("two")
	c.Files[f.path("tls/real.pem/below")] = []byte("x")
	if err := j.Replace(c); err == nil {
		t.Fatal("a file below a file was written")
	}
	f.want(t, "after a failure", "one")
	if note, on, err := j.Trial(); string(note) != "note of one" || !on || err != nil {
		t.Errorf("the trial: %q, %v, %v", note, on, err)
	}
	must(t, j.Revert(nil))
	f.want(t, "taken back", "old")
}

// A change that the card has damaged is given up with an error, and is in nobody's
// way: never is a file given what was not written for it.
func TestDamagedJournal(t *testing.T) {
	for _, in := range []string{"redo", "undo", "rollback", "trial"} {
		for _, file := range []string{"index.json", "0.0", "0.1", "0.2"} {
			for name, damage := range map[string]func(string) error{
				"gone":    os.Remove,
				"cut":     func(path string) error { return os.Truncate(path, 1) },
				"flipped": func(path string) error { return os.WriteFile(path, []byte("{\x01}"), 0o600) },
			} {
				f := newTree(t)
				j := f.journal()
				must(t, j.Replace(f.trial("one")))
				if in != "trial" {
					must(t, os.Rename(f.path("change/trial"), f.path("change/"+in)))
				}
				must(t, damage(f.path("change/"+in+"/"+file)))
				err := j.Recover()
				if in == "trial" {
					must(t, err)
					err = errors.Join(j.Revert([]byte("why")), j.Recover())
				}
				if !errors.Is(err, errUnreadable) {
					t.Errorf("%s of %s %s: %v", file, in, name, err)
				}
				f.want(t, file+" of "+in+" "+name, "one")
				must(t, j.Recover())
				must(t, j.Replace(f.change("two")))
				f.want(t, "and after", "two")
				if names := f.left(t); names != nil {
					t.Errorf("%s of %s %s: left behind: %v", file, in, name, names)
				}
			}
		}
	}
}

// FuzzJournal reads what a failing card may give: it is what was written, or it is
// damaged.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"Trial":true,"Items":[{"Path":"/x","Sets":true,"Sums":["","",""]}]}`), []byte("x"))
	f.Add([]byte(`{"Items":[{"Sums":["2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","",""]}]}`), []byte("x"))
	f.Fuzz(func(t *testing.T, index, content []byte) {
		j := NewJournal(t.TempDir())
		must(t, os.Mkdir(j.path(redo), 0o700))
		must(t, os.WriteFile(filepath.Join(j.path(redo), indexFile), index, 0o600))
		must(t, os.WriteFile(filepath.Join(j.path(redo), contentFile(0, after)), content, 0o600))
		_, items, err := j.load(redo)
		switch {
		case err == nil:
			for _, one := range items {
				for at := range one.contents {
					if sumOf(one.contents[at]) != one.Sums[at] {
						t.Errorf("%q is taken for %s", *one.contents[at], one.Sums[at])
					}
				}
			}
		case !errors.Is(err, errUnreadable):
			t.Error(err)
		}
	})
}
