//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/config"
)

// onTrial leaves a change as a process leaves it that was killed after it had
// adopted it, with so much time left.
func onTrial(t testing.TB, path, text string, left time.Duration) *config.Journal {
	t.Helper()
	journal := config.NewJournal(journalBeside(path))
	note, err := json.Marshal(trialNote{By: "stick", Of: time.Minute, Left: left})
	must(t, err)
	must(t, journal.Replace(config.Change{Files: map[string][]byte{path: []byte(text)}, Previous: path, Trial: true, Note: note}))
	return journal
}

// A process that is killed in the trial goes on with it at its next start, with
// what was left of it; a listener that cannot be bound does not end it.
func TestTrialOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	first, second := freePort(t), freePort(t)
	other, err := net.Listen("tcp", second)
	must(t, err)
	defer other.Close()
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte(listensAt(directory, first)), 0o600))
	journal := onTrial(t, path, listensAt(directory, second), 7*time.Second)

	p := spawn(t, path)
	eventually(t, "the listener is tried on", func() bool { return strings.Contains(p.log.text(), "the listener cannot be opened; trying on") })
	eventually(t, "the time that has passed is noted", func() bool {
		text, on, err := journal.Trial()
		var note trialNote
		return err == nil && on && json.Unmarshal(text, &note) == nil && note.Left < 3*time.Second
	})
	p.kill()
	if held(t, path) != listensAt(directory, second) {
		t.Fatal("the change is gone before its time")
	}
	p = spawn(t, path)
	eventually(t, "the change is taken back", func() bool { return strings.Contains(p.log.text(), "the configuration is taken back") })
	eventually(t, "the listener of before is open", func() bool { return knocks(first) })
	if held(t, path) != listensAt(directory, first) {
		t.Error("the file is not put back")
	}
}

func knocks(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return false
	}
	conn.Close()
	return true
}

// A box that is switched off again and again does not stay on trial for ever: each
// start takes its step of the time, before anything else.
func TestTrialEndsThoughEachProcessIsKilled(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte("before"), 0o600))
	journal := onTrial(t, path, "after", 57*time.Second)
	starts := 0
	for {
		resumed, err := resumeTrial(journal)
		must(t, err)
		if resumed == nil {
			break
		}
		starts++
	}
	if starts != 19 || held(t, path) != "before" {
		t.Errorf("taken back after %d starts, to %s", starts, held(t, path))
	}
	if why, err := journal.TakenBack(); err != nil || !strings.Contains(string(why), "started again and again") {
		t.Errorf("why: %s, %v", why, err)
	}
}

// A trial of which nobody knows what is left of it is over.
func TestTrialWithoutItsNote(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"gone": os.Remove, "cut": func(path string) error { return os.Truncate(path, 3) },
	} {
		path := filepath.Join(t.TempDir(), "assaygate.yaml")
		must(t, os.WriteFile(path, []byte("before"), 0o600))
		journal := onTrial(t, path, "after", time.Minute)
		must(t, damage(filepath.Join(journalBeside(path), "trial", "note")))
		if resumed, err := resumeTrial(journal); resumed != nil || err != nil || held(t, path) != "before" {
			t.Errorf("%s: %v, %v, %s", name, resumed, err, held(t, path))
		}
	}
}

// What is left is noted a step ahead, so that a power cut takes nothing back that
// has passed.
func TestTrialNotesWhatIsLeft(t *testing.T) {
	path := filepath.Join(t.TempDir(), "assaygate.yaml")
	must(t, os.WriteFile(path, []byte("before"), 0o600))
	journal := onTrial(t, path, "after", time.Minute)
	synctest.Test(t, func(t *testing.T) {
		one := newTrial("stick", 10*time.Minute, false)
		left := func() time.Duration {
			text, _, err := journal.Trial()
			must(t, err)
			var note trialNote
			must(t, json.Unmarshal(text, &note))
			return note.Left
		}
		must(t, one.write(journal))
		for passed := time.Duration(0); passed < 10*time.Minute; passed += time.Second {
			must(t, one.keep(journal))
			if noted, is := left(), 10*time.Minute-passed; noted > is || noted < is-time.Minute {
				t.Fatalf("after %s: %s is noted, %s is left", passed, noted, is)
			}
			time.Sleep(time.Second)
		}
		if one.left() > 0 {
			t.Errorf("%s is left", one.left())
		}
	})
}

