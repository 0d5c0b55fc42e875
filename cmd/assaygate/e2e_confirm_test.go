//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// confirming is the configuration of a gateway that reads back soon.
func confirming(t testing.TB, server *senaitetest.Server, directory string) (config, address string) {
	t.Helper()
	address = freePort(t)
	return configFile(t, directory, base(directory)+fmt.Sprintf(`
instruments: [{name: hl7, hl7: {listen: %q}}]
destinations: [{name: lims, senaite: {url: %q, username: %q, password: %q, confirm: {after: 2s}}}]
`, address, server.URL, senaitetest.Username, senaitetest.Password)), address
}

// listed is what a person's command says of every message, by sample.
func listed(t testing.TB, config string) map[string]spool.Summary {
	t.Helper()
	found := map[string]spool.Summary{}
	for _, m := range inJSON[[]spool.Summary](t, "spool", "list", "--json", "--config", config) {
		found[m.SampleID] = m
	}
	return found
}

// standsAtLIMS is how the message stands at the LIMS, as a person sees it.
func standsAtLIMS(t testing.TB, config, id string) spool.Delivery {
	t.Helper()
	return inJSON[spool.Detail](t, "spool", "show", id, "--json", "--config", config).Deliveries[0]
}

// inJSON runs a command that answers in JSON.
func inJSON[T any](t testing.TB, words ...string) (answer T) {
	t.Helper()
	if err := json.Unmarshal(tell(t, words...), &answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// tell runs a command as a person does, and returns what it prints.
func tell(t testing.TB, words ...string) []byte {
	t.Helper()
	command := exec.Command(os.Args[0], words...)
	command.Env = append(os.Environ(), asMain+"=1")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(words, " "), err)
	}
	return out
}

// SENAITE answers every push with success, whatever its importer made of it.
// What stands there is confirmed; each way in which the importer fails without
// a word is found, named, and put right by a person's retry. The gateway is
// stopped meanwhile: that loses none of it.
func TestSuccessIsReadBack(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	config, address := confirming(t, server, directory)
	missing := map[senaitetest.Import]string{
		senaitetest.ImportAll:      "",
		senaitetest.ImportFails:    "GLU",
		senaitetest.ImportNowhere:  "GLU",
		senaitetest.ImportUnmapped: "GLU",
		senaitetest.ImportOther:    "GLU",
		"no sample":                "sample not found",
	}
	p := spawn(t, config)
	line := newBroker(t, address)
	for mode := range missing {
		server.SetImport(mode)
		if mode != "no sample" {
			server.AddSample(string(mode), "GLU")
		}
		before := len(server.Pushes())
		if !sendHL7(line.Conn, line.answers, hl7Text("Analyser", "id of "+string(mode), string(mode))) {
			t.Fatalf("%s: not acknowledged", mode)
		}
		eventually(t, "the message is in SENAITE", func() bool { return len(server.Pushes()) > before })
	}
	p.kill()
	p = spawn(t, config)
	for mode, what := range missing {
		want := spool.Unconfirmed
		if what == "" {
			want = spool.Confirmed
		}
		var m spool.Summary
		eventually(t, fmt.Sprintf("%s is %s", mode, want), func() bool {
			m = listed(t, config)[string(mode)]
			return m.States["lims"] == want
		})
		if d := standsAtLIMS(t, config, m.ID); !strings.Contains(d.Reason, what) {
			t.Errorf("%s: the reason is %q, without %q", mode, d.Reason, what)
		}
	}

	server.SetImport(senaitetest.ImportAll)
	failed := listed(t, config)[string(senaitetest.ImportFails)]
	tell(t, "spool", "retry", failed.ID, "--config", config)
	eventually(t, "what was retried is confirmed", func() bool {
		return listed(t, config)[failed.SampleID].States["lims"] == spool.Confirmed
	})
	p.kill()
	wantSound(t, directory+"/spool")
}

// An account that may only push: that is said once, messages stay delivered,
// and nothing is held.
func TestAccountMayNotReadBack(t *testing.T) {
	server, directory := newLIMS(t), t.TempDir()
	server.SetReading(senaitetest.Status(403))
	config, address := confirming(t, server, directory)
	p := spawn(t, config)
	line := newBroker(t, address)
	line.round(t, []string{"Analyser"}, 0)
	eventually(t, "that is found out", func() bool { return strings.Contains(p.log.text(), "results are not read back") })
	for n := 1; n < 5; n++ {
		line.round(t, []string{"Analyser"}, n)
	}
	eventually(t, "all are in SENAITE", func() bool { return len(server.Pushes()) == 5 })
	eventually(t, "all are delivered", func() bool {
		status := inJSON[spool.Status](t, "spool", "status", "--json", "--config", config)
		d := status.Destinations[0]
		return d.Delivered == 5 && d.Held == "" && d.Unread != ""
	})
	if n := strings.Count(p.log.text(), "results are not read back"); n != 1 {
		t.Errorf("it was said %d times", n)
	}
	p.kill()
	wantSound(t, directory+"/spool")
}
