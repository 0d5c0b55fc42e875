package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// load loads a file, with no file of the system.
func load(t *testing.T, f flags) (Config, []string, error) {
	t.Helper()
	return loadConfigFrom(filepath.Join(t.TempDir(), "none.yaml"), f)
}

// loaded is load where nothing may be wrong.
func loaded(t *testing.T, f flags) (Config, []string) {
	t.Helper()
	c, warnings, err := load(t, f)
	if err != nil {
		t.Fatal(err)
	}
	return c, warnings
}

// written puts a configuration into a file.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "assaygate.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func names(c Config) (instruments, destinations string) {
	var i, d []string
	for _, one := range c.Instruments {
		i = append(i, one.Name+" "+one.describeLine())
	}
	for _, one := range c.Destinations {
		d = append(d, one.Name)
	}
	return strings.Join(i, ", "), strings.Join(d, ", ")
}

func TestConfigDefault(t *testing.T) {
	c, warnings := loaded(t, flags{})
	instruments, destinations := names(c)
	if instruments != "astm listens on :4010, hl7 listens on :2575" || destinations != "captures" {
		t.Errorf("instruments %s, destinations %s", instruments, destinations)
	}
	if warnings != nil {
		t.Errorf("warnings %q", warnings)
	}
	if c.inactive() != nil {
		t.Errorf("not active: %+v", c.inactive())
	}
	if c.Admin.Listen != "127.0.0.1:9110" || c.Console.Listen != "127.0.0.1:8080" || c.ShutdownGrace != 10*time.Second || c.Box.Name == "" {
		t.Errorf("got %+v", c)
	}
	if c.Spool != spool.Defaults() {
		t.Errorf("spool %+v, want %+v", c.Spool, spool.Defaults())
	}
	want := instrument.Defaults()
	want.Protocol = "astm"
	if got := c.Instruments[0].instrument(); !reflect.DeepEqual(got, instrument.Instrument{Name: "astm", Settings: want}) {
		t.Errorf("instrument %+v", got)
	}
	if c.Instruments[1].Settings.Protocol != "hl7" || c.Destinations[0].Capture.Directory != "assaygate-data/captures" {
		t.Errorf("got %+v", c)
	}
}

func TestConfigFull(t *testing.T) {
	c, warnings := loaded(t, flags{Config: "testdata/full.yaml"})
	if warnings != nil {
		t.Errorf("warnings %q", warnings)
	}
	text, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keysOf(reflect.TypeFor[Config]()) {
		if !strings.Contains(string(text), key+":") {
			t.Errorf("the full example does not show %s", key)
		}
	}
	if allow := c.Privacy.Allowlist(); allow.ASTM.DropUnmatched || !allow.HL7.DropUnmatched || !allow.HL7.Keeps("OBX", 5) || allow.HL7.Keeps("PID", 5) {
		t.Errorf("allowlist %+v", allow)
	}
	first := c.Instruments[0]
	if first.Serial.Baud != 19200 || *first.Serial.DTR || !*first.Serial.RTS || first.Quirks.End != "eot" || first.Limits.Junk != 4<<10 || first.Limits.Frame != 8<<10 {
		t.Errorf("got %+v", first)
	}
	if zone := first.instrument().Settings.Location(); zone == nil || zone.String() != "Europe/Vienna" {
		t.Errorf("zone %v", zone)
	}
	// What one says of the listener that it shares holds for all.
	a, b := c.Instruments[3], c.Instruments[4]
	if !reflect.DeepEqual(a.AllowFrom, b.AllowFrom) || a.Limits != b.Limits || b.Limits.Idle != time.Hour || a.AllowFrom[0].Prefix != netip.MustParsePrefix("10.20.0.0/24") {
		t.Errorf("not shared: %+v and %+v", a, b)
	}
	if got := c.Instruments[6].Settings; got.Ack != "enhanced" || got.Protocol != "hl7" {
		t.Errorf("got %+v", got)
	}
	if got := c.Instruments[3].Ack; got != "" {
		t.Errorf("a line that says nothing says %q", got)
	}
	if got, want := a.instrument().AllowFrom, []netip.Prefix{netip.MustParsePrefix("10.20.0.0/24"), netip.MustParsePrefix("2001:db8::/32")}; !slices.Equal(got, want) {
		t.Errorf("allow_from %v, want %v", got, want)
	}
	if got := c.Instruments[7].TLS; got != (port.TLSFiles{CA: "/data/tls/analysers.pem", ServerName: "hemoscreen.example.org"}) {
		t.Errorf("got %+v", got)
	}
	if kinds := c.Instruments[7].instrument().Settings.Kinds(); kinds == nil || len(kinds) != 0 {
		t.Errorf("kinds %v", kinds)
	}
	want := []spool.Destination{
		{Name: "lims", Binding: "https://senaite.example.org/lab", AcceptTest: true, Confirm: true},
		{Name: "files", Everything: true},
	}
	if got := c.spoolDestinations(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
}

// keysOf lists the keys of a struct type and of all below it.
func keysOf(t reflect.Type) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for i := range t.NumField() {
		key, rest, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if key == "-" || key == "" && !strings.Contains(rest, "inline") {
			continue
		}
		if key != "" {
			keys = append(keys, key)
		}
		keys = append(keys, keysOf(t.Field(i).Type)...)
	}
	return keys
}

