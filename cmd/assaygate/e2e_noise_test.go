package main

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/protocols/lis01"
)

// TestNoisyLine damages frames on their way: every place where a person looks
// says so, and the gateway is healthy all the same.
func TestNoisyLine(t *testing.T) {
	t.Parallel()
	r := start(t, base(t.TempDir())+lanInstruments+"destinations: []\n")
	admin := "http://" + r.addresses[adminServer]
	health := func() string {
		var out bytes.Buffer
		if err := (&healthCommand{Admin: r.addresses[adminServer]}).Run(&streams{out: &out, err: &out}); err != nil {
			t.Error(err)
		}
		return out.String()
	}
	places := func() map[string]string {
		s := seen{}
		return map[string]string{
			"metrics": string(s.fetch(t, http.DefaultClient, "", admin+"/metrics")),
			"console": string(s.fetch(t, http.DefaultClient, "", "http://"+r.addresses[consoleServer]+"/")),
			"health":  health(), "healthz": string(s.fetch(t, http.DefaultClient, "", admin+"/healthz")), "log": r.log.text(),
		}
	}
	wants := map[string][2]string{ // while quiet, while noisy
		"metrics": {`assaygate_line_noisy{instrument="lan"} 0` + "\n", `assaygate_line_noisy{instrument="lan"} 1` + "\n"},
		"console": {`data-label="Link">up</td>`, `connected, <span class="bad">noisy</span>: check cable`},
		"health":  {"healthy\n", "healthy\nnote: the line of lan is noisy: check cable"},
		"healthz": {"ok\n", "ok\n"},
		"log":     {"gateway ready", "line is noisy"},
	}
	for where, text := range places() {
		if !strings.Contains(text, wants[where][0]) || strings.Contains(text, "noisy:") {
			t.Errorf("quiet: %s shows\n%s", where, text)
		}
	}
	conn := dial(t, r.addresses["lan"])
	bad := lis01.AppendFrame(nil, lis01.Frame{Number: '1', Text: []byte("H|\\^&\r"), End: true})
	bad[3] ^= 1
	for _, data := range [][]byte{{lis01.ENQ}, bad, bad, bad} {
		if _, err := conn.Write(data); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	for where, text := range places() {
		if !strings.Contains(text, wants[where][1]) {
			t.Errorf("noisy: %s shows\n%s", where, text)
		}
	}
	if n := strings.Count(r.log.text(), "noisy"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// A line that is down is no reason not to be healthy, but a person should know.
func TestHealthNamesLinesThatAreDown(t *testing.T) {
	t.Parallel()
	r := start(t, base(t.TempDir())+"instruments: [{name: gone, astm: {dial: '127.0.0.1:1'}}, {name: here, astm: {listen: '127.0.0.1:0'}}]\ndestinations: []\n")
	var out bytes.Buffer
	if err := (&healthCommand{Admin: r.addresses[adminServer]}).Run(&streams{out: &out, err: &out}); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != "healthy\nnote: the line of gone is down; the log says why\n" {
		t.Errorf("health says %q", got)
	}
}
