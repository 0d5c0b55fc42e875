//go:build unix

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// withConsole is listensAt with a console.
func withConsole(directory, address, console string) string {
	return strings.Replace(listensAt(directory, address), `console: {listen: "127.0.0.1:0"}`, fmt.Sprintf("console: {listen: %q}", console), 1)
}

// Who changes the way in through it has to come in again to keep that: open
// listeners are no proof. Nobody does, and it goes back.
func TestWhoChangesTheWayInHasToKeepIt(t *testing.T) {
	t.Parallel()
	directory, address, first, second, third := t.TempDir(), freePort(t), freePort(t), freePort(t), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte(withConsole(directory, address, first)), 0o600))
	r := startFile(t, path)
	to := change{config: []byte(withConsole(directory, address, second)), by: "anna", trial: 3 * time.Second, remote: true}
	must(t, r.adopt(t.Context(), to))
	eventually(t, "the new console is open", func() bool { return len(r.notOpen()) == 0 && knocks(second) })
	r.tendTrial(t.Context())
	if now := r.standingConfig(); !now.OnTrial || !now.NeedsKeeping {
		t.Errorf("with all its listeners open: %+v", now)
	}
	r.logs(1, "the configuration is taken back")
	if back := r.standingConfig().TakenBack; back == nil || !strings.Contains(back.Why, "nobody has kept it within 3s") || back.By != "anna" {
		t.Errorf("taken back: %+v", back)
	}
	eventually(t, "the console of before is back", func() bool { return knocks(first) })
	if held(t, path) != withConsole(directory, address, first) {
		t.Error("the file of before is not back")
	}

	// A second change on top needs keeping too, though it is about something else.
	to.trial = time.Minute
	must(t, r.adopt(t.Context(), to))
	to.config = append(to.config, "log: {level: debug}\n"...)
	must(t, r.adopt(t.Context(), to))
	r.tendTrial(t.Context())
	if !r.standingConfig().OnTrial {
		t.Error("it stands without anybody's word")
	}
	must(t, r.keepNow("anna"))
	if now := r.standingConfig(); now.OnTrial || now.TakenBack != nil || held(t, path) != string(to.config) {
		t.Errorf("kept: %+v", now)
	}
	if err := r.keepNow("anna"); !errors.Is(err, errNoTrial) {
		t.Errorf("kept again: %v", err)
	}
	if err := r.takeBackNow(t.Context(), "anna"); !errors.Is(err, errNoTrial) {
		t.Errorf("taken back when it stands: %v", err)
	}

	// What is about something else stands when its listeners are open; a stick is
	// another way in.
	must(t, r.adopt(t.Context(), change{config: []byte(withConsole(directory, address, second)), by: "anna", trial: time.Minute, remote: true}))
	eventually(t, "the change stands", func() bool { return !r.standingConfig().OnTrial })
	must(t, r.adopt(t.Context(), change{config: []byte(withConsole(directory, address, third)), by: "stick", trial: time.Minute}))
	eventually(t, "the stick's change stands", func() bool { return !r.standingConfig().OnTrial })

	must(t, r.adopt(t.Context(), change{config: []byte(withConsole(directory, address, first)), by: "anna", trial: time.Minute, remote: true}))
	must(t, r.takeBackNow(t.Context(), "bert"))
	if back := r.standingConfig().TakenBack; back == nil || back.Why != "taken back by bert" || held(t, path) != withConsole(directory, address, third) {
		t.Errorf("taken back by a person: %+v", back)
	}
}

// A process that is killed in such a trial goes on with it, and open listeners do
// not end it then either.
func TestKeepingOutlivesItsProcess(t *testing.T) {
	t.Parallel()
	directory, address, first, second := t.TempDir(), freePort(t), freePort(t), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte(withConsole(directory, address, first)), 0o600))
	p := spawn(t, path)
	p.kill()
	journal := onTrial(t, path, withConsole(directory, address, second), 7*time.Second)
	must(t, journal.Note([]byte(`{"by":"anna","of":60000000000,"left":7000000000,"person":true}`)))
	p = spawn(t, path)
	eventually(t, "the new console is open", func() bool { return knocks(second) })
	eventually(t, "the change is taken back", func() bool { return strings.Contains(p.log.text(), "nobody has kept it within 1m0s") })
	if strings.Contains(p.log.text(), "the configuration stands") || held(t, path) != withConsole(directory, address, first) {
		t.Error("the file is not put back")
	}
	p.kill()

	onTrial(t, path, withConsole(directory, address, second), 0)
	must(t, journal.Note([]byte(`{"by":"anna","of":60000000000,"left":0,"person":true}`)))
	resumed, err := resumeTrial(journal)
	why, _ := journal.TakenBack()
	if resumed != nil || err != nil || !strings.Contains(string(why), "nobody has kept it within 1m0s") {
		t.Errorf("resumed without time: %v, %v, %s", resumed, err, why)
	}
}

// Two who make a change of the same configuration do not undo each other's.
func TestAChangeOfWhatWasChangedMeanwhile(t *testing.T) {
	t.Parallel()
	directory, address := t.TempDir(), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte(listensAt(directory, address)), 0o600))
	r := startFile(t, path)
	of := digestOfText([]byte(listensAt(directory, address)))
	one, other := []byte("#1\n"+listensAt(directory, address)), []byte("#2\n"+listensAt(directory, address))
	results := make(chan error, 2)
	go func() { results <- r.adopt(t.Context(), change{config: one, of: of, by: "anna"}) }()
	go func() { results <- r.adopt(t.Context(), change{config: other, of: of, by: "bert"}) }()
	a, b := <-results, <-results
	if (a == nil) == (b == nil) || a != nil && !errors.Is(a, errMoved) || b != nil && !errors.Is(b, errMoved) {
		t.Errorf("%v and %v", a, b)
	}
	if now := held(t, path); now != string(one) && now != string(other) {
		t.Errorf("there is %s", now)
	}
	refused := errors.New("not from here")
	err := r.adopt(t.Context(), change{config: other, may: func(old, to Config) error { return refused }})
	if !errors.Is(err, refused) {
		t.Errorf("not refused: %v", err)
	}
}
