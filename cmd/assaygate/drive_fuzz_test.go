package main

import (
	"os"
	"reflect"
	"strings"
	"testing"
)

// FuzzTakeSecretsOut: whatever a configuration says, taking its secrets out
// changes nothing of what it says but where they are, and gives none away.
func FuzzTakeSecretsOut(f *testing.F) {
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(full)
	for _, seed := range []string{
		"{name: a, senaite: {url: http://localhost/s, username: u, password: 'pass''word-0'}}",
		"{name: a, senaite: {url: \"http://u:pass%20word@localhost/s\"}}",
		"{name: a, senaite: {url: &x http://u:password@localhost/s}}\n- {name: b, senaite: {url: *x}}",
		"{name: a, senaite: &s {url: http://localhost, username: u, password: |\n  password\n  }}\n- {name: b, senaite: {<<: *s}}",
	} {
		f.Add([]byte("version: 1\ndestinations:\n- " + seed + "\n"))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		before, err := parseConfig(text, "before")
		if err != nil {
			return
		}
		out := takeSecretsOut(text, before, "/secrets")
		after, err := parseConfig(out.text, "after")
		if err != nil {
			t.Fatalf("%q became %q: %v", text, out.text, err)
		}
		for i, was := range before.Destinations {
			is := after.Destinations[i]
			if was.SENAITE == nil {
				continue
			}
			if held, moved := out.files[is.SENAITE.PasswordFile]; moved {
				user, password := was.credentials()
				if string(held) != password+"\n" || is.SENAITE.Username != user || is.binding() != was.binding() {
					t.Errorf("%q became %q with %q", text, out.text, held)
				}
				is.SENAITE.PasswordFile, is.SENAITE.Password, is.SENAITE.Username, is.SENAITE.URL = "", was.SENAITE.Password, was.SENAITE.Username, was.SENAITE.URL
			}
			if !reflect.DeepEqual(is, was) {
				t.Errorf("%q became %q", text, out.text)
			}
		}
		for _, line := range append(out.moved, out.kept...) {
			for _, secret := range out.files {
				if word := strings.TrimSpace(string(secret)); len(word) > 6 && strings.Contains(line, word) && !strings.Contains("destinations[0].senaite.password_file: its password stays in the configuration, because there is no file for it", word) {
					t.Errorf("told is %q", line)
				}
			}
		}
	})
}

// credentials are those of a destination, wherever they stand.
func (d Destination) credentials() (user, password string) {
	if site := urlUser(d.SENAITE.URL); site != nil {
		password, _ := site.Password()
		return site.Username(), password
	}
	return d.SENAITE.Username, d.SENAITE.Password
}
