package config

import "testing"

func TestAddKey(t *testing.T) {
	const value = `{a: "1"}`
	for name, test := range map[string]struct{ before, after string }{
		"no section":           {"version: 1 # one\n", "version: 1 # one\nconsole: {users: {eva: {a: \"1\"}}}\n"},
		"no line end":          {"version: 1", "version: 1\nconsole: {users: {eva: {a: \"1\"}}}\n"},
		"a section, in lines":  {"console:\n  # where\n  listen: x # there\n\nlog: {}\n", "console:\n  # where\n  listen: x # there\n  users: {eva: {a: \"1\"}}\n\nlog: {}\n"},
		"a section, in braces": {"console: {listen: x} # c\nlog: {}\n", "console: {users: {eva: {a: \"1\"}}, listen: x} # c\nlog: {}\n"},
		"empty braces":         {"console: {users: {}}\n", "console: {users: {eva: {a: \"1\"}}}\n"},
		"users, in lines":      {"console:\n  users:\n    tom: {a: b} # old\n    # last\n  listen: x\n", "console:\n  users:\n    tom: {a: b} # old\n    eva: {a: \"1\"}\n    # last\n  listen: x\n"},
		"users, in deep lines": {"console:\r\n    users:\r\n        tom:\r\n            a: b\r\nlog: {}\r\n", "console:\r\n    users:\r\n        tom:\r\n            a: b\r\n        eva: {a: \"1\"}\r\nlog: {}\r\n"},
		"users, in braces":     {"console:\n  users: {tom: {a: b}}\n", "console:\n  users: {eva: {a: \"1\"}, tom: {a: b}}\n"},
		"a byte order mark":    {"\uFEFFconsole: {}\n", "\uFEFFconsole: {users: {eva: {a: \"1\"}}}\n"},
	} {
		got, err := AddKey([]byte(test.before), "console.users", "eva", value)
		if err != nil || string(got) != test.after {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, test.after)
		}
	}
	for name, text := range map[string]string{
		"there":            "console: {users: {eva: {}}}\n",
		"no mapping":       "console: [a]\n",
		"null":             "console:\n",
		"an alias":         "x: &x {users: {}}\nconsole: *x\n",
		"long text":        "console:\n  users:\n    tom: {a: |\n",
		"text in lines":    "console:\n  listen: |\n    a\n    b\n",
		"all in braces":    "{version: 1, console: [a]}\n",
		"not to be parsed": "console: {",
	} {
		if got, err := AddKey([]byte(text), "console.users", "eva", value); err == nil {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func FuzzAddKey(f *testing.F) {
	for _, text := range []string{"version: 1", "console:\n  users:\n    tom: {a: b}\n", "console: {users: {}}", "a:\n - b\nconsole:\n  listen: \"x\n   y\"\n", "console:\n  users: {\n  }\n"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		grown, err := AddKey(data, "console.users", "eva", `{a: "1"}`)
		if err != nil {
			return
		}
		document, errs := Parse(grown, "")
		if errs != nil || !document.Has("console.users.eva.a") {
			t.Errorf("%q became %q: %v", data, grown, errs)
		}
	})
}
