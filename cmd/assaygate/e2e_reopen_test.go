package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// answer asks the admin endpoint.
func (r *running) answer(path string) (status int, body string) {
	r.t.Helper()
	response, err := http.Get("http://" + r.addresses[adminServer] + path)
	if err != nil {
		r.t.Fatalf("the admin endpoint is gone: %v", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// wantAlive expects that the process stays well, whatever the store does.
func (r *running) wantAlive() {
	r.t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- nil // for end
		r.t.Fatalf("the gateway ended: %v\n%s", err, r.log.text())
	default:
	}
	if status, body := r.answer("/healthz"); status != http.StatusOK {
		r.t.Errorf("/healthz says %d %s", status, body)
	}
}

// wantMetrics expects these lines.
func (r *running) wantMetrics(lines ...string) {
	r.t.Helper()
	_, body := r.answer("/metrics")
	for _, line := range lines {
		if !strings.Contains(body, "\n"+line+"\n") {
			r.t.Errorf("no %q in the metrics", line)
		}
	}
}

// Who asks for it gets the directory for themselves, whatever was open in it, and
// all goes on after.
func TestReopen(t *testing.T) {
	directory, server := t.TempDir(), newLIMS(t)
	r := start(t, base(directory)+`instruments: [{name: hl7, hl7: {listen: "127.0.0.1:0"}}]`+lims(server, directory))
	send := func(id string) {
		t.Helper()
		conn := dial(t, r.addresses["hl7"])
		if !sendHL7(conn, hl7Answers(conn), hl7Text("A", id, id)) {
			t.Errorf("message %s is not acknowledged", id)
		}
	}
	send("1")
	refused := errors.New("the copy is damaged")
	for _, want := range []error{nil, refused} {
		err := r.Reopen(t.Context(), func() error {
			store, err := spool.OpenExisting(t.Context(), r.config().Spool.Directory)
			if err != nil {
				return err
			}
			if status, body := r.answer("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "closed for a while") {
				t.Errorf("/readyz says %d %s", status, body)
			}
			if answers(controlSocket(r.config().Spool.Directory)) {
				t.Error("the control socket answers")
			}
			return errors.Join(want, store.Close())
		})
		if !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("reopened with %v, want %v", err, want)
		}
		eventually(t, "the gateway is ready again", func() bool { status, _ := r.answer("/readyz"); return status == http.StatusOK })
	}
	for len(r.bound) > 0 {
		b := <-r.bound
		r.addresses[b.name] = b.address
	}
	send("2")
	eventually(t, "all is in the LIMS", func() bool { return len(missing(t, []string{"1", "2"}, server.Pushes())) == 0 })
	if response, err := http.Get("http://" + r.addresses[consoleServer]); err != nil || response.StatusCode != http.StatusOK {
		t.Errorf("the console: %v, %v", response, err)
	} else {
		response.Body.Close()
	}
	r.end()
	if err := r.Reopen(t.Context(), func() error { t.Error("the process has ended"); return nil }); !errors.Is(err, spool.ErrClosed) {
		t.Errorf("reopened after the end: %v", err)
	}
}

// A request that has the store closed is still answered, long after its server
// has ended for all others.
func TestWhoAsksToReopenIsAnswered(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "control")
	listener, err := listenControl(socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &daemon{log: newLog(LogSettings{}, io.Discard)}
	ctx, stop := context.WithCancelCause(t.Context())
	var running sync.WaitGroup
	server.serve(ctx, &running, httpServer{name: "control socket", handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stop(errAsked)
		running.Wait()
		time.Sleep(1500 * time.Millisecond) // longer than others have
	})}, listener, func(err error) { t.Error(err) })
	client := http.Client{Transport: api.Socket(socket)}
	response, err := client.Get("http://spool/")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	response.Body.Close()
}

// A database that SQLite refuses holds what was acknowledged: it is neither
// replaced nor is the process ended over it, and once it is put right all goes on.
func TestStartOnACorruptStore(t *testing.T) {
	directory := t.TempDir()
	yaml := base(directory) + lanInstruments + lims(newLIMS(t), directory)
	start(t, yaml).end()
	database := filepath.Join(directory, "spool", "spool.db")
	whole, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	broken := append([]byte("no database at all"), whole[18:]...)
	if err := os.WriteFile(database, broken, 0o600); err != nil {
		t.Fatal(err)
	}
	r := startUntil(t, yaml, "the store is closed: nothing is acknowledged")
	r.wantAlive()
	if status, body := r.answer("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, "file is not a database") || strings.Contains(body, "waiting for") {
		t.Errorf("/readyz says %d %s", status, body)
	}
	r.wantMetrics("assaygate_store_failed 1")
	if r.addresses["lan"] != "" {
		t.Error("instruments can connect")
	}
	if err := r.Reopen(t.Context(), func() error { return nil }); spool.FaultOf(err) != spool.CardCorrupt {
		t.Errorf("opened: %v", err)
	}
	if now, err := os.ReadFile(database); err != nil || string(now) != string(broken) {
		t.Errorf("the database was changed (%v)", err)
	}
	if err := os.WriteFile(database, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the gateway is ready by itself", func() bool { status, _ := r.answer("/readyz"); return status == http.StatusOK })
	r.wantMetrics("assaygate_store_failed 0", `assaygate_pending{destination="lims"} 0`, `assaygate_held{destination="lims"} 0`,
		`assaygate_confirmed{destination="lims"} 0`, `assaygate_delivered{destination="lims"} 0`, `assaygate_dropped{destination="lims"} 0`)
}

// What waiting does not mend ends the process, as long as nothing was served.
func TestStartOnAStoreInUse(t *testing.T) {
	directory := t.TempDir()
	yaml := base(directory) + lanInstruments + lims(newLIMS(t), directory)
	start(t, yaml)
	config, err := parseConfig([]byte("version: 1\n"+yaml), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := newDaemon(config, newLog(config.Log, io.Discard)).run(t.Context()); !errors.Is(err, spool.ErrLocked) {
		t.Errorf("two gateways on one store: %v", err)
	}
}