func TestConfigLines(t *testing.T) {
	c, _ := loaded(t, flags{Config: "testdata/full.yaml"})
	for i, want := range []struct {
		listens  string
		opens    bool
		protocol envelope.Protocol
		line     string
	}{
		{"", true, envelope.ASTM, "serial usb:1-1.4"},
		{"", true, envelope.Vendor, "serial serial:A50285BI"},
		{"", true, envelope.HL7, "serial /dev/ttyUSB7"},
		{":4010", false, envelope.ASTM, "listens on :4010"},
		{":4010", false, envelope.ASTM, "listens on :4010"},
		{"", true, envelope.ASTM, "dials analyser.example.org:5000"},
		{"192.0.2.7:2575", false, envelope.HL7, "listens on 192.0.2.7:2575"},
		{"", true, envelope.HL7, "dials [2001:db8::5]:2575"},
		{":1200", false, envelope.Vendor, "listens on :1200"},
	} {
		one := c.Instruments[i]
		_, opens := one.opens()
		if one.listens() != want.listens || opens != want.opens || one.protocol() != want.protocol || one.describeLine() != want.line {
			t.Errorf("%s: listens %q, opens %v, %s, %s; want %+v", one.Name, one.listens(), opens, one.protocol(), one.describeLine(), want)
		}
	}
}

func TestConfigInactive(t *testing.T) {
	c, _ := loaded(t, flags{Config: "testdata/full.yaml"})
	var got []string
	for _, part := range c.inactive() {
		if part.What == "" {
			t.Errorf("%s says nothing", part.Where)
		}
		got = append(got, strings.TrimSpace(part.Where+" "+part.Closes))
	}
	want := []string{
		"network", "update",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for text, want := range map[string]string{
		"admin: {listen: '0.0.0.0:9110', token_file: f}":                                    "admin.allow_from",
		"admin: {listen: ':9110', tls: {client_ca: f}}":                                     "admin.allow_from",
		"admin: {listen: '192.0.2.1:9110', allow_from: [10.0.0.0/8]}":                       "admin.token_file",
		"admin: {listen: ':9110', allow_from: [10.0.0.0/8], tls: {certificate: a, key: b}}": "admin.token_file",
		"admin: {listen: ':9110', allow_from: [10.0.0.0/8], token_file: f}":                 "",
		"admin: {listen: ':9110', allow_from: [10.0.0.0/8], tls: {client_ca: f}}":           "",
		"console: {listen: 'box.example.org:80'}":                                           "console.users",
		"console: {listen: ':8080', tls: {certificate: a, key: b}}":                         "console.users",
		"console: {listen: ':8080', users: {eva: {password: x, role: admin}}}":              "",
		"admin: {tls: {certificate: a, key: b}, token_file: f}":                             "",
		"console: {tls: {certificate: a, key: b}}":                                          "",
		"admin: {listen: 'localhost:1'}":                                                    "",
		"admin: {listen: '[::1]:1', tls: {}}":                                               "",
		"console: {listen: '127.1.2.3:80', users: {}}":                                      "",
	} {
		c, err := parseConfig([]byte("version: 1\n"+text), "f")
		if err != nil {
			t.Fatal(err)
		}
		parts := c.inactive()
		switch {
		case want == "" && len(parts) != 0, want != "" && (len(parts) != 1 || parts[0].Where != want || !strings.HasPrefix(want, parts[0].Closes+".")):
			t.Errorf("%s: %+v; want %q", text, parts, want)
		}
	}
}

func TestConfigWarnings(t *testing.T) {
	path := written(t, `version: 1
owner: {public_key: "..."}
instruments:
  - {name: a, astm: {listen: ":1"}}
  - {name: b, astm: {listen: "[::]:1"}}
  - {name: c, hl7: {listen: ":2", ack: auto}, quirks: {end: eot, ack: original}}
  - {name: d, serial: {port: /dev/ttyS9}, limits: {idle: 1h}}
privacy: {astm: {allow: {R: [3]}}}
admin: {listen: ":9", allow_from: [10.0.0.0/8], token_file: f}
console: {users: {eva: {password: "secret", role: viewer}}}
`)
	c, warnings := loaded(t, flags{Config: path})
	if a, b := c.Instruments[0].listens(), c.Instruments[1].listens(); a != ":1" || b != ":1" {
		t.Errorf("one listener has the addresses %s and %s", a, b)
	}
	want := []string{
		"1:1: destinations: there are none, so messages stay in the store; add one",
		"5:5: instruments[1].profile: b shares its listener with a and has the same profile, so their messages cannot be told apart",
		"6:47: instruments[2].quirks: but for ack they are about ASTM frames; on an HL7 line they mean nothing",
		"6:66: instruments[2].quirks.ack: means nothing beside hl7.ack, which wins",
		"7:52: instruments[3].limits.idle: is about connections; a serial line stays open however long it is silent",
		"8:1: privacy: has no hl7 part, so nothing is dropped from HL7 messages",
		"2:9: owner.public_key: this is no public key; give the 44 characters that assaygate owner keygen printed; until then no stick is taken",
		"10:25: console.users.eva.password: stands here for everybody to read who reads this file; put its hash in its place: assaygate console-password eva --config FILE",
		"10:25: console.users.eva.password: will be guessed: it is too short: take at least 10 characters, such as four words",
		"10:11: console.users: none has the role admin, so nobody can change anything in the console",
		"9:49: admin.token_file: without tls the token crosses the network for everybody to read; give admin.tls a certificate, or a client_ca",
	}
	for i := range warnings {
		warnings[i] = strings.TrimPrefix(warnings[i], path+":")
	}
	if !reflect.DeepEqual(warnings, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(warnings, "\n"), strings.Join(want, "\n"))
	}
}

