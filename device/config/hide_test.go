package config

import (
	"errors"
	"strings"
	"testing"
)

// testMask hides what stands under password, and the users of URLs.
func testMask() Mask {
	return Mask{
		Value: func(key, value string) string {
			scheme, rest, is := strings.Cut(value, "://")
			switch {
			case key == "password" && value != "":
				return Kept
			case is && strings.Contains(rest, "@"):
				return scheme + "://" + Kept + rest[strings.LastIndex(rest, "@"):]
			}
			return value
		},
		Comment: func(comment string, hidden []string) string {
			for _, one := range hidden {
				if len(one) > 3 && strings.Contains(comment, one) {
					return "# " + Kept
				}
			}
			if before, _, is := strings.Cut(comment, "password: "); is {
				return before + "password: " + Kept
			}
			return comment
		},
	}
}

const hiddenFile = `# The box of the ward
version: 1
destinations:
  - name: lims # was s3cret once
    senaite:
      url: https://lims.example.org/senaite
      username: u
      password: 's3c''ret' # see the safe
  # password: 0ld
  - name: other
    senaite: {url: "https://me:pässword@other.example.org/", password: plain, confirm: {enabled: no}}
  - {name: third, senaite: {password: "s3cret", url: x}}
`

func TestHide(t *testing.T) {
	h, err := Hide([]byte(hiddenFile), testMask())
	if err != nil {
		t.Fatal(err)
	}
	const want = `# The box of the ward
version: 1
destinations:
  - name: lims # (kept)
    senaite:
      url: https://lims.example.org/senaite
      username: u
      password: "(kept)" # see the safe
  # password: (kept)
  - name: other
    senaite: {url: "https://(kept)@other.example.org/", password: (kept), confirm: {enabled: no}}
  - {name: third, senaite: {password: "(kept)", url: x}}
`
	if h.Text != want {
		t.Errorf("shown is\n%s", h.Text)
	}
	data, kept, errs := h.Restore(h.Text, "f")
	if errs != nil || string(data) != hiddenFile || len(kept) != 4 {
		t.Errorf("put back is\n%s, %q, %v", data, kept, errs)
	}
}

