package config

import (
	"encoding/binary"
	"strings"
	"testing"
	"unicode/utf16"
)

const secretAt = "list[1].lims.password"

func TestRewrite(t *testing.T) {
	file := Pair{"password_file", "/data/secrets/lims"}
	for name, test := range map[string]struct{ before, after string }{
		"block": {
			"# top\nlist:\n  - a: 1\n  - lims:\n      url: x # where\n      password: secret # our secret\n      more: 1\n",
			"# top\nlist:\n  - a: 1\n  - lims:\n      url: x # where\n      password_file: \"/data/secrets/lims\" # our secret\n      more: 1\n",
		},
		"CRLF": {
			"list:\r\n- a: 1\r\n- lims:\r\n    password: secret\r\n    b: 1\r\n",
			"list:\r\n- a: 1\r\n- lims:\r\n    password_file: \"/data/secrets/lims\"\r\n    b: 1\r\n",
		},
		"flow":                {"list: [a, {lims: {url: x, password: secret, b: 1}}]\n", "list: [a, {lims: {url: x, password_file: \"/data/secrets/lims\", b: 1}}]\n"},
		"flow at its end":     {`list: [a, {lims: {password: "x"}}]`, `list: [a, {lims: {password_file: "/data/secrets/lims"}}]`},
		"JSON":                {`{"list":["a",{"lims":{"password":"s\"e}c","b":"1"}}]}`, `{"list":["a",{"lims":{password_file: "/data/secrets/lims","b":"1"}}]}`},
		"single quotes":       {"list: [a, {lims: {password: 'it''s # {x}', b: 1}}]\n", "list: [a, {lims: {password_file: \"/data/secrets/lims\", b: 1}}]\n"},
		"double quotes":       {"list: [a, {lims: {password: \"\\\\\\\"\", b: 1}}]\n", "list: [a, {lims: {password_file: \"/data/secrets/lims\", b: 1}}]\n"},
		"umlauts before":      {"list: [ä, {größe: ü, lims: {password: geheim, b: 1}}]\n", "list: [ä, {größe: ü, lims: {password_file: \"/data/secrets/lims\", b: 1}}]\n"},
		"value below":         {"list:\n- a\n- lims:\n    password:\n      secret\n    b: 1\n", "list:\n- a\n- lims:\n    password_file: \"/data/secrets/lims\"\n    b: 1\n"},
		"quoted over lines":   {"list:\n- a\n- lims:\n    password: \"se\n      cret\"\n    b: 1\n", "list:\n- a\n- lims:\n    password_file: \"/data/secrets/lims\"\n    b: 1\n"},
		"the secret twice":    {"list:\n- secret\n- lims: {user: secret, password: secret}\n", "list:\n- secret\n- lims: {user: secret, password_file: \"/data/secrets/lims\"}\n"},
		"a tag's line number": {"list: [1, {lims: {password: 007}}]\n", "list: [1, {lims: {password_file: \"/data/secrets/lims\"}}]\n"},
		"blanks inside":       {"list:\n- a\n- lims:\n    password: se cret  # note\n", "list:\n- a\n- lims:\n    password_file: \"/data/secrets/lims\"  # note\n"},
	} {
		t.Run(name, func(t *testing.T) {
			for encoding, encode := range encodings() {
				got, err := Rewrite(encode(test.before), secretAt, file)
				if err != nil {
					t.Errorf("%s: %v", encoding, err)
				}
				if want := encode(test.after); string(got) != string(want) {
					t.Errorf("%s: got\n%s\nwant\n%s", encoding, got, want)
				}
			}
		})
	}
}

func encodings() map[string]func(string) []byte {
	utf := func(order binary.AppendByteOrder) func(string) []byte {
		return func(text string) (out []byte) {
			for _, unit := range utf16.Encode([]rune("\uFEFF" + text)) {
				out = order.AppendUint16(out, unit)
			}
			return out
		}
	}
	return map[string]func(string) []byte{
		"UTF-8": func(text string) []byte { return []byte(text) },
		"BOM":   func(text string) []byte { return []byte("\uFEFF" + text) },
		"LE":    utf(binary.LittleEndian), "BE": utf(binary.BigEndian),
	}
}

