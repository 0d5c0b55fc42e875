package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/envelope/spool"
)

// peers is where captures of real instruments stand, beside the project. They
// are not part of it.
const peers = "../../../shared"

// running is a gateway that a test has started.
type running struct {
	*daemon
	store     *spool.Spool // the first that was opened
	t         testing.TB
	addresses map[string]string
	log       *lockedBuffer
	stop      context.CancelFunc
	ended     chan error
}

// lockedBuffer is a log that is written and read at the same time.
type lockedBuffer struct {
	mu   sync.Mutex
	kept bytes.Buffer // not embedded: its ReadFrom would pass the lock by
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept.String()
}

// start runs a gateway with this configuration until the test ends, and waits
// until it is ready. Listeners on port 0 are found in addresses, by the name of
// instrument or server.
func start(t testing.TB, yaml string) *running {
	t.Helper()
	r := startUntil(t, yaml, "gateway ready")
	first, _ := r.standing.now()
	r.store = first.store
	return r
}

// startUntil is start that waits for another line of the log.
func startUntil(t testing.TB, yaml, line string) *running {
	t.Helper()
	config, err := parseConfig([]byte("version: 1\n"+yaml), "test")
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	return follow(t, newDaemon(config, newLog(config.Log, log)), log, line)
}

// follow runs a daemon until the test ends, and waits until its log has the line.
func follow(t testing.TB, d *daemon, log *lockedBuffer, line string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{daemon: d, t: t, addresses: map[string]string{}, log: log, stop: stop, ended: make(chan error, 1)}
	r.bound = make(chan bound, 64)
	go func() { r.ended <- r.run(ctx) }()
	t.Cleanup(func() { r.end() })
	eventually(t, "the log says "+line, func() bool {
		select {
		case err := <-r.ended:
			r.ended <- nil // for end
			t.Fatalf("the gateway ended: %v\n%s", err, log.text())
		default:
		}
		return strings.Contains(log.text(), line)
	})
	for len(r.bound) > 0 {
		b := <-r.bound
		r.addresses[b.name] = b.address
	}
	return r
}

// end stops the gateway in order, once, and expects that it ends well.
func (r *running) end() {
	r.t.Helper()
	r.stop()
	if err := <-r.ended; err != nil {
		r.t.Errorf("the gateway ended: %v", err)
	}
	r.ended <- nil
}

// eventually waits until something holds that another goroutine brings about.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// play sends a capture to an instrument's listener and expects that all of it
// is acknowledged.
func (r *running) play(name string, protocol simulator.Protocol, data []byte, o simulator.Options) {
	r.t.Helper()
	messages, err := simulator.Read(data)
	if err != nil {
		r.t.Fatal(err)
	}
	result, err := simulator.Run(r.t.Context(), simulator.Target{Protocol: protocol, Address: r.addresses[name]}, messages, o)
	if err != nil || len(result.Refused) > 0 || len(result.Acknowledged) == 0 {
		r.t.Fatalf("played %s: %+v, %v", name, result, err)
	}
}

// terminal is a serial line without hardware: the instrument's end and the
// gateway's.
func terminal(t testing.TB) (*os.File, string) {
	t.Helper()
	instrument, path, err := port.OpenPTY()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("no pseudo-terminals on this system")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { instrument.Close() })
	return instrument, path
}

// capturesOf returns the captures of a kind: our own, and those beside the
// project if they are there.
func capturesOf(t testing.TB, protocol simulator.Protocol) map[string][]byte {
	t.Helper()
	found := map[string][]byte{}
	add := func(name string, data []byte) {
		messages, err := simulator.Read(data)
		if err == nil && messages[0].Protocol == protocol {
			found[name] = data
		}
	}
	for _, name := range simulator.Captures() {
		data, err := simulator.Capture(name)
		if err != nil {
			t.Fatal(err)
		}
		add(name, data)
	}
	files, _ := filepath.Glob(peers + "/captures/*.txt")
	more, _ := filepath.Glob(peers + "/captures/hl7/*.hl7")
	if len(files) == 0 {
		t.Logf("no captures in %s: only our own are played", peers)
	}
	for _, file := range append(files, more...) {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		add(filepath.Base(file), data)
	}
	return found
}

// base is a configuration of store, servers and lines on free ports.
func base(directory string) string {
	return fmt.Sprintf(`
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
shutdown_grace: 5s
`, filepath.Join(directory, "spool"))
}

const lanInstruments = `
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}}
  - {name: hl7, hl7: {listen: "127.0.0.1:0"}}
`

func spoolFilter() spool.Filter { return spool.Filter{Limit: 10000} }
