//go:build unix

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

func held(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return "-"
	}
	must(t, err)
	return string(text)
}

// listensAt is a configuration with one instrument.
func listensAt(directory, address string) string {
	return "version: 1\n" + base(directory) + fmt.Sprintf("instruments: [{name: one, hl7: {listen: %q}}]\ndestinations: []\n", address)
}

// A change that cannot be bound goes back by itself, with its files; one that can
// be, also later, stands.
func TestAdoptOnTrial(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	first, second := freePort(t), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	secret := filepath.Join(directory, "secrets", "lims")
	must(t, os.WriteFile(path, []byte(listensAt(directory, first)), 0o600))
	r := startFile(t, path)
	other, err := net.Listen("tcp", second) // somebody else has it
	must(t, err)
	defer other.Close()
	to := change{config: []byte(listensAt(directory, second)), files: map[string][]byte{secret: []byte("s")}, by: "stick", trial: 3 * time.Second}
	must(t, r.adopt(t.Context(), to))
	if now := r.standingConfig(); !now.OnTrial || now.By != "stick" || now.Left <= 0 || len(now.Missing) != 1 || !strings.Contains(now.Missing[0], second) {
		t.Errorf("on trial: %+v", now)
	}
	if held(t, path) != string(to.config) || held(t, secret) != "s" || held(t, path+".previous") != listensAt(directory, first) {
		t.Error("the files are not in place")
	}
	r.logs(1, "the configuration is taken back")
	r.logs(2, inUse)
	if now := r.standingConfig(); now.OnTrial || now.By != "the one before" || now.TakenBack == nil || now.TakenBack.By != "stick" || !strings.Contains(now.TakenBack.Why, second) {
		t.Errorf("taken back: %+v, %+v", now, now.TakenBack)
	}
	if held(t, path) != listensAt(directory, first) || held(t, secret) != "-" || held(t, path+".previous") != "-" {
		t.Error("the files are not put back")
	}
	conn := dial(t, first)
	if !sendHL7(conn, hl7Answers(conn), hl7Text("A", "1", "1")) {
		t.Error("the listener of before is not served")
	}

	to.trial = time.Minute
	must(t, r.adopt(t.Context(), to))
	if !r.standingConfig().OnTrial {
		t.Error("it is not on trial")
	}
	other.Close()
	eventually(t, "the change stands", func() bool { now := r.standingConfig(); return !now.OnTrial && now.TakenBack == nil })
	if held(t, path) != string(to.config) || held(t, secret) != "s" {
		t.Error("the files are not in place")
	}
	if entries, err := os.ReadDir(journalBeside(path)); err != nil || len(entries) > 0 {
		t.Errorf("what was before is still kept: %v, %v", entries, err)
	}
	conn = dial(t, second)
	if !sendHL7(conn, hl7Answers(conn), hl7Text("A", "2", "2")) {
		t.Error("the new listener is not served")
	}
}