// What moves keeps its own, and nothing gets another's.
func TestRestore(t *testing.T) {
	for name, test := range map[string]struct {
		change []string // old, new, old, new ...
		want   string   // in the result; begins with ! where it is an error
	}{
		"another value":         {[]string{"username: u", "username: you"}, "username: you\n      password: 's3c''ret' # see the safe\n"},
		"another order":         {[]string{"  - {name: third, senaite: {password: \"(kept)\", url: x}}\n", "", "  - name: lims", "  - {name: third, senaite: {password: '(kept)', url: x}}\n  - name: lims"}, `{name: third, senaite: {password: "s3cret", url: x}}`},
		"another style":         {[]string{`{name: third, senaite: {password: "(kept)", url: x}}`, "name: third\n    senaite:\n      password: (kept)\n      url: x"}, "password: \"s3cret\"\n      url: x"},
		"into braces":           {[]string{"\n      url: https://lims.example.org/senaite\n      username: u\n      password: \"(kept)\" # see the safe", " {url: a, password: (kept)}"}, "{url: a, password: 's3c''ret'}"},
		"typed":                 {[]string{"password: (kept),", "password: new,"}, "password: new,"},
		"a new one":             {[]string{"third", "fourth"}, "!f:12:40: destinations[2].senaite.password: nothing was kept under this name; type it"},
		"renamed into another":  {[]string{"name: third", "name: other"}, "!stands there twice"},
		"another host":          {[]string{"other.example.org", "evil.example.org"}, "!destinations[1].senaite.url: was changed, so that what is not shown"},
		"another key":           {[]string{`{password: "(kept)", url: x}`, `{secret: "(kept)", password: "(kept)", url: "https://(kept)@evil"}`}, "!url: nothing was kept"},
		"a text":                {[]string{"username: u", "username: (kept)"}, "username: (kept)"},
		"an anchor":             {[]string{"password: (kept),", "password: &p (kept),"}, "!cannot be kept where it stands"},
		"an anchor around":      {[]string{`senaite: {password: "(kept)"`, `senaite: &s {password: "(kept)"`}, "!cannot be kept where it stands"},
		"in lines":              {[]string{"password: \"(kept)\" #", "password: \"(ke\\\n        pt)\" #"}, "!cannot be kept"},
		"a comment that moved":  {[]string{"  # password: (kept)\n", "", "# The box", "  # password: (kept)\n# The box"}, "!f:1:3: this comment held"},
		"a comment in a block":  {[]string{"  # password: (kept)", "    x: |\n      y\n  # password: (kept)"}, "  # password: 0ld\n"},
		"a comment in quotes":   {[]string{"  # password: (kept)", "    x: \"y\n  # password: (kept)\n  z\""}, "!f:10:3: this comment held something that is not shown, and is part of a text now"},
		"a comment in a key":    {[]string{"  # password: (kept)", "    ? \"y\n  # password: (kept)\n  z\"\n    : {}"}, "!f:10:3: this comment held"},
		"a line's comment":      {[]string{"  - name: lims # (kept)", "  - y: \"\n  - name: lims # (kept)\n     \"\n    name: lims"}, "!f:5:16: this comment held"},
		"a comment in no YAML":  {[]string{"  # password: (kept)", "    x: \"y\n  # password: (kept)"}, "!f:"},
		"a comment that went":   {[]string{"  # password: (kept)\n", ""}, "see the safe\n  - name: other"},
		"no YAML":               {[]string{"version: 1", "version: [1"}, "!f:"},
		"nothing":               {[]string{hiddenFile, ""}, ""},
		"an alias of something": {[]string{"username: u", "username: &u u", "name: third", "name: *u"}, "!destinations[2].senaite.password: nothing was kept"},
	} {
		h, err := Hide([]byte(hiddenFile), testMask())
		if err != nil {
			t.Fatal(err)
		}
		data, _, errs := h.Restore(strings.NewReplacer(test.change...).Replace(h.Text), "f")
		want, bad := strings.CutPrefix(test.want, "!")
		switch {
		case bad && (errs == nil || !strings.Contains(errs.Error(), want)):
			t.Errorf("%s: %v, %s", name, errs, data)
		case !bad && (errs != nil || !strings.Contains(string(data), want)):
			t.Errorf("%s: %v\n%s", name, errs, data)
		}
		if errs != nil && strings.Contains(errs.Error(), "s3c") {
			t.Errorf("%s: a secret is in the error: %v", name, errs)
		}
	}
}

// The places of values are found alike one after the other and each by itself.
func TestOffsets(t *testing.T) {
	text := strings.ReplaceAll(hiddenFile, "\n", "\r\n") + "  - {name: fünf, senaite: {url: ä}, x: [1, 2, {y: z}]}\u0085"
	all, bad := tokensOf(text)
	if bad != nil || len(all.unsure) > 0 || len(all.sure) != 17 {
		t.Fatalf("%+v, %v", all, bad)
	}
	for _, one := range all.sure {
		if want := offset(text, one.line, one.column); one.from != want {
			t.Errorf("%s is found at %d, want %d", one.path, one.from, want)
		}
	}
}

