//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
)

// readinessOf asks a running gateway as a program does.
func readinessOf(t *testing.T, r *running) (status int, now readiness) {
	t.Helper()
	status, body := get(t, r.tellReadiness(adminHandler(r.health, r.metrics)), "/readyz", "application/json")
	if err := json.Unmarshal([]byte(body), &now); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	if now.Ready != (status == http.StatusOK) {
		t.Errorf("status %d, ready %v", status, now.Ready)
	}
	return status, now
}

// startForgiving is start for a gateway that tries closed listeners on, as on a box.
func startForgiving(t *testing.T, yaml string) *running {
	t.Helper()
	c, err := parseConfig([]byte("version: 1\n"+yaml), "test")
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	d := newDaemon(c, newLog(c.Log, log))
	d.forgiving.Store(true)
	return follow(t, d, log, "gateway ready")
}

func TestReadinessPartByPart(t *testing.T) {
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	directory := t.TempDir()
	r := startForgiving(t, base(directory)+fmt.Sprintf(`
instruments:
  - {name: well, astm: {listen: "127.0.0.1:0"}}
  - {name: taken, astm: {listen: %q}}
  - {name: away, hl7: {listen: "203.0.113.1:2575"}}
  - {name: unplugged, serial: {port: /dev/ttyNOT9}}
  - {name: unsafe, astm: {listen: "127.0.0.1:0"}, tls: {certificate: %q, key: %q}}
`, other.Addr(), filepath.Join(directory, "none.pem"), filepath.Join(directory, "none.pem")))
	var now readiness
	eventually(t, "the serial port was looked for", func() bool {
		_, now = readinessOf(t, r)
		return len(now.Reasons) == 4 && now.Reasons[3].Cause != causeStarting
	})
	if now.Ready || now.Store != storeOpen {
		t.Errorf("it says %+v", now)
	}
	for _, want := range []unready{
		{Part: partListener, Name: "listener " + other.Addr().String(), Cause: causeTaken},
		{Part: partListener, Name: "listener 203.0.113.1:2575", Cause: causeAbsent},
		{Part: partListener, Name: "listener 127.0.0.1:0 of unsafe", Cause: causeFiles, Excused: true},
		{Part: partSerial, Name: "unplugged", Cause: causeAbsent, Excused: true},
	} {
		found := false
		for _, one := range now.Reasons {
			if want.Reason = one.Reason; one == want && one.Reason != "" {
				found = true
			}
		}
		if want.Reason = ""; !found {
			t.Errorf("no %+v among %+v", want, now.Reasons)
		}
	}
	if status, text := get(t, r.tellReadiness(adminHandler(r.health, r.metrics)), "/readyz", ""); status != http.StatusServiceUnavailable || !strings.HasPrefix(text, "waiting for listener ") {
		t.Errorf("people are told %d %q", status, text)
	}
	if err := now.verdict(); heldTo(err) != isUnproven {
		t.Errorf("the image is held to %v", err)
	}
	other.Close()
	eventually(t, "the listener is open", func() bool { _, now = readinessOf(t, r); return now.verdict() == nil })
}

func TestReadinessOfAStore(t *testing.T) {
	r := start(t, base(t.TempDir()))
	if status, now := readinessOf(t, r); status != http.StatusOK || !now.Ready || now.Store != storeOpen || len(now.Reasons) != 0 || now.Reasons == nil {
		t.Errorf("status %d, %+v", status, now)
	}
	for cause, why := range map[string]error{
		causeCard: fmt.Errorf("opening: %w", syscall.EIO), causeRoom: fmt.Errorf("opening: %w", spool.ErrNoRoom), causeGateway: spool.ErrLocked,
	} {
		r.standing.lose(why, storeCause(why))
		status, now := readinessOf(t, r)
		if status != http.StatusServiceUnavailable || now.Store != storeClosed || len(now.Reasons) != 1 || now.Reasons[0].Part != partStore || now.Reasons[0].Cause != cause {
			t.Errorf("%v: status %d, %+v", why, status, now)
		}
	}
	if is := storeCause(fmt.Errorf("opening: %w", errGone)); is != causeCard {
		t.Errorf("a store that is gone is the fault of %s", is)
	}
}

// A box whose listener cannot be opened goes on with its other lines, from its start.
func TestBoxStartsWithoutAnAddress(t *testing.T) {
	directory := t.TempDir()
	plant(t, directory, "assaygate.yaml", "version: 1\n"+base(directory))
	f := flags{Config: filepath.Join(directory, "assaygate.yaml")}
	for _, factory := range []string{"", f.Config} {
		f.Factory = factory
		d, err := prepare(f, &lockedBuffer{})
		if err != nil {
			t.Fatal(err)
		}
		if d.forgiving.Load() != (factory != "") {
			t.Errorf("with the factory's %q: forgiving is %v", factory, d.forgiving.Load())
		}
	}
}
