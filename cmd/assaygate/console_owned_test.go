package main

import (
	"errors"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/config"
)

const ownedConfig = `version: 1
box: {name: one, fleet: ward}
owner: {public_key: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}
update: {repository: "https://updates.example.org/a", window: "02:00-05:00"}
config_drive: {directory: /run/stick, write_request: /run/assaygate/writable}
profiles: /data/profiles
spool: {directory: /data/spool, keep_days: 10}
admin: {listen: "127.0.0.1:9090", token_file: /data/secrets/token}
instruments:
  - name: a
    hl7: {listen: "127.0.0.1:2575"}
    tls: {certificate: /data/tls/a.crt, key: /data/tls/a.key}
destinations:
  - name: lims
    senaite: {url: "https://lims.example.org/senaite", username: u, password_file: /data/secrets/lims, ca: /data/tls/lims.pem, proxy: "http://p:q@proxy.example.org:3128"}
  - name: second
    senaite: {url: "http://10.0.0.9/senaite", username: u, password: s3cret, plain_http: true}
  - name: files
    capture: {directory: /data/captures}
  - {name: trial, staging: true, senaite: {url: "https://trial.example.org/senaite"}}
`

// What nobody may change from the console of a box with an owner, each with its
// place, and beside it what everybody may.
func TestWhatTheConsoleMayNot(t *testing.T) {
	const lims = `url: "https://lims.example.org/senaite", username: u, password_file: /data/secrets/lims, ca: /data/tls/lims.pem, proxy: "http://p:q@proxy.example.org:3128"`
	for name, test := range map[string]struct {
		from, to string
		want     string // "place: key"; "" where it may be
		every    bool   // also where the box has no owner
	}{
		"nothing":                     {},
		"a line":                      {from: "2575", to: "2576"},
		"another instrument":          {from: "destinations:", to: "  - {name: b, hl7: {listen: '127.0.0.1:2577'}, tls: {certificate: /data/tls/a.crt, key: /data/tls/a.key}}\ndestinations:"},
		"a user":                      {from: "username: u, password: s3cret", to: "username: other, password: other"},
		"a path of the server":        {from: "10.0.0.9/senaite", to: "10.0.0.9/other"},
		"results to where tests are":  {from: "staging: true, ", to: "", want: "destinations[3].staging"},
		"tests to where results are":  {from: "name: second", to: "name: second\n    staging: true", want: "destinations[1].staging"},
		"results beside tests":        {from: "  - name: files", to: "  - {name: third, senaite: {url: 'https://trial.example.org/other'}}\n  - name: files", want: "destinations[2].staging"},
		"another for tests":           {from: "  - name: files", to: "  - {name: third, staging: true, senaite: {url: 'https://trial.example.org/other'}}\n  - name: files"},
		"no destination":              {from: "  - name: files\n    capture: {directory: /data/captures}\n", to: ""},
		"another name":                {from: "name: second", to: "name: third"},
		"another on a known server":   {from: "  - name: files", to: "  - {name: third, senaite: {url: 'http://10.0.0.9/x', plain_http: true}}\n  - name: files"},
		"the window of updates":       {from: "02:00", to: "03:00"},
		"how long is kept":            {from: "keep_days: 10", to: "keep_days: 20"},
		"the user of a proxy":         {from: "p:q@", to: "x:y@"},
		"time for the stick":          {from: "/run/stick,", to: "/run/stick, confirm_within: 5m,"},
		"less protection":             {from: ", token_file: /data/secrets/token", to: ""},
		"another spelling":            {from: "https://lims.example.org/senaite", to: "HTTPS://LIMS.example.org/senaite"},
		"what of patients is kept":    {from: "spool:", to: "privacy: {astm: {allow: {O: [3], R: [3, 4]}}}\nspool:", want: "privacy"},
		"no owner":                    {from: `owner: {public_key: "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}`, to: "", want: ":1:1: owner"},
		"another owner":               {from: "11qYAYKxCr", to: "21qYAYKxCr", want: ":3:1: owner"},
		"another fleet":               {from: "fleet: ward", to: "fleet: other", want: ":2:18: box.fleet"},
		"no fleet":                    {from: ", fleet: ward", to: "", want: ":2:1: box.fleet"},
		"another source of updates":   {from: "updates.example.org", to: "evil.example.org", want: ":4:10: update.repository"},
		"a proxy for updates":         {from: "window: \"02:00", to: "proxy: 'http://evil.example.org:3128', window: \"02:00", want: ":4:55: update.proxy"},
		"whose server has updates":    {from: "window: \"02:00", to: "ca: /data/tls/a.crt, window: \"02:00", want: ":4:55: update.ca"},
		"how fast updates come":       {from: "window: \"02:00", to: "rate: 64KiB, force_after: 7d, window: \"02:00"},
		"no source of updates":        {from: `repository: "https://updates.example.org/a", `, to: "", want: ":4:1: update.repository"},
		"no updates":                  {from: "update: {repository: \"https://updates.example.org/a\", window: \"02:00-05:00\"}\n", to: "", want: ":1:1: update.repository"},
		"no stick":                    {from: "config_drive: {directory: /run/stick, write_request: /run/assaygate/writable}\n", to: "", want: ":1:1: config_drive"},
		"a stick elsewhere":           {from: "/run/stick", to: "/run/other", want: ":5:16: config_drive.directory"},
		"another file removed":        {from: "/run/assaygate/writable", to: "/data/config/owner.pub", want: ":5:39: config_drive.write_request"},
		"other profiles":              {from: "/data/profiles", to: "/data/config", want: ":6:1: profiles"},
		"another store":               {from: "/data/spool", to: "/tmp/spool", want: ":7:9: spool.directory"},
		"another token":               {from: "/data/secrets/token", to: "/data/secrets/lims", want: "admin.token_file"},
		"another key":                 {from: "/data/tls/a.key", to: "/data/secrets/lims", want: "instruments[0].tls.key"},
		"a key as a certificate":      {from: "certificate: /data/tls/a.crt", to: "certificate: /data/tls/a.key", want: "instruments[0].tls.certificate"},
		"a key of the console":        {from: "admin:", to: "console: {tls: {certificate: /data/x.crt, key: /data/tls/a.key}}\nadmin:", want: "console.tls.certificate"},
		"another host":                {from: "10.0.0.9", to: "10.0.0.8", want: "destinations[1].senaite.url"},
		"another port":                {from: "10.0.0.9/", to: "10.0.0.9:81/", want: "destinations[1].senaite.url"},
		"another scheme":              {from: "https://lims.example.org", to: "http://lims.example.org", want: "destinations[0].senaite.password_file", every: true},
		"another host, with its file": {from: "lims.example.org/", to: "evil.example.org/", want: "destinations[0].senaite.password_file", every: true},
		"no plain http":               {from: ", plain_http: true", to: "", want: "destinations[1].senaite.plain_http"},
		"another proxy":               {from: "s3cret,", to: "s3cret, proxy: \"http://evil.example.org\",", want: "destinations[1].senaite.proxy"},
		"other certificates":          {from: "s3cret,", to: "s3cret, ca: /tmp/x.pem,", want: "destinations[1].senaite.ca"},
		"another server beside":       {from: "  - name: files", to: "  - {name: third, senaite: {url: 'https://evil.example.org'}}\n  - name: files", want: "destinations[2].senaite.url"},
		"files become a server":       {from: "capture: {directory: /data/captures}", to: "senaite: {url: 'https://evil.example.org'}", want: "destinations[2].senaite.url"},
		"files elsewhere":             {from: "/data/captures", to: "/data/config", want: "destinations[2].capture.directory"},
		"files beside":                {from: "  - name: files", to: "  - {name: more, capture: {directory: /data/secrets}}\n  - name: files", want: "destinations[2].capture.directory"},
		"a file as a password":        {from: "password: s3cret", to: "password_file: /data/secrets/lims", want: "destinations[1].senaite.password_file", every: true},
		"another file":                {from: "/data/secrets/lims", to: "/etc/machine-id", want: "destinations[0].senaite.password_file", every: true},
		"its file beside, at its own": {from: "  - name: files", to: "  - {name: third, senaite: {" + lims + "}}\n  - name: files"},
		"its file beside, elsewhere":  {from: "  - name: files", to: "  - {name: third, senaite: {" + strings.Replace(lims, "lims.example.org", "evil.example.org", 1) + "}}\n  - name: files", want: "destinations[2].senaite.password_file", every: true},
		"a url that is none":          {from: "http://10.0.0.9/senaite", to: "http://[::1", want: "destinations[1].senaite.url"},
	} {
		old, err := parseConfig([]byte(ownedConfig), "f")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(ownedConfig, test.from, test.to, 1)
		if text == ownedConfig && test.from != "" {
			t.Fatalf("%s changes nothing", name)
		}
		to, _ := readableConfig([]byte(text))
		document, errs := config.Parse([]byte(text), "f")
		if errs != nil {
			t.Fatalf("%s: %v", name, errs)
		}
		if to.document = document; name == "a key of the console" {
			to.Console.TLS.Certificate, to.Console.TLS.Key = "/data/x.crt", "/data/tls/a.key"
		}
		for _, owned := range []bool{true, false} {
			err := consoleMayNot(old, to, owned)
			want := test.want
			if !owned && !test.every {
				want = ""
			}
			var errs config.Errors
			if (err != nil) != (want != "") || err != nil && (!errors.As(err, &errs) || !strings.Contains(err.Error(), want+": ")) {
				t.Errorf("%s, owned %v: %v, want %q", name, owned, err, want)
			}
		}
	}
}
