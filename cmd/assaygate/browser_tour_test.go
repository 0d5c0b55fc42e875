//go:build unix

package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/console/login"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// demonstration is a gateway as the manual shows it: a line of each kind, a LIMS
// and one for trials, and a configuration file that a person would write.
type demonstration struct {
	*running
	chemistry *os.File // the analyser's end of its cable
	// alike are the addresses of this run, and those in the manual in their place.
	alike [][2]string
}

func demonstrate(t *testing.T) demonstration {
	t.Helper()
	server, directory := newLIMS(t), t.TempDir()
	server.OrderAsPushed(true)
	chemistry, path := terminal(t)
	password := filepath.Join(directory, "password")
	if err := os.WriteFile(password, []byte(senaitetest.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	d := demonstration{chemistry: chemistry}
	address := func(shown string) string {
		real := freePort(t)
		d.alike = append(d.alike, [2]string{strings.ReplaceAll(real, ".", `\.`), shown})
		return real
	}
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	d.alike = append(d.alike, [2]string{server.URL, "https://lims.example.org/senaite"}, [2]string{at.Host, "lims.example.org"})
	config := configFile(t, directory, fmt.Sprintf(`box: {name: box-a17}

instruments:
  - name: chemistry
    serial: {port: %q, baud: 9600}
  - name: haematology
    astm: {listen: %q}
  - name: poct
    hl7: {listen: %q}

destinations:
  - name: lims
    senaite:
      url: %q
      username: assaygate
      password_file: %q
      confirm: {after: 2s}
  - name: files
    capture: {directory: %q}

spool: {directory: %q}
admin: {listen: %q}
console:
  listen: %q
  %s
`, path, address("192.0.2.10:4010"), address("192.0.2.10:2575"), server.URL, password, filepath.Join(directory, "captures"),
		filepath.Join(directory, "spool"), address("127.0.0.1:9110"), address("192.0.2.10:8443"), hashedUsers()))
	d.running = startFile(t, config)
	eventually(t, "the line is up", func() bool { return d.metrics.state("chemistry").up })
	return d
}

// hashedUsers are the users of the tests as a configuration should have them.
func hashedUsers() string {
	return fmt.Sprintf(`users:
    %s: {password_hash: %q, role: admin}
    %s: {password_hash: %q, role: viewer}
`, adminName, login.NewHash(adminPassword).String(), viewerName, login.NewHash(viewerPassword).String())
}

// plays has the analysers send what the captures hold, each message once.
func (d demonstration) plays(t *testing.T) {
	t.Helper()
	capture := func(name string) []byte {
		data, err := simulator.Capture(name)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	d.play("haematology", simulator.ASTM, capture("sysmex_xn.astm"), simulator.Options{Verbatim: true})
	d.play("poct", simulator.HL7, capture("hemoscreen.hl7"), simulator.Options{Verbatim: true})
	messages, err := simulator.Read(capture("roche_cobas_c111.astm"))
	if err != nil {
		t.Fatal(err)
	}
	if result, err := simulator.Play(t.Context(), d.chemistry, messages, simulator.Options{Verbatim: true}); err != nil || len(result.Refused) > 0 {
		t.Fatalf("played: %+v, %v", result, err)
	}
	d.settled()
}

// browse is that of running, for pictures.
func (d demonstration) browse() *tab {
	b := d.running.browse()
	b.alike = d.alike
	return b
}

// TestBrowserTour goes through the console as the manual does, and takes the
// pictures that are in it.
func TestBrowserTour(t *testing.T) {
	chromiumProgram(t)
	d := demonstrate(t)
	b := d.browse()
	b.visit("/")
	b.picture("login", wide)
	b.visit("/")
	b.logIn(adminName, adminPassword)

	// A line is taken into use.
	b.visit("/commission/chemistry")
	d.plays(t)
	b.see("All is well")
	b.press("Report to print")
	b.picture("commission-report", wide)
	b.visit("/commission/haematology")
	line := dial(t, d.addresses["haematology"])
	sends(t, line, []byte{0x05}, spoiltFrame(), spoiltFrame())
	b.see("At fault: Frames")
	b.picture("commission", wide)
	b.visit("/live/haematology")
	b.see("Live.")
	b.picture("live", wide)
	if err := line.Close(); err != nil {
		t.Fatal(err)
	}

	// Results are looked for.
	b.visit("/")
	b.picture("overview", wide)
	b.visit("/")
	b.picture("overview-360", narrow)
	b.visit("/messages")
	b.picture("messages", wide)
	b.openMessage("SIM-2001")
	b.picture("message", wide)

	// The configuration is changed, with a mistake at first.
	b.visit("/setup")
	b.press("Change the configuration")
	text := b.valueOf(configurationLabel)
	b.picture("setup", wide)
	b.visit("/setup/config")
	b.fill(configurationLabel, strings.Replace(text, "hl7: {listen", "hl7: {lissten", 1))
	b.see("1 wrong")
	b.picture("setup-error", wide)
	b.visit("/setup/config")
	b.fill(configurationLabel, strings.Replace(text, "    hl7: {listen", "    profile: hemoscreen\n    hl7: {listen", 1))
	b.see("Nothing is wrong")
	b.press("See what would change")
	b.picture("setup-diff", wide)

	// Others look after the box.
	b.visit("/update")
	b.picture("update", wide)
	b.visit("/support")
	evaluate[bool](b, otherInterfaces)
	b.pictureTo("support", wide, "#main pre")
	b.visit("/audit")
	b.picture("audit", wide)
}

// otherInterfaces takes all but one of the network off the page: each computer has
// others.
const otherInterfaces = `(() => {
	[...document.querySelectorAll('dt')].filter(e => /^Network (?!eth0)/.test(e.textContent)).forEach(e => { e.nextElementSibling.remove(); e.remove() });
	return true;
})()`
