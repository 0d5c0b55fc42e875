package main

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/owner"
)

const brokenFactory = `version: 1
spool: {directory: ROOT/data/spool}
config_drive: {directory: ROOT/stick}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
`

const brokenReason = "its file system is damaged"

// newBrokenBox starts a box whose /data was found so: with its configuration on it,
// or empty, as the root file system has it.
func newBrokenBox(t *testing.T, state board.DataState) *stickBox {
	t.Helper()
	return newBrokenBoxWith(t, state, baseConfig)
}

func newBrokenBoxWith(t *testing.T, state board.DataState, config string) *stickBox {
	t.Helper()
	root := t.TempDir()
	data := filepath.Join(root, "data")
	b := &stickBox{root: root, stick: filepath.Join(root, "stick"), path: filepath.Join(data, "config", "assaygate.yaml")}
	b.write(t, filepath.Join(root, "factory.yaml"), b.text(brokenFactory))
	if err := os.Mkdir(data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("none", data, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("*** NOT TESTED: a /data that can only be read needs root: %v ***", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(data, 0); err != nil {
			t.Error(err)
		}
	})
	if state.State == board.DataReadOnly {
		b.write(t, b.path, b.text(strings.Replace(config, "ROOT/spool", "ROOT/data/spool", 1)))
	}
	if err := unix.Mount("none", data, "tmpfs", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	system := bareBoard(t)
	state.At = data
	if err := system.SetDataState(state); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(system.DataRequest()), 0o700); err != nil {
		t.Fatal(err)
	}
	b.startUntil(t, "the store is closed", func(d *daemon) { d.board = system })
	return b
}

// request is what root was asked for; false for nothing.
func (b *stickBox) request(t *testing.T) (n cardNote, asked bool) {
	t.Helper()
	text, err := os.ReadFile(b.board.DataRequest())
	if err != nil {
		return n, false
	}
	if err := json.Unmarshal(text, &n); err != nil {
		t.Error(err)
	}
	return n, true
}

func TestABoxWithABrokenCard(t *testing.T) {
	for _, state := range []string{board.DataReadOnly, board.DataAbsent} {
		t.Run(state, func(t *testing.T) {
			b := newBrokenBox(t, board.DataState{State: state, Reason: brokenReason})
			for what, said := range map[string]error{"/readyz": b.health.Ready(), "the store": b.storeTrouble(), "the console": b.consoleOverview().Broken()} {
				if said == nil || !strings.Contains(said.Error(), brokenReason) || !strings.Contains(said.Error(), "an empty file repair") {
					t.Errorf("%s says %v", what, said)
				}
			}
			if face := b.lookAtFace(t.Context(), &glimpse{}); face != board.Refusing {
				t.Errorf("the light shows %v", face)
			}
			if _, err := b.openedStore(); err == nil || !strings.Contains(err.Error(), brokenReason) {
				t.Errorf("there is a store, or the pages say %v", err)
			}
			for _, text := range []string{brokenReason, "docs/recovery.md"} {
				if !strings.Contains(b.log.text(), text) {
					t.Errorf("the log does not say %q", text)
				}
			}
			if err := b.health.Healthy(); err != nil {
				t.Errorf("a restart would mend no card: %v", err)
			}

			b.plug(t, map[string]string{"collect": ""})
			b.wantReport(t, "Not all is well: the box can store nothing", brokenReason)
			b.plug(t, map[string]string{"repair": ""})
			eventually(t, "root is asked", func() bool { _, is := b.request(t); return is })
			if n, _ := b.request(t); n.Do != noteRepair || n.By != byStick {
				t.Errorf("root is asked for %+v", n)
			}
			b.wantReport(t, "Not all is well: the box can store nothing", "repair: the box starts anew now")

			os.Remove(b.board.DataRequest())
			b.plug(t, map[string]string{"reset": ""})
			eventually(t, "root is asked", func() bool { _, is := b.request(t); return is })
			if n, _ := b.request(t); n.Do != noteReset || n.By != byStick || n.Signed || n.At.IsZero() {
				t.Errorf("root is asked for %+v", n)
			}
			b.wantReport(t, "Not all is well: the box can store nothing", "reset: the box starts anew now")
		})
	}
}

// Its owner's sticks are taken though nothing can be remembered, where they have the
// card mended, and only there; nobody else's are, and none that is older than the
// last.
func TestAnOwnedBoxWithABrokenCard(t *testing.T) {
	mine, other := ownerKey(1), ownerKey(2)
	b := newBrokenBoxWith(t, board.DataState{State: board.DataReadOnly, Reason: brokenReason}, baseConfig+"owner: {public_key: \""+owner.FormatKey(publicOf(mine))+"\"}\n")
	for what, stick := range map[string]struct {
		files  map[string]string
		sign   func(string)
		reason string
	}{
		"unsigned":         {map[string]string{"reset": ""}, func(string) {}, "this stick is not signed by it"},
		"another's":        {map[string]string{"reset": ""}, signed(t, other, owner.Manifest{Revision: 2}), "is not signed by this box's owner"},
		"a configuration":  {map[string]string{"assaygate.yaml": b.limsConfig("password: " + secret)}, signed(t, mine, owner.Manifest{Revision: 2}), "that this stick is taken cannot be remembered"},
		"a repair, not of": {map[string]string{"repair": ""}, signed(t, mine, owner.Manifest{Revision: 2, Serials: []string{"nobody"}}), "signed for box nobody"},
	} {
		b.plug(t, stick.files, stick.sign)
		b.wantReport(t, "Nothing was changed: this stick was not accepted.", stick.reason)
		if n, asked := b.request(t); asked {
			t.Errorf("%s: root is asked for %+v", what, n)
		}
	}
	for _, name := range []string{"repair", "reset"} {
		b.plug(t, map[string]string{name: ""}, signed(t, mine, owner.Manifest{Revision: 2}))
		eventually(t, "root is asked", func() bool { _, is := b.request(t); return is })
		if n, _ := b.request(t); n.Do != name || n.Signed != (name == "reset") {
			t.Errorf("root is asked for %+v", n)
		}
		b.wantReport(t, "Not all is well: the box can store nothing", name+": the box starts anew now")
		os.Remove(b.board.DataRequest())
	}
}

// A box whose data are only not mounted keeps its owner: nobody's stick is taken.
func TestABoxWhoseDataAreNotMounted(t *testing.T) {
	b := newBrokenBox(t, board.DataState{State: board.DataAbsent, Late: true, Reason: "it was found, and not mounted in time"})
	for _, name := range []string{"repair", "reset"} {
		b.plug(t, map[string]string{name: ""})
		eventually(t, "the stick is refused", func() bool { return strings.Contains(b.log.text(), "owner cannot be read") })
		if n, asked := b.request(t); asked {
			t.Errorf("%s: root is asked for %+v", name, n)
		}
	}
	if err := b.storeTrouble(); err == nil || !strings.Contains(err.Error(), "switch the box off and on") {
		t.Errorf("the store says %v", err)
	}
}

// A stick that stays in its socket must not have the box start anew for ever.
func TestABoxWhoseCardCannotBeRepaired(t *testing.T) {
	b := newBrokenBox(t, board.DataState{State: board.DataAbsent, Reason: brokenReason, Asked: noteRepair})
	for _, name := range []string{"repair", "reset"} {
		b.plug(t, map[string]string{name: ""})
		b.wantReport(t, "Not all is well: one thing", name+": ", "did not help")
		if n, asked := b.request(t); asked {
			t.Errorf("%s: root is asked for %+v", name, n)
		}
	}
	if err := b.repair("anna"); err == nil {
		t.Error("the console can ask")
	}
}

func TestTheConsoleAsksForARepair(t *testing.T) {
	b := newBrokenBox(t, board.DataState{State: board.DataReadOnly, Reason: brokenReason})
	if err := b.consoleOverview().Repair("anna"); err != nil {
		t.Fatal(err)
	}
	if n, _ := b.request(t); n.Do != noteRepair || n.By != "the console, by anna" {
		t.Errorf("root is asked for %+v", n)
	}
}

// A box with a sound card, and a computer that is none, have nothing to repair; and
// their reset is the usual one.
func TestASoundCardIsNotRepaired(t *testing.T) {
	for state, want := range map[string]string{"": "use its own tools", board.DataOK: "found sound", board.DataRepaired: "found sound"} {
		b := newStickBox(t, baseConfig, func(d *daemon) {
			d.board = bareBoard(t)
			if state == "" {
				return
			}
			if err := d.board.SetDataState(board.DataState{State: state}); err != nil {
				t.Fatal(err)
			}
		})
		b.plug(t, map[string]string{"repair": ""})
		b.wantReport(t, "Not all is well: one thing", want)
		if b.storeTrouble() != nil || b.consoleOverview().Broken() != nil {
			t.Error("it is taken for broken")
		}
	}
}

func TestWhatIsSaidOfACardThatWasMadeAnew(t *testing.T) {
	b := newStickBox(t, baseConfig, func(d *daemon) {
		d.board = bareBoard(t)
		state := board.DataState{State: board.DataOK, Did: []string{"it was grown", "the file system was made anew"}, Told: []string{"the file system was made anew"}}
		if err := d.board.SetDataState(state); err != nil {
			t.Fatal(err)
		}
	})
	if notes := strings.Join(b.boxNotes(), "\n"); !strings.Contains(notes, "made anew") {
		t.Errorf("the console says %q", notes)
	}
	b.plug(t, map[string]string{"collect": ""})
	b.wantReport(t, "All is well", "At the start of the box: the file system was made anew.")
}

// The button asks root where the card is broken, and resets as ever where it is not.
func TestTheResetButtonOfABrokenCard(t *testing.T) {
	r := newResetting(filepath.Join(t.TempDir(), "config", "assaygate.yaml"), "", slog.New(slog.DiscardHandler))
	r.board = bareBoard(t)
	b := &stickBox{running: &running{daemon: &daemon{board: r.board}}}
	if err := os.MkdirAll(filepath.Dir(r.board.DataRequest()), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.press(t.Context(), buttonAsked().reset()); err != nil {
		t.Fatal(err)
	}
	if n, asked := b.request(t); asked {
		t.Errorf("root is asked for %+v where there is nothing to reset", n)
	}
	if err := r.board.SetDataState(board.DataState{State: board.DataAbsent}); err != nil {
		t.Fatal(err)
	}
	if err := r.press(t.Context(), buttonAsked().reset()); err != nil {
		t.Fatal(err)
	}
	if n, _ := b.request(t); n.Do != noteReset || n.By != "the reset button" || !n.At.Equal(buttonAsked().At) {
		t.Errorf("root is asked for %+v", n)
	}
	if err := r.board.SetDataState(board.DataState{State: board.DataOK}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Dir(r.config), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.press(t.Context(), buttonAsked().reset()); err != nil || !there(r.beside(resetFile)) {
		t.Errorf("a sound card: %v", err)
	}
}

func (n cardNote) reset() resetRequest { return resetRequest{By: n.By, At: n.At, Signed: n.Signed} }
