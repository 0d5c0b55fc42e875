package main

import (
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/config"
)

// No secret of a configuration is shown, wherever people put it, and all of it is
// there again when the text comes back.
func TestSecretsAreMasked(t *testing.T) {
	const text = `version: 1
# password: "Pl4nted-old"
# the password was Pl4nted-told
# https://me:Pl4nted-noted@lims.example.org is the old one
# Pl4nted-inline was used before
# password_file: /data/secrets/lims
console:
  users:
    anna: {password_hash: "$argon2id$v=19$Pl4nted-hash", role: admin}
destinations:
  - name: lims
    senaite:
      url: "https://me:Pl4nted-url@lims.example.org/senaite"
      proxy: "http://Pl4nted-user@proxy.example.org:3128" # token: Pl4nted-token
  - name: other
    senaite: {url: "https://other.example.org/", username: u, password: Pl4nted-inline}
    # secret=Pl4nted-secret
  - name: third
    senaite: {url: "https://o@p:Pl4nted-broken/x@third.example.org/?key=Pl4nted-query", username: u, password_file: /data/secrets/lims}
`
	hidden, err := config.Hide([]byte(text), configMask(nil))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(hidden.Text, "Pl4nted") {
		t.Errorf("shown is\n%s", hidden.Text)
	}
	for _, want := range []string{
		"# password_file: /data/secrets/lims", "anna: {password_hash: \"(kept)\", role: admin}", `url: "https://me:(kept)@lims.example.org/senaite"`,
		`proxy: "http://(kept)@proxy.example.org:3128"`, "password: (kept)}", "password_file: /data/secrets/lims}",
	} {
		if !strings.Contains(hidden.Text, want) {
			t.Errorf("there is no %s in\n%s", want, hidden.Text)
		}
	}
	data, _, errs := hidden.Restore(hidden.Text, "f")
	if errs != nil || string(data) != text {
		t.Errorf("put back: %v\n%s", errs, data)
	}
	if got := redact("x Pl4nted-inline y", secretsInText([]byte(text))); got != "x (kept) y" {
		t.Error(got)
	}
}

// The files that come with the program are shown as they are: there is nothing
// secret in them.
func TestOwnTextsAreNotMasked(t *testing.T) {
	for _, text := range []string{string(defaultConfig)} {
		hidden, err := config.Hide([]byte(text), configMask(nil))
		if err != nil || hidden.Text != text {
			t.Errorf("%v\n%s", err, hidden.Text)
		}
	}
}

// Whatever a person makes of the shown text: a password that was kept is sent to
// where it was given for, and nowhere else.
func FuzzKeptSecrets(f *testing.F) {
	const text = `version: 1
destinations:
  - name: lims
    senaite: {url: "https://lims.example.org/senaite", username: u, password: Pl4nted-inline}
  - name: other
    senaite:
      url: "https://me:Pl4nted-url@other.example.org/senaite" # Pl4nted-inline
      proxy: "http://me:Pl4nted-proxy@proxy.example.org:3128"
`
	hidden, err := config.Hide([]byte(text), configMask(nil))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(hidden.Text)
	for _, change := range [][]string{
		{"lims.example", "evil.example"},
		{"name: lims", "name: other", "name: other", "name: lims"},
		{"senaite: {url", "senaite: &a {url", "  - name: other", "  - {name: evil, senaite: {<<: *a, url: 'https://evil.example.org'}}\n  - name: other"},
		{"(kept)", "&p (kept)"},
		{"username: u", "username: (kept)"},
		{"proxy:", "ca: x\n      proxy:"},
		{"password: (kept)}", "password: (kept)}\n  - {name: lims, senaite: {url: 'https://evil.example.org', password: (kept)}}"},
	} {
		f.Add(strings.NewReplacer(change...).Replace(hidden.Text))
	}
	given := map[string]string{"Pl4nted-inline": "lims.example.org", "Pl4nted-url": "other.example.org", "Pl4nted-proxy": "other.example.org"}
	f.Fuzz(func(t *testing.T, to string) {
		if strings.Contains(to, "Pl4nted") {
			return
		}
		data, kept, errs := hidden.Restore(to, "f")
		if errs != nil || misplaced([]byte(text), data, kept, "f") != nil {
			return
		}
		c, _ := readableConfig(data)
		for _, d := range c.Destinations {
			if d.SENAITE == nil {
				continue
			}
			for secret, host := range given {
				if strings.Contains(d.SENAITE.Password+d.SENAITE.URL+d.SENAITE.Proxy+d.SENAITE.Username, secret) && !strings.EqualFold(placeOf(d).host, host) {
					t.Fatalf("%q is sent to %q by\n%s", secret, placeOf(d).host, data)
				}
			}
		}
	})
}