// What is wrong changes nothing, and is told with its place.
func TestAdoptRefuses(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	path := filepath.Join(directory, "assaygate.yaml")
	text := listensAt(directory, freePort(t))
	must(t, os.WriteFile(path, []byte(text), 0o600))
	d, err := prepare(flags{Config: path}, &lockedBuffer{})
	must(t, err)
	d.changes.judge = func(old, to Config) error {
		if old.Box.Name != "" && to.Box.Name == "stolen" {
			return errors.New("the owner does not want that")
		}
		return nil
	}
	r := follow(t, d, &lockedBuffer{}, "")
	profiles := filepath.Join(directory, "profiles")
	withProfile := strings.Replace(text, "name: one,", "name: one, profile: mine,", 1) + fmt.Sprintf("profiles: %q\n", profiles)
	withLIMS := strings.Replace(text, "destinations: []", fmt.Sprintf(`destinations: [{name: lims, senaite: {url: "http://127.0.0.1:1/s", username: u, password_file: %q}}]`, filepath.Join(directory, "pw")), 1)
	for name, one := range map[string]struct {
		change
		want string
	}{
		"cut off":         {change{config: []byte("")}, path + ":1:1: there is nothing in this file"},
		"key":             {change{config: []byte(text + "bauds: 9600\n")}, path + ":9:1: bauds: "},
		"judge":           {change{config: []byte(text + "box: {name: stolen}\n")}, "the owner does not want that"},
		"no profile":      {change{config: []byte(withProfile)}, "there is no profile mine"},
		"wrong profile":   {change{config: []byte(withProfile), files: map[string][]byte{filepath.Join(profiles, "mine.yaml"): []byte("x: 1\n")}}, filepath.Join(profiles, "mine.yaml") + ":1:1: "},
		"no password":     {change{config: []byte(withLIMS)}, "destinations[0]: destination lims: password_file: open " + filepath.Join(directory, "pw")},
		"wrong password":  {change{config: []byte(withLIMS), files: map[string][]byte{filepath.Join(directory, "pw"): []byte("a\nb")}}, filepath.Join(directory, "pw") + " must hold one line"},
		"relative path":   {change{files: map[string][]byte{"x": nil}}, "is not absolute"},
		"no such address": {change{config: []byte(strings.Replace(text, "instruments:", "admin: {listen: x}\ninstruments:", 1))}, "admin"},
	} {
		err := r.adopt(t.Context(), one.change)
		if err == nil || !strings.Contains(err.Error(), one.want) {
			t.Errorf("%s: %v, want %s", name, err, one.want)
		}
		if errs := (config.Errors{}); !errors.As(err, &errs) && name != "judge" && name != "relative path" {
			t.Errorf("%s: %T", name, err)
		}
		if held(t, path) != text || held(t, path+".previous") != "-" {
			t.Errorf("%s: the file was changed", name)
		}
	}
	if _, err := os.Stat(profiles); err == nil {
		t.Error("profiles were written")
	}
	without := newDaemon(r.config(), newLog(LogSettings{}, &lockedBuffer{}))
	if err := without.adopt(t.Context(), change{config: []byte(text)}); !errors.Is(err, errNoFile) {
		t.Errorf("without a file: %v", err)
	}

	// All that was missing comes with the change: it is right.
	must(t, r.adopt(t.Context(), change{config: []byte(withLIMS), files: map[string][]byte{filepath.Join(directory, "pw"): []byte("right")}}))
	if r.standingConfig().OnTrial {
		t.Error("a change without a trial is on trial")
	}
}

// A password alone: the destination that waits for it goes on at once.
func TestNewPasswordIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	for name, bring := range map[string]func(r *running, file string) error{
		"adopted": func(r *running, file string) error {
			return r.adopt(r.t.Context(), change{files: map[string][]byte{file: []byte(senaitetest.Password)}, by: "stick"})
		},
		"written": func(_ *running, file string) error {
			return os.WriteFile(file, []byte(senaitetest.Password+"\n"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory, server, address := t.TempDir(), newLIMS(t), freePort(t)
			secret := filepath.Join(directory, "pw")
			must(t, os.WriteFile(secret, []byte("wrong"), 0o600))
			path := filepath.Join(directory, "assaygate.yaml")
			must(t, os.WriteFile(path, []byte(strings.Replace(listensAt(directory, address), "destinations: []", fmt.Sprintf(
				`destinations: [{name: lims, senaite: {url: %q, username: %q, password_file: %q}}]`, server.URL, senaitetest.Username, secret), 1)), 0o600))
			r := startFile(t, path)
			conn := dial(t, address)
			answers := hl7Answers(conn)
			if !sendHL7(conn, answers, hl7Text("A", "1", "1")) {
				t.Fatal("not acknowledged")
			}
			eventually(t, "the destination is held", func() bool {
				status, err := r.store.Status(t.Context())
				return err == nil && status.Destinations[0].Held != ""
			})
			must(t, bring(r, secret))
			eventually(t, "the LIMS has it", func() bool { return len(missing(t, []string{"1"}, server.Pushes())) == 0 })
			if !sendHL7(conn, answers, hl7Text("A", "2", "2")) {
				t.Error("the line did not go on")
			}
		})
	}
}

