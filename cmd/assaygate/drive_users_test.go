package main

import (
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/console/login"
)

func TestHashPasswords(t *testing.T) {
	const text = "version: 1\nconsole:\n  users: # who\n    anna: {password: 'correct horse', role: admin} # her\n    otto: {role: viewer, password: \"otto\"}\n    tom:\n      role: viewer\n      password: |-\n        in lines\n"
	c, out := secretsOf(t, text)
	out.hashPasswords(c, nil)
	after, err := parseConfig(out.text, "test")
	if err != nil {
		t.Fatal(err)
	}
	for name, password := range map[string]string{"anna": "correct horse", "otto": "otto"} {
		user := after.Console.Users[name]
		hash, err := login.ParseHash(user.PasswordHash)
		if err != nil || user.Password != "" || !hash.Matches(password) {
			t.Errorf("%s: %+v, %v", name, user, err)
		}
	}
	for _, want := range []string{"# who\n", " # her\n", "in lines"} {
		if !strings.Contains(string(out.text), want) {
			t.Errorf("lacks %q:\n%s", want, out.text)
		}
	}
	if len(out.moved) != 2 || len(out.kept) != 2 || !strings.Contains(out.kept[0], "otto.password: it will be guessed") || !strings.Contains(out.kept[1], "tom.password: the password stays") {
		t.Errorf("moved %q, kept %q", out.moved, out.kept)
	}
	if strings.Contains(strings.Join(append(out.moved, out.kept...), ""), "correct") {
		t.Error("the password is told")
	}

	// The same stick again brings the same text.
	c, again := secretsOf(t, text)
	again.hashPasswords(c, after.Console.Users)
	if string(again.text) != string(out.text) {
		t.Errorf("the second time it is\n%s", again.text)
	}
}
