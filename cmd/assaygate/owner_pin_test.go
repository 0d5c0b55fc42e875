package main

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/owner"
)

// ownerKey is an owner's key of the tests; n tells several apart.
func ownerKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func ownerText(n byte) string { return owner.FormatKey(publicOf(ownerKey(n))) }

// boxWith is a directory as a box has it for its configuration; "" is no such file.
func boxWith(t *testing.T, saved, pin string) ownership {
	t.Helper()
	o := ownership{config: filepath.Join(t.TempDir(), "config", "assaygate.yaml")}
	if err := os.Mkdir(filepath.Dir(o.config), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{o.config: saved, o.path(pinFile): pin} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return o
}

// naming is a configuration that names an owner, "" for none.
func naming(t *testing.T, key string) Config {
	t.Helper()
	text := "version: 1\nconfig_drive: {directory: /run/stick}\n"
	if key != "" {
		text += `owner: {public_key: "` + key + `"}` + "\n"
	}
	c, err := parseConfig([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func expectOwner(t *testing.T, o ownership, c Config, want string) {
	t.Helper()
	key, err := o.of(c)
	if got := owner.FormatKey(key); err != nil || got != want {
		t.Errorf("the owner is %q, %v; want %q", got, err, want)
	}
}

// TestOwnerAtStart: the pinned owner wins over the file, and is pinned by the
// first file that names one.
func TestOwnerAtStart(t *testing.T) {
	for _, test := range []struct {
		name, pin, named string
		want, pinned     string
		log              string
	}{
		{"none", "", "", "", "", "it takes any stick"},
		{"named", "", ownerText(1), ownerText(1), ownerText(1) + "\n", "this box has an owner"},
		{"pinned", ownerText(1) + "\n", "", ownerText(1), ownerText(1) + "\n", "this box has an owner"},
		{"pinned and named", ownerText(1), ownerText(1), ownerText(1), ownerText(1), "this box has an owner"},
		{"another named", ownerText(1), ownerText(2), ownerText(1), ownerText(1), "cannot be changed or set without a factory reset"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, c := boxWith(t, "version: 1\n", test.pin), naming(t, test.named)
			log := &lockedBuffer{}
			o.begin(c, newLog(c.Log, log))
			expectOwner(t, o, c, test.want)
			if strings.Count(log.text(), "\n") != 1 || !strings.Contains(log.text(), test.log) {
				t.Errorf("logged %q, want one line with %q", log.text(), test.log)
			}
			if text, _ := os.ReadFile(o.path(pinFile)); string(text) != test.pinned {
				t.Errorf("%s holds %q, want %q", pinFile, text, test.pinned)
			}
			o.begin(naming(t, ""), newLog(c.Log, log))
			expectOwner(t, o, naming(t, ""), test.want)
		})
	}
}

// TestOwnerInDoubt: what cannot be read makes the box neither anybody's nor
// somebody else's.
func TestOwnerInDoubt(t *testing.T) {
	unreadable := boxWith(t, "version: 1\n", "")
	if err := os.Mkdir(unreadable.path(pinFile), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, o := range map[string]ownership{
		"damaged":    boxWith(t, "version: 1\n", "AAAA"),
		"empty":      boxWith(t, "version: 1\n", "\n"),
		"unreadable": unreadable,
	} {
		c := naming(t, ownerText(2))
		log := &lockedBuffer{}
		o.begin(c, newLog(c.Log, log))
		if key, err := o.of(c); key != nil || err == nil {
			t.Errorf("%s: the owner is %v, error %v", name, key, err)
		}
		if !strings.Contains(log.text(), "in doubt") {
			t.Errorf("%s: logged %s", name, log.text())
		}
		if err := o.permits(naming(t, ""), c); err == nil {
			t.Errorf("%s: a configuration with another owner was taken", name)
		}
	}
	o, c := boxWith(t, "version: 1\n", ""), naming(t, "...")
	if key, err := o.of(c); key != nil || err == nil {
		t.Errorf("named no key: the owner is %v, error %v", key, err)
	}
}

func TestOwnerOfAGatewayWithoutFile(t *testing.T) {
	c, log := naming(t, ownerText(1)), &lockedBuffer{}
	ownership{}.begin(c, newLog(c.Log, log))
	expectOwner(t, ownership{}, c, ownerText(1))
	if _, err := os.Stat(pinFile); err == nil {
		t.Error("a key was written to the working directory")
	}
	if err := (ownership{}).permits(c, naming(t, ownerText(2))); err == nil {
		t.Error("its owner was changed")
	}
	if err := (ownership{}).permits(c, c); err != nil {
		t.Errorf("its owner stays, but: %v", err)
	}
}

// TestOwnerIsJudged: only the first configuration of a box sets its owner.
func TestOwnerIsJudged(t *testing.T) {
	for _, test := range []struct {
		name, saved, pin, named string
		sets                    bool
		want                    string // error
	}{
		{"the first names none", "", "", "", false, ""},
		{"the first names one", "", "", ownerText(1), true, ""},
		{"the first names no key", "", "", "...", false, "owner.public_key: this is no public key"},
		{"a later one names none", "version: 1\n", "", "", false, ""},
		{"a later one sets one", "version: 1\n", "", ownerText(1), false, "test:3:9: owner.public_key: the owner cannot be changed or set without a factory reset"},
		{"owned, names none", "version: 1\n", ownerText(1), "", false, ""},
		{"owned, names it", "version: 1\n", ownerText(1), ownerText(1), false, ""},
		{"owned, names another", "version: 1\n", ownerText(1), ownerText(2), false, "the owner cannot be changed"},
		{"owned at flashing, first names another", "", ownerText(1), ownerText(2), false, "the owner cannot be changed"},
		{"owned at flashing, first names it", "", ownerText(1), ownerText(1), false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			o, files, to := boxWith(t, test.saved, test.pin), map[string][]byte{}, naming(t, test.named)
			err := o.judge(to, files)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if (o.permits(naming(t, ""), to) == nil) != (err == nil) {
				t.Error("judge and permits differ")
			}
			if _, sets := files[o.path(pinFile)]; sets != test.sets || len(files) > 1 {
				t.Errorf("files %q; sets an owner: %t, want %t", files, sets, test.sets)
			}
		})
	}
}

// TestAGatewayWithoutSticksSaysNothingOfThem: that it takes any would be wrong.
func TestAGatewayWithoutSticksSaysNothingOfThem(t *testing.T) {
	c, err := parseConfig([]byte("version: 1\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	boxWith(t, "version: 1\n", "").begin(c, newLog(c.Log, log))
	if log.text() != "" {
		t.Errorf("logged %s", log.text())
	}
}

func TestTakenManifests(t *testing.T) {
	o := boxWith(t, "version: 1\n", "")
	last, err := o.taken()
	if err != nil || last != (taken{}) {
		t.Fatalf("a new box took %+v, %v", last, err)
	}
	first, data := owner.Manifest{Revision: 7}, []byte("seven")
	c := naming(t, "")
	if err := o.admits(first, data, "A", c); err != nil {
		t.Fatal(err)
	}
	path, content := o.keep(takenNow(first, data))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := o.admits(first, data, "A", c); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := o.admits(first, []byte("another seven"), "A", c); err == nil {
		t.Error("another manifest of the same revision was taken")
	}
	if err := o.admits(owner.Manifest{Revision: 6}, data, "A", c); err == nil {
		t.Error("an older manifest was taken")
	}
	if err := o.admits(owner.Manifest{Revision: 8, Fleet: "north"}, data, "A", c); err == nil {
		t.Error("a box of no fleet took the manifest of one")
	}
	c.Box.Fleet = "north"
	if err := o.admits(owner.Manifest{Revision: 8, Fleet: "north"}, data, "A", c); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]taken{"12\n": {12, ""}, "12 abc\r\n": {12, "abc"}} {
		if got, err := parseTaken([]byte(text)); err != nil || got != want {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := o.admits(owner.Manifest{Revision: 9}, data, "A", c); err == nil {
		t.Error("a box that does not know what it took last took a manifest")
	}
}
