//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// supervisor does with a service what systemd does: it waits for READY=1, gives
// more time when it is asked to, and ends with SIGABRT what does not feed its
// watchdog.
type supervisor struct {
	*process
	t        *testing.T
	conn     *net.UnixConn
	watchdog time.Time // when it runs out
	limit    time.Time // for starting or stopping; zero: none
	status   string
}

const (
	testWatchdog = 4 * time.Second
	testStart    = 20 * time.Second
)

// supervise starts a gateway, with a deadlock planted where part is not "".
func supervise(t *testing.T, config, part string) *supervisor {
	t.Helper()
	directory, err := os.MkdirTemp("", "notify") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	socket := filepath.Join(directory, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &supervisor{t: t, conn: conn, limit: time.Now().Add(testStart)}
	s.process = launchWords(t, "/usr/bin/env", "NOTIFY_SOCKET="+socket, "WATCHDOG_USEC="+strconv.FormatInt(testWatchdog.Microseconds(), 10),
		plantedPart+"="+part, os.Args[0], "run", "--config", config)
	return s
}

// until reads what the service says until it has said the state, and reports
// whether it has; false means that it did not report in time.
func (s *supervisor) until(state string) bool {
	s.t.Helper()
	buffer := make([]byte, 4096)
	for end := time.Now().Add(time.Minute); ; {
		if time.Now().After(end) {
			s.t.Fatalf("it reports on and on, and never says %s:\n%s", state, s.log.text())
		}
		end := s.watchdog
		if end.IsZero() || !s.limit.IsZero() && s.limit.Before(end) {
			end = s.limit
		}
		if err := s.conn.SetReadDeadline(end); err != nil {
			s.t.Fatal(err)
		}
		n, err := s.conn.Read(buffer)
		if err != nil {
			return false
		}
		for said := range strings.Lines(string(buffer[:n])) {
			key, value, _ := strings.Cut(strings.TrimSpace(said), "=")
			switch key {
			case "READY":
				s.limit, s.watchdog = time.Time{}, time.Now().Add(testWatchdog)
			case "WATCHDOG":
				if !s.watchdog.IsZero() {
					s.watchdog = time.Now().Add(testWatchdog)
				}
			case "STOPPING":
				s.limit = time.Now().Add(testStart)
			case "EXTEND_TIMEOUT_USEC":
				more, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					s.t.Errorf("%s: %v", said, err)
				}
				if end := time.Now().Add(time.Duration(more) * time.Microsecond); !s.limit.IsZero() && end.After(s.limit) {
					s.limit = end
				}
			case "STATUS":
				s.status = value
			}
			if strings.TrimSpace(said) == state {
				return true
			}
		}
	}
}

// abort ends the service as systemd does, and returns its journal.
func (s *supervisor) abort() string {
	s.t.Helper()
	if err := syscall.Kill(-s.Process.Pid, syscall.SIGABRT); err != nil {
		s.t.Errorf("it had ended by itself: %v", err)
	}
	_ = s.Wait() // its status is that of the signal
	return s.log.text()
}

// A deadlock in any loop is found: the watchdog is not fed any more, so that the
// process is restarted, and before that the journal has the culprit's name and
// the stack of what stands still.
func TestADeadlockInAnyLoopIsFound(t *testing.T) {
	parts := append(watchedParts(), "connection of lan", "opening the store", "stopping the gateway", "changing the configuration")
	room := make(chan bool, 6) // they wait, mostly
	var all sync.WaitGroup
	for _, part := range parts {
		all.Go(func() {
			room <- true
			defer func() { <-room }()
			t.Run(part, func(t *testing.T) { deadlockIsFound(t, part) })
		})
	}
	all.Wait()
}