// The store stays open while destinations come, go and move.
func TestReloadOfDestinations(t *testing.T) {
	t.Parallel()
	directory, first, second, address := t.TempDir(), newLIMS(t), newLIMS(t), freePort(t)
	senaite := func(name, url string) string {
		return fmt.Sprintf("{name: %s, senaite: {url: %q, username: %q, password: %q}}", name, url, senaitetest.Username, senaitetest.Password)
	}
	to := func(destinations ...string) []byte {
		return []byte(strings.Replace(listensAt(directory, address), "destinations: []", "destinations: ["+strings.Join(destinations, ", ")+"]", 1))
	}
	const nowhere = "http://127.0.0.1:1/senaite"
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, to(senaite("lims", first.URL), senaite("moving", nowhere), senaite("leaving", nowhere)), 0o600))
	r := startFile(t, path)
	conn := dial(t, address)
	answers := hl7Answers(conn)
	if !sendHL7(conn, answers, hl7Text("A", "1", "1")) {
		t.Fatal("not acknowledged")
	}
	eventually(t, "the LIMS has the first", func() bool { return len(missing(t, []string{"1"}, first.Pushes())) == 0 })
	must(t, r.adopt(t.Context(), change{config: to(senaite("lims", first.URL), senaite("moving", second.URL), senaite("new", second.URL))}))
	if !sendHL7(conn, answers, hl7Text("A", "2", "2")) {
		t.Fatal("the line did not go on")
	}
	eventually(t, "all have the second", func() bool {
		return len(missing(t, []string{"1", "2"}, first.Pushes())) == 0 && len(second.Pushes()) == 2
	})
	if gone := missing(t, []string{"1"}, second.Pushes()); len(gone) == 0 {
		t.Error("what was for another URL was sent to the new one")
	}
	status, err := r.store.Status(t.Context())
	must(t, err)
	parked := map[string]int{}
	for _, d := range status.Destinations {
		parked[d.Name] = d.Parked
		if d.Active == (d.Name == "leaving") {
			t.Errorf("%s is active: %v", d.Name, d.Active)
		}
	}
	if fmt.Sprint(parked) != "map[leaving:1 lims:0 moving:1 new:0]" {
		t.Errorf("parked %v", parked)
	}
	if r.log.text(); strings.Contains(r.log.text(), "closed for a while") {
		t.Error("the store was closed")
	}
}

// Only another spool section closes the store, and then all goes on in the new
// one.
func TestReloadOfTheSpool(t *testing.T) {
	t.Parallel()
	directory, address := t.TempDir(), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	text := listensAt(directory, address)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	r := startFile(t, path)
	must(t, r.adopt(t.Context(), change{config: []byte(strings.Replace(text, "spool: {", "spool: {keep_days: 30, ", 1)), trial: time.Minute}))
	r.logs(2, "gateway ready")
	eventually(t, "the change stands", func() bool { return !r.standingConfig().OnTrial })
	conn := dial(t, address)
	if !sendHL7(conn, hl7Answers(conn), hl7Text("A", "1", "1")) {
		t.Error("not acknowledged")
	}
	// Another process has the new directory: the change goes back at once.
	taken := filepath.Join(directory, "taken")
	store, err := spool.Open(t.Context(), spool.Settings{Directory: filepath.Join(taken, "spool")}, spool.Options{})
	must(t, err)
	defer store.Close()
	err = r.adopt(t.Context(), change{config: []byte(listensAt(taken, address)), trial: time.Minute})
	if !errors.Is(err, spool.ErrLocked) {
		t.Errorf("a store in use: %v", err)
	}
	r.logs(3, "gateway ready")
	conn = dial(t, address)
	if !sendHL7(conn, hl7Answers(conn), hl7Text("A", "2", "2")) {
		t.Error("not acknowledged")
	}
}

