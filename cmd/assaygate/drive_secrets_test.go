package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// secretsOf are the secrets that were taken out of a configuration's text.
func secretsOf(t *testing.T, text string) (Config, secretsOut) {
	t.Helper()
	c, err := parseConfig([]byte(text), "test")
	if err != nil {
		t.Fatal(err)
	}
	return c, takeSecretsOut([]byte(text), c, "/secrets")
}

// wantSecrets expects the text, and these secrets by destination.
func wantSecrets(t *testing.T, out secretsOut, text string, secrets map[string]string) {
	t.Helper()
	if string(out.text) != text {
		t.Errorf("the text is\n%s\nwant\n%s", out.text, text)
	}
	for name, secret := range secrets {
		if got := string(out.files[filepath.Join("/secrets", name)]); got != secret+"\n" {
			t.Errorf("the secret of %s is %q", name, got)
		}
	}
	if len(out.files) != len(secrets) {
		t.Errorf("%d secrets, want %d", len(out.files), len(secrets))
	}
	for _, line := range slices.Concat(out.moved, out.kept) {
		for _, secret := range secrets {
			if strings.Contains(line, secret) {
				t.Errorf("the secret is told: %s", line)
			}
		}
	}
}

func TestTakeSecretsOut(t *testing.T) {
	head := "version: 1\ndestinations:\n"
	for name, test := range map[string]struct {
		text, want string
		secrets    map[string]string
		kept       string
	}{
		"none": {
			"- {name: a, senaite: {url: https://h/s, username: u, password_file: /f}}\n",
			"- {name: a, senaite: {url: https://h/s, username: u, password_file: /f}}\n", nil, "",
		},
		"two": {
			"- {name: a, senaite: {url: https://h/s, username: u, password: 'it''s'}}\n- name: b\n  senaite:\n    url: https://h/s # there\n    username: u\n    password: plain # here\n",
			"- {name: a, senaite: {url: https://h/s, username: u, password_file: \"/secrets/a\"}}\n- name: b\n  senaite:\n    url: https://h/s # there\n    username: u\n    password_file: \"/secrets/b\" # here\n",
			map[string]string{"a": "it's", "b": "plain"},
			"",
		},
		"in the url, in a block": {
			"- name: a\n  senaite:\n    url: https://u%40x:p%2Fw@h/s # there\n    in_flight: 2\n",
			"- name: a\n  senaite:\n    url: \"https://h/s\"\n    username: \"u@x\"\n    password_file: \"/secrets/a\" # there\n    in_flight: 2\n",
			map[string]string{"a": "p/w"},
			"",
		},
		"in the url, in braces": {
			"- {name: a, senaite: {url: \"https://u:pw@h/s\", in_flight: 2}}\n",
			"- {name: a, senaite: {url: \"https://h/s\", username: \"u\", password_file: \"/secrets/a\", in_flight: 2}}\n",
			map[string]string{"a": "pw"},
			"",
		},
		"of a proxy": {
			"- {name: a, senaite: {url: https://h/s, proxy: 'http://u:pw@proxy:3128'}}\n",
			"- {name: a, senaite: {url: https://h/s, proxy: 'http://u:pw@proxy:3128'}}\n",
			nil, "destinations[0].senaite.proxy: its password stays in the configuration",
		},
		"in several lines": {
			"- name: a\n  senaite:\n    url: https://h/s\n    username: u\n    password: |-\n      secret\n",
			"- name: a\n  senaite:\n    url: https://h/s\n    username: u\n    password: |-\n      secret\n",
			nil, "destinations[0].senaite.password: the password stays in the configuration: it is written in a way",
		},
		"with a line end": {
			"- {name: a, senaite: {url: https://h/s, username: u, password: \"a\\nb\"}}\n",
			"- {name: a, senaite: {url: https://h/s, username: u, password: \"a\\nb\"}}\n",
			nil, "destinations[0].senaite.password: the password stays in the configuration: it has more than one line",
		},
		"an alias": {
			"- {name: a, senaite: {url: https://h/s, username: &u secret, password: *u}}\n",
			"- {name: a, senaite: {url: https://h/s, username: &u secret, password: *u}}\n",
			nil, "destinations[0].senaite.password: the password stays in the configuration",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, out := secretsOf(t, head+test.text)
			wantSecrets(t, out, head+test.want, test.secrets)
			if kept := strings.Join(out.kept, "\n"); !strings.HasPrefix(kept, test.kept) || kept != "" && test.kept == "" {
				t.Errorf("kept %q", kept)
			}
			if _, err := parseConfig(out.text, "test"); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTakePassword(t *testing.T) {
	head := "version: 1\ndestinations:\n- {name: captures, capture: {directory: /c}}\n"
	const moved = "{name: a, senaite: {url: \"https://h/s\", username: \"u\", password_file: \"/secrets/a\"}}\n"
	for name, test := range map[string]struct{ text, want, file string }{
		"its file":     {"- " + moved, "- " + moved, "a"},
		"another name": {"- {name: a, senaite: {url: https://h/s, username: u, password_file: /secrets/b}}\n", "- {name: a, senaite: {url: https://h/s, username: u, password_file: /secrets/b}}\n", "b"},
		"elsewhere":    {"- {name: a, senaite: {url: \"https://h/s\", username: \"u\", password_file: /etc/x}}\n", "- " + moved, "a"},
		"inline":       {"- {name: a, senaite: {url: \"https://h/s\", username: \"u\", password: old}}\n", "- " + moved, "a"},
		"in the url":   {"- {name: a, senaite: {url: https://u:old@h/s}}\n", "- " + moved, "a"},
		"name only":    {"- {name: a, senaite: {url: \"https://h/s\", username: u}}\n", "- " + moved, "a"},
		"user in url":  {"- {name: a, senaite: {url: \"https://u@h/s\"}}\n", "- " + moved, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			c, out := secretsOf(t, head+test.text)
			if err := out.takePassword(c, "", []byte("\uFEFFnew one\r\n"), "/secrets"); err != nil {
				t.Fatal(err)
			}
			wantSecrets(t, out, head+test.want, map[string]string{test.file: "new one"})
		})
	}
}

func TestTakePasswordRefuses(t *testing.T) {
	one := "version: 1\ndestinations:\n- {name: a, senaite: {url: https://h/s, username: u}}\n"
	two := one + "- {name: b, senaite: {url: https://h/s}}\n"
	for name, test := range map[string]struct{ text, destination, data, want string }{
		"no LIMS":       {"version: 1\n", "", "x", "the configuration has no LIMS that a password could be for"},
		"which":         {two, "", "x", "there are several destinations (a, b): name the file password-a.txt, for example"},
		"unknown":       {two, "c", "x", "no LIMS is called c; there is a, b"},
		"no user":       {two, "B", "x", "b has no username, and a password alone is of no use"},
		"empty":         {one, "", "\r\n", "the password cannot be used: it is empty"},
		"two lines":     {one, "", "x\ny\n", "the password cannot be used: it has more than one line, or a control character"},
		"not text":      {one, "", "x\xff", "the password is not plain text; save the file as UTF-8"},
		"odd user text": {strings.Replace(one, "username: u", "username: &u u", 1), "", "x", "destinations[0].senaite.username: it is written in a way that cannot be changed safely; write the key and its value in one line, in quotes and without anchors"},
	} {
		t.Run(name, func(t *testing.T) {
			c, out := secretsOf(t, test.text)
			err := out.takePassword(c, test.destination, []byte(test.data), "/secrets")
			if err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %s", err, test.want)
			}
			wantSecrets(t, out, test.text, nil)
		})
	}
}
