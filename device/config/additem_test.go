package config

import (
	"strings"
	"testing"
)

func TestAddItem(t *testing.T) {
	const item = "name: b\nserial: {port: \"usb:1\", baud: 9600}\n"
	for name, test := range map[string]struct{ text, want string }{
		"none":         {"version: 1 # one", "version: 1 # one\ninstruments:\n  - name: b\n    serial: {port: \"usb:1\", baud: 9600}\n"},
		"empty":        {"instruments: [] # none yet\nversion: 1\n", "instruments: # none yet\n  - name: b\n    serial: {port: \"usb:1\", baud: 9600}\nversion: 1\n"},
		"after others": {"instruments:\n- name: a # first\n  hl7: {}\n\n# Where to\nversion: 1\n", "instruments:\n- name: a # first\n  hl7: {}\n- name: b\n  serial: {port: \"usb:1\", baud: 9600}\n\n# Where to\nversion: 1\n"},
		"at the end":   {"version: 1\ninstruments:\n   - name: a\n     # more of it", "version: 1\ninstruments:\n   - name: a\n     # more of it\n   - name: b\n     serial: {port: \"usb:1\", baud: 9600}\n"},
		"CRLF":         {"version: 1\r\ninstruments:\r\n  - name: a\r\n", "version: 1\r\ninstruments:\r\n  - name: a\r\n  - name: b\r\n    serial: {port: \"usb:1\", baud: 9600}\r\n"},
		"brackets":     {"instruments: [{name: a}]\n", ""},
		"braces":       {"{instruments: [], version: 1}\n", ""},
		"an alias":     {"x: &x [1]\ninstruments: *x\n", ""},
		"no list":      {"instruments: 1\n", ""},
		"no YAML":      {"instruments: [\n", ""},
		"a block":      {"instruments:\n- name: |\n    text\n\n    # more\nversion: 1\n", "instruments:\n- name: |\n    text\n\n    # more\n- name: b\n  serial: {port: \"usb:1\", baud: 9600}\nversion: 1\n"},
	} {
		got, err := AddItem([]byte(test.text), "instruments", item)
		if string(got) != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	if got, err := AddItem([]byte("version: 1\n"), "instruments", "name: [\n"); err == nil {
		t.Errorf("an item that is none gives %s", got)
	}
}

// Whatever stands in the file: the item is at the end of its list, and all else as
// it was.
func FuzzAddItem(f *testing.F) {
	f.Add("version: 1\ninstruments:\n  - name: a\n")
	f.Add("instruments: []")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := AddItem([]byte(text), "instruments", "name: b")
		if err != nil {
			return
		}
		for line := range strings.Lines(text) {
			if strings.Contains(line, "#") && !strings.Contains(string(got), strings.TrimSpace(line[strings.Index(line, "#"):])) {
				t.Errorf("%q has lost %q: %q", text, line, got)
			}
		}
	})
}
