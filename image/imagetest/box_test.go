package imagetest

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// box is one box with its card, from its first boot on, and what stands around it: an analyser at its USB socket, one at
// its network, a LIMS, its owner.
type box struct {
	hardware
	*machine // nil while it is switched off
	*cable
	slot     string // that it runs
	lims     *senaitetest.Server
	releases *releaseServer
	more     string // of its configuration, behind the rest
	promised *ledger
	key      ed25519.PrivateKey
	revision uint64
	set      bool // whether it was configured
	sent     atomic.Int64
	boots    []time.Duration
	name     string // under which its logs are kept
}

// newBox is a box that was never switched on.
func newBox(t *testing.T, name string, h hardware, image string) *box {
	t.Helper()
	directory, err := os.MkdirTemp("", "box") // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	b := &box{hardware: h, cable: &cable{path: filepath.Join(directory, "cable")}, lims: senaitetest.New(), releases: newReleaseServer(t), promised: newLedger(), name: name}
	b.directory, b.card, b.socket = directory, filepath.Join(directory, "card.img"), b.path
	b.outside = strings.TrimPrefix(strings.TrimSuffix(b.lims.URL, "/senaite"), "http://")
	b.server = b.releases.Listener.Addr().String()
	t.Cleanup(func() {
		b.off()
		b.lims.Close()
		b.releases.Close()
		b.keepLogs(t)
		os.RemoveAll(directory)
	})
	if err := newCard(image, b.card); err != nil {
		t.Fatal(err)
	}
	if b.key, err = owner.NewKey(filepath.Join(directory, "owner.key")); err != nil {
		t.Fatal(err)
	}
	return b
}

// keepLogs copies what the box has said to where CI keeps it.
func (b *box) keepLogs(t *testing.T) {
	to := os.Getenv("ASSAYGATE_IMAGE_LOGS")
	if to == "" {
		return
	}
	to = filepath.Join(to, b.name)
	err := os.MkdirAll(to, 0o755)
	for _, name := range []string{"console.log", "journal.log", "shell.log", "emulator.log", "packets.pcap"} {
		data, readErr := os.ReadFile(filepath.Join(b.directory, name))
		if errors.Is(readErr, fs.ErrNotExist) {
			continue // it was never switched on
		}
		err = errors.Join(err, readErr, os.WriteFile(filepath.Join(to, name), data, 0o644))
	}
	if err != nil {
		t.Log(err)
	}
}

// off cuts the power.
func (b *box) off() {
	b.cable.pull()
	if b.machine != nil {
		b.cut()
		b.machine = nil
	}
}

// up switches the box on where it is off, and waits until it is ready.
func (b *box) up() error {
	if b.machine != nil {
		select {
		case <-b.ended:
			b.off()
		default:
			return nil
		}
	}
	began := time.Now()
	m, err := b.on()
	if err != nil {
		return err
	}
	b.machine = m
	b.slot, _, err = m.booted(0, bootLimit)
	b.boots = append(b.boots, time.Since(began).Round(time.Second/10))
	return err
}

// working is up with a configuration.
func (b *box) working() error {
	if err := b.up(); err != nil || b.set {
		return err
	}
	if err := b.wantReport(b.directory, map[string]string{"assaygate.yaml": b.config("")}, runs, nil); err != nil {
		return err
	}
	b.set = true
	return nil
}

const runs = "All is well: the new configuration runs."

// config is the configuration that a person puts on the stick, with more of the network.
func (b *box) config(network string) string {
	return fmt.Sprintf(`version: 1
box: {name: image-test}
owner: {public_key: %q}
network:
  interfaces:
    eth0: {dhcp: true, serves: [instruments]}
%sinstruments:
  - name: wire
    serial: {port: "serial:%s"}
  - name: lan
    hl7: {listen: ":%s"}
    allow_from: [10.0.2.2/32]
destinations:
  - name: lims
    senaite: {url: %q, username: %q, password: %q, plain_http: true, confirm: {enabled: false}}
spool: {directory: /data/spool}
config_drive: {directory: /run/assaygate/stick, write_request: /run/assaygate/stick-write}
admin: {listen: "127.0.0.1:%s"}
console: {listen: "127.0.0.1:8080"}
%s`, owner.FormatKey(b.key.Public().(ed25519.PublicKey)), network, adapterSerial, mllpPort, limsURL, senaitetest.Username, senaitetest.Password, adminPort, b.more)
}

// sign signs a stick as the owner does.
func (b *box) sign(directory string) error {
	names, _, err := owner.FilesBelow(directory)
	if err != nil {
		return err
	}
	b.revision++
	_, err = owner.Sign(directory, names, owner.Manifest{Revision: b.revision}, b.key)
	return err
}

// wired plugs the analyser's adapter in and waits until the gateway has opened the port.
func (b *box) wired() error {
	if b.line != nil {
		return nil
	}
	if err := b.plug(); err != nil {
		return fmt.Errorf("the USB adapter: %w", err)
	}
	return b.opened()
}

func (b *box) opened() error {
	return b.poll(momentLimit, "gateway that has the serial port open", func() (bool, error) {
		_, status, err := b.shell.run(momentLimit, `ls -l /proc/$(systemctl show -p MainPID --value assaygate)/fd | grep -q ttyUSB`)
		return status == 0, err
	})
}

// overWire and overLAN send one message and wait for its acknowledgement.
func (b *box) overWire(ctx context.Context) error {
	if err := b.wired(); err != nil {
		return err
	}
	return sendASTM(ctx, b.line, b.sample("Wire"), b.promised)
}

func (b *box) overLAN(ctx context.Context) error {
	line, err := b.dialLAN(ctx)
	if err != nil {
		return err
	}
	defer line.Close()
	return sendHL7(ctx, line, b.sample("Lan"), b.promised)
}

func (b *box) dialLAN(ctx context.Context) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", b.ports[mllpPort])
}

func (b *box) sample(of string) string { return fmt.Sprintf("%s-%d", of, b.sent.Add(1)) }

// delivered waits until the LIMS has all that was promised.
func (b *box) delivered() error {
	_, err := b.promised.settle(b.lims, momentLimit)
	return err
}