func TestRewriteWithSeveralKeys(t *testing.T) {
	pairs := []Pair{{"url", "https://lims/"}, {"username", "a\"b"}, {"password_file", "f"}}
	for before, want := range map[string]string{
		"list:\n- a\n- lims:\n    password: x # c\n    b: 1\n": "list:\n- a\n- lims:\n    url: \"https://lims/\"\n    username: \"a\\\"b\"\n    password_file: \"f\" # c\n    b: 1\n",
		"list: [a, {lims: {password: x, b: 1}}]\n":             "list: [a, {lims: {url: \"https://lims/\", username: \"a\\\"b\", password_file: \"f\", b: 1}}]\n",
		"list:\r\n- a\r\n- {b: 1, lims: {password: x}}\r\n":    "list:\r\n- a\r\n- {b: 1, lims: {url: \"https://lims/\", username: \"a\\\"b\", password_file: \"f\"}}\r\n",
	} {
		got, err := Rewrite([]byte(before), secretAt, pairs...)
		if err != nil || string(got) != want {
			t.Errorf("got %q, error %v; want %q", got, err, want)
		}
	}
}

func TestRewriteLeavesAlone(t *testing.T) {
	for name, text := range map[string]string{
		"literal":        "list:\n- a\n- lims:\n    password: |\n      secret\n",
		"folded":         "list:\n- a\n- lims:\n    password: >-\n      secret\n",
		"plain in lines": "list:\n- a\n- lims:\n    password: se\n      cret\n",
		"anchor":         "list:\n- a\n- lims:\n    password: &x secret\n    b: *x\n",
		"alias":          "list:\n- &x secret\n- lims:\n    password: *x\n",
		"shared":         "list:\n- &x {lims: {password: secret}}\n- *x\n",
		"merged":         "list:\n- &x {lims: {password: secret}}\n- {<<: *x}\n",
		"explicit key":   "list:\n- a\n- lims:\n    ? password\n    : secret\n",
		"comment":        "list:\n- a\n- lims:\n    password: # note\n      secret\n",
		"not there":      "list:\n- a\n- lims: {b: 1}\n",
		"not a mapping":  "list:\n- a\n- lims: password\n",
		"no text":        "list:\n- a\n- lims: {password: [secret]}\n",
		"no list":        "list: 1\n",
		"not YAML":       "list: [\n",
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Rewrite([]byte(text), secretAt, Pair{"password_file", "f"})
			if err == nil {
				t.Fatalf("rewritten to %q", got)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error holds the secret: %v", err)
			}
		})
	}
}

// FuzzRewrite: whatever the file says, a rewriting changes what it is asked to
// change, or fails.
func FuzzRewrite(f *testing.F) {
	for _, seed := range []string{
		"password: x", "password: 'x'\nb: 1", "{password: \"x\\n\", b: 1}", "a: &x 1\npassword: *x", "\xFF\xFEp\x00", "b:\u0085 c\npassword: d", "password:   \n\n  x #\n",
		"{\"password\":\"x\"}", "? password\n: x", "password: |\n x\n", "\"password\": a b\n c: d",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := Rewrite(data, "password", Pair{"password_file", "/a: 'b' \"c\" #"})
		if err != nil {
			return
		}
		before, errs := Parse(data, "")
		after, more := Parse(got, "")
		if errs != nil || more != nil {
			t.Fatalf("%q became %q: %v, %v", data, got, errs, more)
		}
		if after.Has("password") || after.find("password_file").Value != "/a: 'b' \"c\" #" {
			t.Errorf("%q became %q", data, got)
		}
		before.Delete("password")
		after.Delete("password_file")
		if !alike(before.root, after.root) {
			t.Errorf("%q became %q", data, got)
		}
	})
}