// TestConfigErrorIsNil guards against an error that holds no errors.
func TestConfigErrorIsNil(t *testing.T) {
	if _, err := parseConfig([]byte("{}"), "f"); err != nil {
		t.Errorf("a file without keys: %v", err)
	}
	if _, err := parseDocument([]byte("a: ["), "f"); !isErrors(err) {
		t.Errorf("got %v", err)
	}
}

func isErrors(err error) bool {
	_, is := err.(config.Errors)
	return is
}

func FuzzConfig(f *testing.F) {
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	f.Add(defaultConfig)
	f.Add([]byte("instruments: [{astm: {listen: ':1'}}, {hl7: {dial: x}}, {serial: {}}]\ndestinations: [{senaite: {url: x, consumer: [a]}}, {capture: {}}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := parseConfig(data, "f")
		if err != nil {
			return
		}
		// What loads can be asked everything that run and check ask.
		c.inactive()
		c.warnings()
		c.spoolDestinations()
		c.Privacy.Allowlist()
		for _, one := range c.Instruments {
			_, opens := one.opens()
			if one.listens() != "" && opens {
				t.Errorf("%s both listens and opens", one.Name)
			}
			one.instrument()
			one.describeLine()
		}
	})
}

// Of an Emerald only patients' results go to a LIMS, unless the file says more.
func TestConfigEmerald(t *testing.T) {
	for text, want := range map[string]struct {
		profile, protocol string
		deliver           []string
	}{
		"emerald: {listen: ':1'}":                                            {"celldyn_emerald", "vendor", []string{"result"}},
		"emerald: {listen: ':1'}, deliver: [result, qc]":                     {"celldyn_emerald", "vendor", []string{"result", "qc"}},
		"serial: {port: /dev/ttyS0}, protocol: vendor":                       {"celldyn_emerald", "vendor", []string{"result"}},
		"serial: {port: /dev/ttyS0}, profile: celldyn_emerald":               {"celldyn_emerald", "vendor", []string{"result"}},
		"serial: {port: /dev/ttyS0}, protocol: vendor, profile: spotchem_el": {"spotchem_el", "astm", instrument.Defaults().Deliver},
		"astm: {listen: ':1'}, protocol: vendor":                             {"", "astm", instrument.Defaults().Deliver},
	} {
		c, err := parseConfig([]byte("version: 1\ninstruments: [{name: a, "+text+"}]"), "f")
		if err != nil {
			t.Fatal(err)
		}
		profiles, err := profile.Load(profile.Options{})
		if err != nil {
			t.Fatal(err)
		}
		got := c.Instruments[0].member(profiles).Settings
		if got.Profile != want.profile || got.Protocol != want.protocol || !reflect.DeepEqual(got.Deliver, want.deliver) {
			t.Errorf("%s: profile %q, protocol %q, deliver %v", text, got.Profile, got.Protocol, got.Deliver)
		}
	}
}
