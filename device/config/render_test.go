package config

import (
	"strings"
	"testing"
)

func TestRender(t *testing.T) {
	text := `# a comment with secret
version: 1 # secret
box: &b {name: "ward", password: secret}
list: [a, secret, {password: "sec: ret"}]
other: *b
merged: {<<: *b, name: 0x10}
block: |
  secret
  lines
"secret": on
`
	document, errs := Parse([]byte(text), "test")
	if errs != nil {
		t.Fatal(errs)
	}
	keys := map[string]bool{}
	rendered, err := document.Render(func(key, value string) string {
		keys[key] = true
		if strings.Contains(value, "sec") {
			return "removed: by '" + key + "'"
		}
		return value
	})
	if err != nil {
		t.Fatal(err)
	}
	const want = `version: 1
box: {name: "ward", password: "removed: by 'password'"}
list: [a, "removed: by 'list'", {password: "removed: by 'password'"}]
other: {name: "ward", password: "removed: by 'password'"}
merged: {name: 0x10, password: "removed: by 'password'"}
block: "removed: by 'block'"
secret: on
`
	if string(rendered) != want {
		t.Errorf("rendered as\n%s\nwant\n%s", rendered, want)
	}
	if again, errs := Parse(rendered, "again"); errs != nil || !again.Has("merged.password") {
		t.Errorf("it cannot be read again: %v", errs)
	}
	empty, errs := Parse([]byte("{}"), "test")
	if errs != nil {
		t.Fatal(errs)
	}
	if text, err := empty.Render(func(_, value string) string { return value }); err != nil || string(text) != "{}\n" {
		t.Errorf("a file without keys becomes %q, %v", text, err)
	}
}
