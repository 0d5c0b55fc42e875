package login

import (
	"strings"
	"testing"
)

// cheap is the hash of "correct horse battery", with the least that is taken.
func cheap(password string) Hash {
	h := Hash{memory: leastMemory, passes: 1, lanes: 1, salt: []byte("salt of tests")}
	h.key = h.of(password, newKey)
	return h
}

// The example of the reference implementation, argon2's test.c.
func TestHashOfAnotherProgram(t *testing.T) {
	const text = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h, err := ParseHash(text)
	if err != nil {
		t.Fatal(err)
	}
	if !h.Matches("password") {
		t.Error("the password does not match")
	}
	if h.Matches("Password") || h.Matches("") {
		t.Error("another password matches")
	}
	if h.String() != text {
		t.Errorf("written as %s", h)
	}
}

func TestNewHash(t *testing.T) {
	const password = "correct horse battery"
	a, b := NewHash(password), NewHash(password)
	if a.String() == b.String() {
		t.Error("two hashes have one salt")
	}
	if !strings.HasPrefix(a.String(), "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("made with %s", a)
	}
	again, err := ParseHash(a.String())
	if err != nil || !again.Matches(password) || again.Matches(password+" ") {
		t.Errorf("%s: %v", a, err)
	}
}

func TestParseHashRefuses(t *testing.T) {
	good := cheap("correct horse battery").String()
	if _, err := ParseHash(good); err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string][2]string{
		"does not begin with $argon2id$":         {"$argon2id", "argon2id"},
		"is no argon2id hash":                    {"argon2id", "argon2i"},
		"is not of version 19":                   {"v=19", "v=16"},
		"has 4 parts between its $ and not 5":    {"$v=19", ""},
		"does not say m, t and p":                {"m=4096", "m=04096"},
		"has m=4095, which is not between":       {"m=4096", "m=4095"},
		"has m=65537, which is not between":      {"m=4096", "m=65537"},
		"has t=0, which is not between 1 and 16": {"t=1", "t=0"},
		"has p=5, which is not between 1 and 4":  {"p=1", "p=5"},
		"has m=65536 and t=16, which is more":    {"m=4096,t=1", "m=65536,t=16"},
		"has a salt that is not base64":          {"$c2Fs", "$c*Fs"},
		"has a salt of 2 bytes":                  {"c2FsdCBvZiB0ZXN0cw", "c2E"},
	} {
		text := strings.Replace(good, change[0], change[1], 1)
		if text == good {
			t.Fatalf("%s: nothing was changed in %s", what, good)
		}
		if _, err := ParseHash(text); err == nil || !strings.HasPrefix(err.Error(), what) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		"", "$", "$argon2id", "secret", good + "$", good + "=", good + "\n", good[:len(good)-30], strings.Repeat("$", 400),
		strings.Replace(good, "p=1", "p=1,x=1", 1), strings.Replace(good, "m=", "n=", 1),
	} {
		if _, err := ParseHash(text); err == nil {
			t.Errorf("%q is taken", text)
		} else if len(text) > 9 && strings.Contains(err.Error(), text) {
			t.Errorf("the hash stands in %q", err)
		}
	}
}

func FuzzParseHash(f *testing.F) {
	f.Add(cheap("correct horse battery").String())
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Add("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHR$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := ParseHash(text)
		if err != nil {
			return
		}
		if h.String() != text {
			t.Errorf("%q is written as %q", text, h)
		}
		if h.memory > mostMemory || h.memory*h.passes > mostWork || h.lanes > mostLanes || len(h.salt) < leastSalt || len(h.key) < leastKey {
			t.Errorf("%q is beyond the bounds", text)
		}
	})
}

func TestCheckPassword(t *testing.T) {
	for password, want := range map[string]string{
		"correct horse":                     "",
		"pässwörter":                        "",
		"pässwörte":                         "it is too short",
		"aaaaaaaaaabbb":                     "it repeats",
		"correct\thorse":                    "it has more than one line",
		"correct\xffhorse":                  "it is not UTF-8",
		"anna.musterfrau":                   "it is the user's name",
		strings.Repeat("correct horse", 99): "it has more than 1024 bytes",
	} {
		err := CheckPassword("Anna.Musterfrau", password)
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("%q: %v, want %q", password, err, want)
		}
	}
}

func TestCheckName(t *testing.T) {
	for _, name := range []string{"anna", "anna-m@lab", "A-1_b"} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "anna m", "anna.m", "änna", "a\nb", strings.Repeat("a", 65)} {
		if CheckName(name) == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
