//go:build unix

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// What an Emerald has its OK for, and a VIDAS in a session its ACK, is in SENAITE
// though the process is killed the moment after; so is a packet that gets no
// reply, once it is stored.
func TestVendorAcknowledgedSurvivesAKill(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	if err := server.Set(senaitetest.Down); err != nil {
		t.Fatal(err)
	}
	astmAddress, emeraldAddress := freePort(t), freePort(t)
	config := configFile(t, directory, fmt.Sprintf(`
instruments: [{name: lan, astm: {listen: %q}}, {name: emerald, emerald: {listen: %q}}]
spool: {directory: %q}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
destinations: [{name: lims, senaite: {url: %q, username: %q, password: %q}}]
`, astmAddress, emeraldAddress, directory+"/spool", server.URL, senaitetest.Username, senaitetest.Password))
	capture := func(name string) string {
		data, err := simulator.Capture(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, step := range []struct{ address, before, answer, message, want string }{
		{emeraldAddress, "CONNECT;SIM-000001;5\r", "ACK_CONNECT;5\r", capture("celldyn_emerald.bin"), "ACK_RESULT;OK\r"},
		{astmAddress, "\x05", "\x06", capture("mini_vidas.bin"), "\x06"},
		{astmAddress, "", "", capture("spotchem_el.bin"), ""},
	} {
		p := spawn(t, config)
		conn := dial(t, step.address)
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		for _, turn := range [][2]string{{step.before, step.answer}, {step.message, step.want}} {
			if _, err := io.WriteString(conn, turn[0]); err != nil {
				t.Fatal(err)
			}
			answer := make([]byte, len(turn[1]))
			if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != turn[1] {
				t.Fatalf("%.30q got %q (%v), want %q", turn[0], answer, err, turn[1])
			}
		}
		if step.want == "" {
			eventually(t, "the packet is stored", func() bool { return strings.Contains(p.log.text(), `"msg":"message stored"`) })
		}
		p.kill()
	}
	if err := server.Set(senaitetest.Up); err != nil {
		t.Fatal(err)
	}
	spawn(t, config)
	eventually(t, "all three are in SENAITE", func() bool { return len(server.Pushes()) == 3 })
	samples := []string{}
	for _, push := range server.Pushes() {
		for _, sample := range []string{"SIM-5001", "SIM-6001", "SIM-7001"} {
			if strings.Contains(push.Message, fmt.Sprintf(`"sample_id":%q`, sample)) {
				samples = append(samples, sample)
			}
		}
	}
	if slices.Sort(samples); !slices.Equal(samples, []string{"SIM-5001", "SIM-6001", "SIM-7001"}) {
		t.Errorf("SENAITE has the samples %q", samples)
	}
}
