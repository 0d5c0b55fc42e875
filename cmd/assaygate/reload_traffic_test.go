//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// However often the configuration changes, what was acknowledged arrives; a line
// that is the same in all of them keeps its connection.
func TestNothingIsLostOverManyReloads(t *testing.T) {
	t.Parallel()
	directory, server := t.TempDir(), newLIMS(t)
	same, changing := freePort(t), freePort(t)
	text := func(turn int) []byte {
		return []byte("version: 1\n" + base(directory) + fmt.Sprintf(`instruments:
  - {name: same, hl7: {listen: %q}}
  - {name: changing, hl7: {listen: %q}, limits: {session: %ds}}
`, same, changing, 60+turn) + lims(server, filepath.Join(directory, fmt.Sprint(turn%2))))
	}
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, text(0), 0o600))
	r := startFile(t, path)

	var over atomic.Bool
	var mu sync.Mutex
	var acknowledged []string
	send := func(name, address string, kept bool) {
		for n := 0; !over.Load(); {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				continue // it is opened again
			}
			answers := hl7Answers(conn)
			for !over.Load() {
				id := fmt.Sprint(name, n)
				n++
				if !sendHL7(conn, answers, hl7Text(name, id, id)) {
					if kept {
						t.Errorf("the connection of %s was lost at message %d", name, n)
						over.Store(true)
					}
					break
				}
				mu.Lock()
				acknowledged = append(acknowledged, id)
				mu.Unlock()
				time.Sleep(2 * time.Millisecond) // the LIMS is to keep up
			}
			conn.Close()
		}
	}
	var senders sync.WaitGroup
	senders.Go(func() { send("S", same, true) })
	senders.Go(func() { send("C", changing, false) })
	for turn := 1; turn < 8; turn++ {
		before := func() int { mu.Lock(); defer mu.Unlock(); return len(acknowledged) }()
		eventually(t, "messages come", func() bool { mu.Lock(); defer mu.Unlock(); return len(acknowledged) > before+20 })
		must(t, r.adopt(t.Context(), change{config: text(turn), trial: time.Minute}))
	}
	over.Store(true)
	senders.Wait()
	eventually(t, "all that was acknowledged is in the LIMS", func() bool { return len(missing(t, acknowledged, server.Pushes())) == 0 })
	if n := strings.Count(r.log.text(), `"for":"same"`); n != 1 {
		t.Errorf("the listener that is the same was opened %d times", n)
	}
	if n := strings.Count(r.log.text(), `"for":"changing"`); n != 8 {
		t.Errorf("the listener that changes was opened %d times", n)
	}
}

// What all lines have in common changes for all at once: a message that has begun
// is finished as it began, within the grace period; the next is read anew.
func TestReloadOfPrivacy(t *testing.T) {
	t.Parallel()
	directory, address := t.TempDir(), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	text := strings.Replace(listensAt(directory, address), "hl7:", "astm:", 1) + fmt.Sprintf("profiles: %q\n", filepath.Join(directory, "profiles"))
	must(t, os.Mkdir(filepath.Join(directory, "profiles"), 0o700))
	must(t, os.WriteFile(path, []byte(text), 0o600))
	r := startFile(t, path)
	line := dial(t, address)
	first, second := halves(astmText("A", "1", "CANARY"))
	askLine(t, line, []byte{5})
	askLine(t, line, first)
	adopted := make(chan error)
	go func() {
		adopted <- r.adopt(t.Context(), change{config: []byte(text + "privacy: {astm: {allow: {H: [5, 12, 13, 14], R: [3, 4]}}}\n")})
	}()
	r.logs(1, "draining what has changed")
	askLine(t, line, second)
	if _, err := line.Write([]byte{4}); err != nil {
		t.Error(err)
	}
	must(t, <-adopted)
	if _, err := io.ReadAll(line); err != nil {
		t.Errorf("the connection of before: %v", err)
	}
	line = dial(t, address)
	if !sendASTM(line, astmText("A", "2", "CANARY")) {
		t.Error("not acknowledged")
	}
	eventually(t, "both are stored", func() bool { status, err := r.store.Status(t.Context()); return err == nil && status.Messages == 2 })
	list, err := r.store.List(t.Context(), spoolFilter())
	must(t, err)
	for _, one := range list {
		raw, err := r.store.Raw(t.Context(), one.ID)
		must(t, err)
		if scrubbed := !strings.Contains(string(raw), "CANARY"); scrubbed != (one.Sequence == 2) {
			t.Errorf("message %d is scrubbed: %v", one.Sequence, scrubbed)
		}
	}

	// An own profile comes: the lines are made anew with it.
	must(t, os.WriteFile(filepath.Join(directory, "profiles", "wrong.yaml"), []byte("x: 1\n"), 0o600))
	r.logs(1, "the configuration is refused; the running one goes on")
	must(t, os.Remove(filepath.Join(directory, "profiles", "wrong.yaml")))
	eventually(t, "the profiles are right again", func() bool { return r.standingConfig().Refused == "" })
	if !sendASTM(line, astmText("A", "3", "CANARY")) {
		t.Error("the line was lost over a wrong profile")
	}
}