// Nothing is shown where something could be seen.
func TestHideIsSure(t *testing.T) {
	for name, text := range map[string]string{
		"a block":             "password: |\n  s3cret\n",
		"an anchor":           "password: &p s3cret\n",
		"an alias":            "name: &p s3cret\npassword: *p\n",
		"an alias as key":     "name: &k password\nx: {*k : s3cret}\n",
		"an anchor around":    "a: &a {password: s3cret}\nb: *a\n",
		"a merge":             "a: &a\n  password: s3cret\nb: {<<: *a}\n",
		"several lines":       "password: \"s3\\\n  cret\"\n",
		"plain several lines": "password: s3cret\n  and more\n",
		"twice":               "l: [{name: a, password: s3cret}, {name: a, password: s3cret2}]\n",
		"an explicit key":     "? password\n: &x s3cret\n",
		"aliases of a list":   "name: &l [s3cret]\npassword: *l\n",
		"no YAML":             "password: [s3cret\n",
		"no text":             "password: s3cret\x00\n",
		"nothing":             "# password: s3cret\n",
	} {
		h, err := Hide([]byte(text), testMask())
		var place Error
		if !errors.As(err, &place) || place.Line == 0 || strings.Contains(err.Error(), "s3c") {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

// The file is as it was where nothing was changed, however it is written.
func TestRestoreIsExact(t *testing.T) {
	for name, text := range map[string]string{
		"CRLF":      strings.ReplaceAll(hiddenFile, "\n", "\r\n"),
		"mixed":     strings.Replace(hiddenFile, "\n", "\r\n", 3),
		"BOM":       "\uFEFF" + hiddenFile,
		"UTF-16":    string(encodeText(hiddenFile, []byte{0xFF, 0xFE})),
		"cut":       strings.TrimSuffix(hiddenFile, "\n"),
		"CR":        strings.ReplaceAll(hiddenFile, "\n", "\r"),
		"first":     "\n\n" + hiddenFile,
		"last":      hiddenFile + "\n\n",
		"quoted":    "a: \"x # password: y\"\nb: 'x # password: y' # password: z\n",
		"next line": "version: \"1\u00852\"\npassword: x\n",
	} {
		h, err := Hide([]byte(text), testMask())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		// A form sends CRLF, a script LF.
		for _, sent := range []string{h.Text, strings.ReplaceAll(h.Text, "\n", "\r\n")} {
			if data, _, errs := h.Restore(sent, ""); errs != nil || string(data) != text {
				t.Errorf("%s: %q, %v", name, data, errs)
			}
		}
	}
	h, err := Hide([]byte("a: 1\r\npassword: x\r\nb: 2\n"), testMask())
	if err != nil {
		t.Fatal(err)
	}
	if data, _, errs := h.Restore("a: 1\nc: 3\npassword: (kept)\nb: 2", ""); errs != nil || string(data) != "a: 1\r\nc: 3\r\npassword: x\r\nb: 2" {
		t.Errorf("%q, %v", data, errs)
	}
}

// Whatever a file holds: no secret of it is shown, and what is shown gives the file
// back. Whatever a person makes of it: no secret comes to stand anywhere else.
func FuzzHide(f *testing.F) {
	f.Add(hiddenFile, "")
	f.Add(strings.ReplaceAll(hiddenFile, "\n", "\r\n"), "name: other")
	f.Add("password: s3cretXYZ # s3cretXYZ\n", "x: {password: (kept)}\n")
	f.Add("a: [{name: x, password: \"s3cretXYZ\"}]\n", "a: [{name: y, password: (kept)}]\n")
	f.Add("a: &a {password: s3cretXYZ}\nb: *a", "")
	f.Fuzz(func(t *testing.T, text, to string) {
		mask := testMask()
		h, err := Hide([]byte(text), mask)
		if err != nil {
			return
		}
		data, _, errs := h.Restore(h.Text, "")
		if errs != nil || string(data) != text {
			t.Fatalf("%q is shown as %q, and put back as %q, %v", text, h.Text, data, errs)
		}
		if seen, bad := tokensOf(h.Text); bad == nil { // a comment may not be one
			for _, one := range seen.sure {
				if old, is := h.held[one.place]; is && one.value != mask.Value(old.key, old.value) {
					t.Fatalf("%q shows %q", h.Text, one.value)
				}
			}
		}
		data, _, errs = h.Restore(to, "")
		if errs != nil {
			return
		}
		after, bad := decodeText(data)
		if bad != nil {
			return
		}
		now, bad := tokensOf(after)
		sent, _ := tokensOf(to)
		if bad != nil {
			t.Fatalf("%q cannot be read: %v", after, bad)
		}
		typed := map[string]bool{}
		for _, one := range append(sent.sure, sent.unsure...) {
			typed[one.value] = true
		}
		for _, one := range append(now.sure, now.unsure...) {
			if old, is := h.held[one.place]; !typed[one.value] && (!is || old.value != one.value) {
				t.Fatalf("%q has %q at %q, where it was not", after, one.value, one.path)
			}
		}
	})
}
