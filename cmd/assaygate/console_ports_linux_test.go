package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/envelope/spool"
)

// A person finds the settings of a free port from the page, and takes them over; a
// port that is in use is left alone.
func TestAPortIsProbedInTheConsole(t *testing.T) {
	t.Parallel()
	s := newSockets(t)
	s.plug("ttyUSB0", "1-1.2").says("\x0bMSH|^~\\&|X|LAB|||20260102030405||ORU^R01|1|P|2.3.1\rOBX|1|NM|GLU||5.4|mmol/L\r\x1c\r")
	s.plug("ttyUSB1", "1-1.3")
	s.plug("ttyUSB2", "1-1.4")
	directory, address := t.TempDir(), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	text := strings.Replace(withConsole(directory, freePort(t), address), "instruments: [{name: one,", "instruments:\n  - {name: on-a-port, serial: {port: 'usb:1-1.3'}} # the old one\n  - {name: one,", 1)
	text = strings.Replace(text, "}}]\ndest", "}}\ndest", 1)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	log := &lockedBuffer{}
	d, err := prepare(flags{Config: path}, log)
	must(t, err)
	d.panel.System = s.System
	v := visitor{r: follow(t, d, log, "gateway ready"), address: address}
	eventually(t, "the configured port is open", func() bool { return len(d.panel.Held()) == 1 })
	body := v.page("/setup/ports")
	for _, want := range []string{"usb:1-1.2", "Find the settings of usb:1-1.2", "the gateway, for on-a-port", "It cannot be listened to: the gateway has it open for on-a-port", "Find the settings of usb:1-1.4"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	token := foundIn(t, metaToken, body)
	on := func(act, port string) (int, string) {
		status, _, body := v.ask(http.MethodPost, "/setup/ports/"+act, url.Values{"csrf": {token}, "port": {port}}, "text/html")
		return status, body
	}
	for port, why := range map[string]string{"usb:1-1.3": "the gateway has it open", "usb:9": "there is no port"} {
		if status, body := on("probe", port); status != http.StatusBadRequest || !strings.Contains(body, why) {
			t.Errorf("%s: %d %s", port, status, body)
		}
	}
	state := func(port string) (p console.Probing) {
		_, _, body := v.ask(http.MethodGet, "/setup/ports/probe?port="+url.QueryEscape(port), nil, "application/json")
		must(t, json.Unmarshal([]byte(body), &p))
		return p
	}
	for range 2 { // a second time it goes on
		if status, body := on("probe", "usb:1-1.4"); status != http.StatusSeeOther {
			t.Errorf("begun: %d %s", status, body)
		}
	}
	if status, body := on("probe", "usb:1-1.2"); status != http.StatusSeeOther {
		t.Errorf("begun: %d %s", status, body)
	}
	eventually(t, "the settings are found", func() bool { return !state("usb:1-1.2").Running })
	if p := state("usb:1-1.2"); !strings.HasPrefix(p.Found, "9600 8N1, certain") || !strings.Contains(p.YAML, "protocol: hl7") || p.Failed != "" {
		t.Errorf("found %+v", p)
	}
	if p := state("usb:1-1.4"); !p.Running || p.LeftFor == "" {
		t.Errorf("the silent one: %+v", p)
	}
	if body := v.page("/setup/ports"); !strings.Contains(body, "the search for its settings") {
		t.Errorf("nobody sees that it is listened to:\n%s", body)
	}
	on("stop", "usb:1-1.4")
	eventually(t, "the silent one ends", func() bool { return !state("usb:1-1.4").Running })
	if p := state("usb:1-1.4"); !strings.HasPrefix(p.Failed, "nothing came") {
		t.Errorf("the silent one: %+v", p)
	}
	if body := v.page("/setup/ports/probe?port=usb%3a1-1.2"); !strings.Contains(body, "/setup/config?port=usb:1-1.2") && !strings.Contains(body, "/setup/config?port=usb%3a1-1.2") {
		t.Errorf("it cannot be taken over: %s", body)
	}
	form := v.edited("/setup/config?port=usb:1-1.2")
	if !strings.Contains(form.Get("text"), "# the old one") || !strings.Contains(form.Get("text"), "  - name: analyser\n    serial: {port: \"usb:1-1.2\", baud: 9600, data_bits: 8, parity: none, stop_bits: 1}\n    protocol: hl7\n") {
		t.Errorf("taken over is\n%s", form.Get("text"))
	}
	if problems := v.problems(form); strings.Contains(problemWords(problems), console.SeverityError) {
		t.Errorf("what is taken over is wrong: %v", problems)
	}
	if status, body := v.applies(form); status != http.StatusSeeOther {
		t.Fatalf("applied: %d %s", status, body)
	}
	eventually(t, "the port is open", func() bool { return len(d.panel.Held()) == 2 })
	eventually(t, "it is in the audit", func() bool {
		return strings.Count(strings.Join(v.acts(), "\n"), string(spool.PortProbed)) == 2
	})
	// Taken over once more, what stands there already gets the settings.
	again, err := d.withPort(strings.Replace(held(t, path), "baud: 9600, ", "baud: 300, ", 1), "usb:1-1.2")
	if err != nil || strings.Count(again, "usb:1-1.2") != 1 || !strings.Contains(again, `baud: "9600", `) {
		t.Errorf("again: %v\n%s", err, again)
	}
	again, err = d.withPort("version: 1\ninstruments:\n  - name: a\n    serial:\n      port: 'usb:1-1.2' # here\n", "usb:1-1.2")
	if err != nil || !strings.HasSuffix(again, "      port: \"usb:1-1.2\"\n      baud: \"9600\"\n      data_bits: \"8\"\n      parity: \"none\"\n      stop_bits: \"1\" # here\n") {
		t.Errorf("with its port only: %v\n%s", err, again)
	}
	for _, port := range []string{"usb:1-1.4", "usb:9"} {
		if again, err := d.withPort("version: 1\n", port); err == nil {
			t.Errorf("%s gives %s", port, again)
		}
	}
}

func problemWords(problems []console.Problem) string {
	var words []string
	for _, one := range problems {
		words = append(words, one.Severity+" "+one.String())
	}
	return strings.Join(words, "\n")
}