// A configuration that ends the process, or cannot even be read, goes back while
// it is on trial; without one the process ends with the reason.
func TestTrialOfWhatEndsTheProcess(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]string{
		"cannot be read":  "version: 1\nbauds: 1\n",
		"has no password": `destinations: [{name: lims, senaite: {url: "http://127.0.0.1:1/s", username: u, password_file: /none/at/all}}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory, address := t.TempDir(), freePort(t)
			path := filepath.Join(directory, "assaygate.yaml")
			must(t, os.WriteFile(path, []byte(listensAt(directory, address)), 0o600))
			if !strings.HasPrefix(wrong, "version") {
				wrong = strings.Replace(listensAt(directory, address), "destinations: []", wrong, 1)
			}
			onTrial(t, path, wrong, time.Minute)
			p := spawn(t, path)
			if !strings.Contains(p.log.text(), "the configuration is taken back") || held(t, path) != listensAt(directory, address) {
				t.Errorf("the file is %s\n%s", held(t, path), p.log.text())
			}
			p.kill()
			must(t, os.WriteFile(path, []byte(wrong), 0o600))
			p = launch(t, path)
			if err := p.Wait(); err == nil {
				t.Error("the process has not ended")
			}
		})
	}
}

// A change that was cut off is brought to its end before the file is read.
func TestChangeIsRecoveredBeforeTheStart(t *testing.T) {
	t.Parallel()
	directory, first, second := t.TempDir(), freePort(t), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte(listensAt(directory, first)), 0o600))
	onTrial(t, path, listensAt(directory, second), time.Minute)
	// As if the power had gone before the first file was replaced.
	must(t, os.Rename(filepath.Join(journalBeside(path), "trial"), filepath.Join(journalBeside(path), "redo")))
	must(t, os.WriteFile(path, []byte(listensAt(directory, first)), 0o600))
	p := spawn(t, path)
	eventually(t, "the new listener is open", func() bool { return knocks(second) })
	eventually(t, "the change stands", func() bool { return strings.Contains(p.log.text(), "the configuration stands") })
}

// The factory's configuration holds while there is no file, not when it is gone.
func TestFactory(t *testing.T) {
	t.Parallel()
	directory, first, second := t.TempDir(), freePort(t), freePort(t)
	factory := filepath.Join(directory, "factory.yaml")
	path := filepath.Join(directory, "config", "assaygate.yaml")
	must(t, os.Mkdir(filepath.Dir(path), 0o700))
	must(t, os.WriteFile(factory, []byte(listensAt(directory, first)), 0o600))
	p := launchWords(t, os.Args[0], "run", "--config", path, "--factory", factory)
	log := func(times int, what string) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s, %d times", what, times), func() bool { return strings.Count(p.log.text(), what) == times })
	}
	log(1, "gateway ready")
	if !knocks(first) {
		t.Error("the factory's listener is not open")
	}
	must(t, os.WriteFile(path, []byte(listensAt(directory, second)), 0o600))
	log(1, inUse)
	if !knocks(second) || knocks(first) {
		t.Error("the file does not hold")
	}
	must(t, os.Remove(path))
	log(1, "the configuration is refused; the running one goes on")
	if !knocks(second) {
		t.Error("the running one does not go on")
	}
	// Who wants it read now says so.
	must(t, os.WriteFile(path, []byte(listensAt(directory, first)), 0o600))
	must(t, syscall.Kill(p.Process.Pid, syscall.SIGHUP))
	log(2, inUse)
	if !knocks(first) || strings.Count(p.log.text(), "SIGHUP") != 1 {
		t.Error("SIGHUP did not have it read")
	}
	p.kill()

	p = launchWords(t, os.Args[0], "run", "--factory", factory)
	if err := p.Wait(); err == nil || !strings.Contains(p.log.text(), "give --config too") {
		t.Errorf("a factory alone: %v %s", err, p.log.text())
	}
	must(t, os.Remove(path))
	p = launch(t, path)
	if err := p.Wait(); err == nil {
		t.Error("a missing file without a factory was taken")
	}
}

// The first configuration of a new box goes back to the factory's.
func TestAdoptOnAFactoryConfiguration(t *testing.T) {
	t.Parallel()
	directory, first, second := t.TempDir(), freePort(t), freePort(t)
	factory, path := filepath.Join(directory, "factory.yaml"), filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(factory, []byte(listensAt(directory, first)), 0o600))
	log := &lockedBuffer{}
	d, err := prepare(flags{Config: path, Factory: factory}, log)
	must(t, err)
	r := follow(t, d, log, "gateway ready")
	if now := r.standingConfig(); !now.Factory || now.Path != factory || now.By != "start" {
		t.Errorf("at first: %+v", now)
	}
	other, err := net.Listen("tcp", second)
	must(t, err)
	defer other.Close()
	must(t, r.adopt(t.Context(), change{config: []byte(listensAt(directory, second)), by: "stick", trial: 3 * time.Second}))
	if now := r.standingConfig(); now.Factory || now.Path != path {
		t.Errorf("on trial: %+v", now)
	}
	r.logs(2, inUse)
	if now := r.standingConfig(); !now.Factory || held(t, path) != "-" || !knocks(first) {
		t.Errorf("taken back: %+v, %s", now, held(t, path))
	}
}
