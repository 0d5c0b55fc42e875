// Package rauctest is RAUC and the bus that it is reached by, for tests: a real
// dbus-daemon of the test's own, and on it a stand-in that behaves as RAUC does, or
// RAUC itself.
package rauctest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Bus is a private dbus-daemon.
type Bus struct {
	Address string

	daemon *exec.Cmd
	stop   sync.Once
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <servicedir>%s</servicedir>
  <limit name="service_start_timeout">5000</limit>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>
`

// NewBus starts a bus, which ends with the test. Without dbus-daemon the test is
// skipped.
func NewBus(t testing.TB) *Bus {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Skip("*** NOT TESTED: dbus-daemon is not here: make deps ***")
	}
	directory, err := os.MkdirTemp("", "bus") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(directory) })
	config := filepath.Join(directory, "config")
	if err := os.WriteFile(config, fmt.Appendf(nil, busConfig, filepath.Join(directory, "socket"), directory), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &Bus{daemon: exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address")}
	var log bytes.Buffer
	b.daemon.Stderr = &log
	out, err := b.daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := b.daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Stop()
		if t.Failed() {
			t.Logf("dbus-daemon says:\n%s", log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n') // once it listens
	if err != nil {
		t.Fatalf("dbus-daemon does not start: %v", err)
	}
	b.Address = strings.TrimSpace(line)
	return b
}

// Stop takes the bus away.
func (b *Bus) Stop() {
	b.stop.Do(func() {
		_ = b.daemon.Process.Kill()
		_ = b.daemon.Wait()
	})
}