// Who edits the file while a change is on trial has decided, unless what it then
// says is wrong: the trial goes on, and takes that back too.
func TestEditDuringATrial(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	first, second, third := freePort(t), freePort(t), freePort(t)
	other, err := net.Listen("tcp", second)
	must(t, err)
	defer other.Close()
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte(listensAt(directory, first)), 0o600))
	r := startFile(t, path)
	to := change{config: []byte(listensAt(directory, second)), by: "stick", trial: time.Minute}
	must(t, r.adopt(t.Context(), to))
	must(t, os.WriteFile(path, []byte(listensAt(directory, third)), 0o600))
	r.logs(1, "its file was changed by hand")
	if now := r.standingConfig(); now.OnTrial || now.By != byFile {
		t.Errorf("after an edit: %+v", now)
	}
	conn := dial(t, third)
	if !sendHL7(conn, hl7Answers(conn), hl7Text("A", "1", "1")) {
		t.Error("what was edited is not served")
	}

	to.trial = 4 * time.Second
	must(t, r.adopt(t.Context(), to))
	must(t, os.WriteFile(path, []byte("version: 1\nbauds: 1\n"), 0o600))
	r.logs(1, "the configuration is refused")
	if !r.standingConfig().OnTrial {
		t.Error("a wrong file has ended the trial")
	}
	r.logs(1, "the configuration is taken back")
	eventually(t, "the file of before is back", func() bool { return held(t, path) == listensAt(directory, third) })
	eventually(t, "nothing is refused", func() bool { return r.standingConfig().Refused == "" })
}

// A change that comes while the process ends keeps nobody waiting, and it least of
// all: the one who brings it may be one whom the end waits for. It stands in its
// files, for the next start.
func TestAdoptWhileTheProcessEnds(t *testing.T) {
	t.Parallel()
	for name, draining := range map[string]bool{"by somebody, while it is gone over to": true, "by a stick, while the lines are drained": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory, address := t.TempDir(), freePort(t)
			path := filepath.Join(directory, "assaygate.yaml")
			text := strings.Replace(listensAt(directory, address), "hl7:", "astm:", 1) + "config_drive: {directory: '" + filepath.Join(directory, "stick") + "'}\n"
			must(t, os.WriteFile(path, []byte(text), 0o600))
			must(t, os.Mkdir(filepath.Join(directory, "stick"), 0o700))
			r := startFile(t, path)
			line := dial(t, address)
			first, _ := halves(astmText("A", "1", "1"))
			askLine(t, line, []byte{5})
			askLine(t, line, first)
			to := []byte(strings.Replace(text, "destinations: []", "destinations: [{name: files, capture: {directory: '"+filepath.Join(directory, "captures")+"'}}]", 1))
			to = []byte(strings.Replace(string(to), "name: one", "name: two", 1))
			adopted := make(chan error, 1)
			if draining {
				go func() { adopted <- r.adopt(t.Context(), change{config: to, trial: time.Minute}) }()
				r.logs(1, "draining what has changed")
				r.stop()
			} else {
				r.stop()
				r.logs(1, "stopping")
				must(t, os.WriteFile(filepath.Join(directory, "stick", "assaygate.yaml"), to, 0o600))
				r.logs(1, "a stick is read")
				adopted <- spool.ErrClosed
			}
			select {
			case err := <-r.ended:
				r.ended <- err
			case <-time.After(30 * time.Second):
				r.ended <- nil // for end
				t.Fatal("the process does not end")
			}
			if err := <-adopted; !errors.Is(err, spool.ErrClosed) {
				t.Errorf("adopted with %v", err)
			}
			if held(t, path) != string(to) {
				t.Errorf("the change is not in its file; there is\n%s", held(t, path))
			}
		})
	}
}