// Two instruments change places: each is drained before the other takes its port.
func TestReloadSwapsSerialPorts(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	one, onePath := terminal(t)
	two, twoPath := terminal(t)
	text := func(a, b string, wire bool) []byte {
		return []byte("version: 1\n" + base(directory) + fmt.Sprintf("instruments: [{name: a, serial: {port: %q}}, {name: b, serial: {port: %q}}]\ndestinations: [{name: files, capture: {directory: %q, wire: %v}}]\n",
			a, b, filepath.Join(directory, "captures"), wire))
	}
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, text(onePath, twoPath, false), 0o600))
	r := startFile(t, path)
	say := func(to io.ReadWriter, id string) {
		t.Helper()
		first, second := halves(astmText("A", id, id))
		for _, unit := range [][]byte{{5}, first, second} {
			askLine(t, to, unit)
		}
		_, err := to.Write([]byte{4})
		must(t, err)
	}
	r.logs(2, "line up")
	say(one, "1")
	must(t, r.adopt(t.Context(), change{config: text(twoPath, onePath, false)}))
	r.logs(4, "line up")
	say(one, "2")
	say(two, "3")
	traces, err := filepath.Glob(filepath.Join(directory, "captures", "*.wire"))
	must(t, err)
	if len(traces) > 0 {
		t.Errorf("traces that nobody asked for: %v", traces)
	}
	must(t, r.adopt(t.Context(), change{config: text(twoPath, onePath, true)}))
	r.logs(6, "line up")
	say(two, "4")
	eventually(t, "the line is traced", func() bool {
		traces, err := filepath.Glob(filepath.Join(directory, "captures", "*.wire"))
		return err == nil && len(traces) > 0
	})
	r.addresses[adminServer] = addressOf(t, r, adminServer)
	r.wantMetrics(`assaygate_messages_total{instrument="a",outcome="received",protocol="astm"} 3`,
		`assaygate_messages_total{instrument="b",outcome="received",protocol="astm"} 1`)
}

func addressOf(t testing.TB, r *running, name string) string {
	t.Helper()
	for len(r.bound) > 0 {
		b := <-r.bound
		r.addresses[b.name] = b.address
	}
	return r.addresses[name]
}

// The servers move, and only they; the admin endpoint keeps its counts.
func TestReloadMovesServers(t *testing.T) {
	t.Parallel()
	directory, address := t.TempDir(), freePort(t)
	first, second, console := freePort(t), freePort(t), freePort(t)
	text := func(admin string) []byte {
		return []byte(strings.NewReplacer(`admin: {listen: "127.0.0.1:0"}`, fmt.Sprintf("admin: {listen: %q}", admin),
			`console: {listen: "127.0.0.1:0"}`, fmt.Sprintf("console: {listen: %q}", console)).Replace(listensAt(directory, address)))
	}
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, text(first), 0o600))
	r := startFile(t, path)
	conn := dial(t, address)
	answers := hl7Answers(conn)
	if !sendHL7(conn, answers, hl7Text("A", "1", "1")) {
		t.Fatal("not acknowledged")
	}
	must(t, r.adopt(t.Context(), change{config: text(second)}))
	r.addresses[adminServer] = second
	r.wantMetrics(`assaygate_messages_total{instrument="one",outcome="received",protocol="hl7"} 1`)
	if _, err := http.Get("http://" + first + "/metrics"); err == nil {
		t.Error("the admin endpoint still stands where it was")
	}
	if n := strings.Count(r.log.text(), `"for":"console"`); n != 1 {
		t.Errorf("the console was opened %d times", n)
	}
	if !sendHL7(conn, answers, hl7Text("A", "2", "2")) {
		t.Error("the line was not kept")
	}
}
