//go:build unix

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/config"
)

// told is a history as words: who brought which text, the newest first.
func told(t testing.TB, path string) string {
	t.Helper()
	list, err := readHistory(historyBeside(path))
	must(t, err)
	var words []string
	for _, one := range list {
		words = append(words, fmt.Sprintf("%d %s %.4q", one.Number, one.By, one.Text))
	}
	return strings.Join(words, ", ")
}

// replaceFiles does what a journal does with the files.
func replaceFiles(t testing.TB, files map[string][]byte) {
	t.Helper()
	for path, text := range files {
		if text == nil {
			must(t, os.Remove(path))
			continue
		}
		must(t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(t, config.Replace(path, text))
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "assaygate.yaml")
	add := func(texts ...string) {
		for _, text := range texts {
			files, err := historyWith(historyBeside(path), earlier{By: "a", Text: []byte(text)})
			must(t, err)
			replaceFiles(t, files)
		}
	}
	add("1", "2", "2", "3")
	if got := told(t, path); got != `3 a "3", 2 a "2", 1 a "1"` {
		t.Errorf("there is %s", got)
	}
	for n := range 20 {
		add(fmt.Sprint("more ", n))
	}
	if list, err := readHistory(historyBeside(path)); err != nil || len(list) != mostHistory || string(list[0].Text) != "more 19" || list[0].Number != 23 {
		t.Errorf("%d, %v", len(list), err)
	}
	add(strings.Repeat("x", config.MaxSize), strings.Repeat("y", config.MaxSize))
	list, err := readHistory(historyBeside(path))
	if err != nil || len(list) != 1 || list[0].Text[0] != 'y' {
		t.Errorf("large ones: %d, %v", len(list), err)
	}
	// What the card damages is left out, and in nobody's way.
	must(t, os.WriteFile(filepath.Join(historyBeside(path), historyFile(list[0].Number)), []byte(`{"by":`), 0o600))
	add("next")
	if got := told(t, path); got != `26 a "next", 25  ""` {
		t.Errorf("there is %s", got)
	}
}

// What a change replaces is kept with who brought it, and goes back with it where
// it is taken back.
func TestHistoryOfChanges(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	first, second := freePort(t), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte("#1\n"+listensAt(directory, first)), 0o600))
	r := startFile(t, path)
	if got := told(t, path); got != "" {
		t.Errorf("at first there is %s", got)
	}
	must(t, r.adopt(t.Context(), change{config: []byte("#2\n" + listensAt(directory, first)), by: "stick"}))
	want := `2 stick "#2\nv", 1 start "#1\nv"`
	if got := told(t, path); got != want {
		t.Errorf("there is %s", got)
	}
	info, err := os.Stat(filepath.Join(historyBeside(path), historyFile(2)))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("others may read it: %v, %v", info, err)
	}
	other, err := net.Listen("tcp", second)
	must(t, err)
	defer other.Close()
	must(t, r.adopt(t.Context(), change{config: []byte("#3\n" + listensAt(directory, second)), by: "anna", trial: 2 * time.Second}))
	if got := told(t, path); !strings.HasPrefix(got, `3 anna "#3\n`) {
		t.Errorf("on trial there is %s", got)
	}
	r.logs(1, "the configuration is taken back")
	if got := told(t, path); got != want {
		t.Errorf("taken back there is %s", got)
	}
}

// A box keeps what stands in its file too where no change has brought it; the
// factory's configuration is none that it has had.
func TestHistoryOfABox(t *testing.T) {
	t.Parallel()
	directory, first := t.TempDir(), freePort(t)
	factory, path := filepath.Join(directory, "factory.yaml"), filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(factory, []byte(listensAt(directory, first)), 0o600))
	log := &lockedBuffer{}
	d, err := prepare(flags{Config: path, Factory: factory}, log)
	must(t, err)
	r := follow(t, d, log, "gateway ready")
	if got := told(t, path); got != "" {
		t.Errorf("at first there is %s", got)
	}
	must(t, r.adopt(t.Context(), change{config: []byte("#1\n" + listensAt(directory, first)), by: "stick"}))
	must(t, os.WriteFile(path, []byte("#2\nbox: {name: other}\n"+listensAt(directory, first)), 0o600))
	eventually(t, "the file is taken", func() bool { return strings.HasPrefix(told(t, path), `2 file "#2\n`) })
	if got := told(t, path); !strings.HasSuffix(got, `, 1 stick "#1\nv"`) {
		t.Errorf("there is %s", got)
	}
	r.end()
	if _, err := prepare(flags{Config: path, Factory: factory}, log); err != nil || strings.Count(told(t, path), "#") != 2 {
		t.Errorf("at the next start there is %s, %v", told(t, path), err)
	}
	paths, err := resetting{config: path, factory: factory}.wipes()
	if err != nil || !strings.Contains(strings.Join(paths, "\n"), historyFile(2)) {
		t.Errorf("a reset does not remove it: %q, %v", paths, err)
	}
	if _, err := os.Stat(historyBeside(filepath.Join(directory, "none", "x"))); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
