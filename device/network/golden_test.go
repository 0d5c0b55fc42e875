package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/assaygate/assaygate/device/config"
)

// document is what the tests read of a configuration.
type document struct {
	Network   Settings   `yaml:"network"`
	Listeners []listener `yaml:"listeners"`
}

type listener struct {
	Name    string         `yaml:"name"`
	Part    string         `yaml:"part"`
	Address string         `yaml:"address"`
	From    []netip.Prefix `yaml:"from"`
}

func (d document) listeners() []Listener {
	var list []Listener
	for _, one := range d.Listeners {
		list = append(list, Listener{one.Name, Part(one.Part), one.Address, one.From})
	}
	return list
}

func parse(t *testing.T, text string) document {
	t.Helper()
	var d document
	if errs := config.Decode([]byte(text), "config.yaml", &d); errs != nil {
		t.Fatal(errs)
	}
	return d
}

// goldens returns each file of testdata with what the code makes of the
// configuration that it begins with.
func goldens(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatal("there are no golden files:", err)
	}
	list := map[string]*txtar.Archive{}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		d := parse(t, string(archive.Files[0].Data))
		made := &txtar.Archive{Comment: archive.Comment, Files: archive.Files[:1:1]}
		add := func(name, text string) {
			if text != "" {
				made.Files = append(made.Files, txtar.File{Name: name, Data: []byte(text)})
			}
		}
		for _, file := range d.Network.Files() {
			add(file.Name, file.Text)
		}
		add("timesyncd.conf", d.Network.Timesyncd())
		rules, closed := d.Network.Rules(d.listeners())
		add("rules.nft", rules)
		if len(closed) > 0 {
			add("closed", strings.Join(closed, "\n")+"\n")
		}
		list[path] = made
	}
	return list
}

// TestGolden holds every line that is written for a few configurations.
// UPDATE_GOLDEN=1 writes them anew, to be read in the diff.
func TestGolden(t *testing.T) {
	for path, made := range goldens(t) {
		text := string(txtar.Format(made))
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text != string(want) {
			t.Errorf("%s: is not what is written now:\n%s", path, text)
		}
	}
}