func deadlockIsFound(t *testing.T, part string) {
	directory := t.TempDir()
	text := everything(t, directory)
	config := configFile(t, directory, text)
	s := supervise(t, config, part)
	if ready := s.until("READY=1"); ready != (part != "opening the store") {
		t.Fatalf("ready: %v\n%s", ready, s.log.text())
	}
	switch part {
	case "connection of lan":
		dial(t, s.address("lan"))
	case "spool writer":
		conn := dial(t, s.address("hl7"))
		go sendHL7(conn, hl7Answers(conn), hl7Text("A", "1", "1"))
	case "changing the configuration":
		configFile(t, directory, text+"box: {name: another}\n")
	case "stopping the gateway":
		if err := s.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if s.until("a state that nobody says") {
		t.Fatal("it cannot have said so")
	}
	journal := s.abort()
	_, after, named := strings.Cut(journal, `stands still: systemd is left to restart the process","part":"`+part)
	if !named {
		t.Fatalf("the culprit is not named:\n%s", journal)
	}
	ours, abort, aborted := strings.Cut(after, "SIGABRT: abort")
	for where, stacks := range map[string]string{"of health": ours, "at the abort": abort} {
		if !strings.Contains(stacks, ".plantedDeadlock(") {
			t.Errorf("the dump %s does not show where it stands still", where)
		}
	}
	if others := strings.Count(journal, "stands still: systemd"); !aborted || others != 1 {
		t.Errorf("aborted: %v, %d parts named:\n%s", aborted, others, journal)
	}
	again := supervise(t, config, "")
	if !again.until("READY=1") {
		t.Fatalf("it does not start again:\n%s", again.log.text())
	}
}

// address is where the gateway listens for an instrument, as its log has it.
func (s *supervisor) address(name string) (address string) {
	s.t.Helper()
	eventually(s.t, name+" is bound", func() bool {
		_, after, found := strings.Cut(s.log.text(), fmt.Sprintf(`"for":%q,"address":"`, name))
		address, _, _ = strings.Cut(after, `"`)
		return found
	})
	return address
}

// A store that takes longer to open than systemd waits for is no reason to start
// again, and again.
func TestSystemdWaitsForALargeStore(t *testing.T) {
	directory := t.TempDir()
	s := supervise(t, configFile(t, directory, base(directory)+lanInstruments), slowOpening)
	s.limit = time.Now().Add(opensSlowly * 2 / 3)
	if !s.until("READY=1") {
		t.Errorf("it was not waited for:\n%s", s.log.text())
	}
}

// A gateway on which nothing stands still is left alone, says how it fares, and
// says when it stops.
func TestSystemdSeesHowTheGatewayFares(t *testing.T) {
	directory := t.TempDir()
	s := supervise(t, configFile(t, directory, base(directory)+lanInstruments), "")
	if !s.until("READY=1") || !s.until("STATUS=2 of 2 lines up, 0 pending, store open") || !s.until("WATCHDOG=1") {
		t.Fatalf("its status is %q:\n%s", s.status, s.log.text())
	}
	if err := s.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if !s.until("STOPPING=1") {
		t.Errorf("it did not say that it stops:\n%s", s.log.text())
	}
	if err := s.Wait(); err != nil {
		t.Errorf("it ended with %v:\n%s", err, s.log.text())
	}
}

// The figure of the line that systemd shows is that of the store.
func TestStatusLineOfAGateway(t *testing.T) {
	r := start(t, base(t.TempDir())+lanInstruments+`
destinations: [{name: lims, senaite: {url: "http://127.0.0.1:1/senaite", username: a, password: b}}]
`)
	conn := dial(t, r.addresses["hl7"])
	if !sendHL7(conn, hl7Answers(conn), hl7Text("A", "1", "1")) {
		t.Fatal("not acknowledged")
	}
	if line := r.statusLine(); line != "2 of 2 lines up, 1 pending, store open" {
		t.Errorf("the line is %q", line)
	}
	r.standing.closed()
	if line := r.statusLine(); line != "2 of 2 lines up, the store is not open yet" {
		t.Errorf("while the store is closed the line is %q", line)
	}
	if n := r.store.Count(spool.Delivered); n != 0 {
		t.Errorf("%d are delivered", n)
	}
}
