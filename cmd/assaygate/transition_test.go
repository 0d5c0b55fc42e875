//go:build unix

package main

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// What was stopped for a configuration that cannot be gone over to is started
// again, as it was.
func TestTransitionThatFailsGoesBack(t *testing.T) {
	t.Parallel()
	directory, address := t.TempDir(), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	text := strings.Replace(listensAt(directory, address), "destinations: []", "destinations: [{name: files, capture: {directory: '"+filepath.Join(directory, "captures")+"'}}]", 1)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	r := startFile(t, path)
	wrong := filepath.Join(directory, "wrong")
	must(t, os.Mkdir(wrong, 0o700))
	must(t, os.WriteFile(filepath.Join(wrong, "x.yaml"), []byte("x: 1\n"), 0o600))
	// As if the profile had become wrong after it was judged.
	to, err := parseConfig([]byte(strings.Replace(text, "name: files", "name: others", 1)+"profiles: '"+wrong+"'\n"), "test")
	must(t, err)
	if err := r.goOver(t.Context(), to); err == nil || !strings.Contains(err.Error(), "x.yaml") {
		t.Errorf("gone over with %v", err)
	}
	conn := dial(t, address)
	if !sendHL7(conn, hl7Answers(conn), hl7Text("A", "1", "1")) {
		t.Error("the line of before is not served")
	}
	eventually(t, "the destination of before has it", func() bool {
		files, err := filepath.Glob(filepath.Join(directory, "captures", "*.hl7"))
		return err == nil && len(files) == 1
	})
	if r.config().Destinations[0].Name != "files" {
		t.Error("the configuration that failed is the one that runs")
	}

	// A destination that cannot be opened is found before anything is stopped.
	to, err = parseConfig([]byte(strings.Replace(text, "capture: {directory: '"+filepath.Join(directory, "captures")+"'}", "senaite: {url: 'http://127.0.0.1:1/s', username: u, password_file: /none}", 1)), "test")
	must(t, err)
	if err := r.goOver(t.Context(), to); err == nil || !strings.Contains(err.Error(), "/none") {
		t.Errorf("gone over with %v", err)
	}
	if !sendHL7(conn, hl7Answers(conn), hl7Text("A", "2", "2")) {
		t.Error("the line was lost over a destination")
	}
}

// While the store is closed a change is taken all the same, for the next opening:
// it may be what puts the store right.
func TestTransitionWithoutAStore(t *testing.T) {
	t.Parallel()
	directory, address := t.TempDir(), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.Mkdir(filepath.Join(directory, "spool"), 0o700))
	must(t, os.WriteFile(filepath.Join(directory, "spool", "spool.db"), []byte("no database at all, and long enough to be seen as none, whoever looks at it"), 0o600))
	must(t, os.WriteFile(path, []byte(listensAt(directory, address)), 0o600))
	log := &lockedBuffer{}
	d, err := prepare(flags{Config: path}, log)
	must(t, err)
	r := follow(t, d, log, "the store is closed")
	if now := r.standingConfig(); len(now.Missing) == 0 || !strings.Contains(now.Missing[0], "the store is closed") {
		t.Errorf("without a store: %+v", now)
	}
	elsewhere := filepath.Join(directory, "elsewhere")
	must(t, r.adopt(t.Context(), change{config: []byte(listensAt(elsewhere, address)), trial: time.Minute}))
	r.logs(1, "gateway ready")
	eventually(t, "the change stands", func() bool { return !r.standingConfig().OnTrial })
	conn := dial(t, address)
	if !sendHL7(conn, hl7Answers(conn), hl7Text("A", "1", "1")) {
		t.Error("not acknowledged")
	}
	r.addresses[adminServer] = addressOf(t, r, adminServer)
	if status, body := r.answer("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz says %d %s", status, body)
	}
}

// systemd hears of a change, when it began and when it was over.
func TestTransitionIsToldToSystemd(t *testing.T) {
	directory, address := t.TempDir(), freePort(t)
	socket := filepath.Join(t.TempDir(), "notify")
	systemd, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Skip("no such sockets:", err)
	}
	defer systemd.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte(listensAt(directory, address)), 0o600))
	r := startFile(t, path)
	hear := func(wanted string) string {
		t.Helper()
		buffer := make([]byte, 4096)
		for {
			must(t, systemd.SetReadDeadline(time.Now().Add(patience)))
			n, err := systemd.Read(buffer)
			must(t, err)
			if text := string(buffer[:n]); strings.Contains(text, "READY=1") || strings.Contains(text, "RELOADING=1") {
				if !strings.Contains(text, wanted) {
					t.Errorf("systemd heard %q, want %s", text, wanted)
				}
				return text
			}
		}
	}
	hear("READY=1")
	must(t, r.adopt(t.Context(), change{config: []byte(listensAt(directory, freePort(t)))}))
	if text := hear("RELOADING=1"); !strings.Contains(text, "MONOTONIC_USEC=") {
		t.Errorf("systemd heard %q", text)
	}
	hear("READY=1")
}

// Flags stand over every configuration that comes, not only over the first.
func TestFlagsHoldForEveryConfiguration(t *testing.T) {
	t.Parallel()
	directory, address, admin := t.TempDir(), freePort(t), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte(listensAt(directory, address)), 0o600))
	log := &lockedBuffer{}
	d, err := prepare(flags{Config: path, Admin: admin, Data: filepath.Join(directory, "data")}, log)
	must(t, err)
	r := follow(t, d, log, "gateway ready")
	r.addresses[adminServer] = admin
	must(t, r.adopt(t.Context(), change{config: []byte(listensAt(directory, freePort(t)))}))
	if status, body := r.answer("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz says %d %s", status, body)
	}
	if at := r.config().Spool.Directory; at != filepath.Join(directory, "data", "spool") || strings.Count(log.text(), "gateway ready") != 1 {
		t.Errorf("the store is in %s", at)
	}
	if held(t, path) == "" || strings.Contains(held(t, path), admin) {
		t.Error("flags were written into the file")
	}
}
