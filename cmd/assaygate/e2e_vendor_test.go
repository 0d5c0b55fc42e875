package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// The makers' own formats, over sockets and terminals, are in SENAITE once, with
// the JSON that the capture means, and on disk byte for byte.
func TestVendorFormatsArrive(t *testing.T) {
	for _, test := range []struct {
		capture, sender, sample, value string
		serial                         string // the entry's keys beside the port
	}{
		{"mini_vidas.bin", "miniVidas", "SIM-5001", "2.31", ""},
		{"mini_vidas.bin", "miniVidas", "SIM-5001", "2.31", ", protocol: vendor, profile: biomerieux_mini_vidas"},
		{"spotchem_el.bin", "SE-1520", "SIM-6001", "141.0", ""},
		{"celldyn_emerald.bin", "EMD22AL", "SIM-7001", "7.2", ", protocol: vendor, profile: celldyn_emerald"},
		{"celldyn_emerald.bin", "EMD22AL", "SIM-7001", "7.2", ", profile: celldyn_emerald"},
	} {
		data, err := simulator.Capture(test.capture)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := simulator.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range []string{"socket", "terminal"} {
			t.Run(line+"/"+test.capture+test.serial, func(t *testing.T) {
				server, directory := newLIMS(t), t.TempDir()
				if line == "socket" {
					r := start(t, base(directory)+`
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}}
  - {name: emerald, emerald: {listen: "127.0.0.1:0"}}
`+lims(server, directory))
					to := simulator.Target{Address: r.addresses["lan"]}
					if strings.HasPrefix(test.capture, "celldyn") {
						to.Address = r.addresses["emerald"]
					}
					result, err := simulator.Run(t.Context(), to, messages, simulator.Options{Verbatim: true})
					wantVendor(t, r, server, result, err, data, test.sender, test.sample, test.value)
					return
				}
				instrument, path := terminal(t)
				r := start(t, base(directory)+fmt.Sprintf("instruments: [{name: serial, serial: {port: %q}%s}]\n", path, test.serial)+lims(server, directory))
				eventually(t, "the line is up", func() bool { return strings.Contains(r.log.text(), "line up") })
				result, err := simulator.Play(t.Context(), instrument, messages, simulator.Options{Verbatim: true})
				wantVendor(t, r, server, result, err, data, test.sender, test.sample, test.value)
			})
		}
	}
}

func wantVendor(t *testing.T, r *running, server *senaitetest.Server, result simulator.Result, err error, data []byte, sender, sample, value string) {
	t.Helper()
	if err != nil || len(result.Refused) > 0 || len(result.Acknowledged)+len(result.Sent) != 1 {
		t.Fatalf("played: %+v, %v", result, err)
	}
	eventually(t, "SENAITE has it", func() bool { return len(server.Pushes()) > 0 })
	r.settled()
	wantOnce(t, r, server, data)
	var e struct {
		H []struct{ Sender struct{ Name string } }
		O []struct {
			SampleID string `json:"sample_id"`
		}
		R         []struct{ Value string }
		Assaygate struct {
			Protocol string
			SampleID string `json:"sample_id"`
			Problem  *string
		}
	}
	if err := json.Unmarshal([]byte(server.Pushes()[0].Message), &e); err != nil {
		t.Fatal(err)
	}
	if e.H[0].Sender.Name != sender || len(e.O) != 1 || e.O[0].SampleID != sample || e.R[0].Value != value || e.Assaygate.Protocol != "vendor" || e.Assaygate.SampleID != sample || e.Assaygate.Problem != nil {
		t.Errorf("pushed %s", server.Pushes()[0].Message)
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(r.config().Spool.Directory), "captures", "*.bin"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v (%v)", files, err)
	}
	kept, err := os.ReadFile(files[0])
	if err != nil || string(kept) != string(data) {
		t.Errorf("on disk %q (%v), want %q", kept, err, data)
	}
}
