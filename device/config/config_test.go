package config

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"gopkg.in/yaml.v3"
)

// line and file stand for what the packages of the gateway own.
type line struct {
	Port   string `yaml:"port" required:"true"`
	Baud   int    `yaml:"baud"`
	Parity string `yaml:"parity" allowed:"none,even,odd"`
	DTR    *bool  `yaml:"dtr"`
}

func (l *line) SetDefaults() { l.Baud = 9600 }

func (l line) Validate() error {
	var errs []error
	if l.Port == "" {
		errs = append(errs, errors.New("port: missing"))
	}
	if l.Baud < 50 {
		errs = append(errs, fmt.Errorf("baud: %d is not from 50 on", l.Baud))
	}
	return errors.Join(errs...)
}

type limits struct {
	Frame  int64         `yaml:"frame" config:"size"`
	Idle   time.Duration `yaml:"idle"`
	Factor float64       `yaml:"factor"`
	Tries  uint8         `yaml:"tries"`
}

// Choice reads itself: a text, or keys.
type choice struct{ One, Two string }

func (c *choice) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		c.One = n.Value
		if c.One == "none" {
			return errors.New("none is not possible")
		}
		return nil
	}
	var keys map[string]string
	if err := n.Decode(&keys); err != nil {
		return err
	}
	c.One, c.Two = keys["one"], keys["two"]
	if c.Two == "bad" {
		return errors.New("two: bad is not possible")
	}
	return nil
}

// Common is taken in by item.
type Common struct {
	Charset string `yaml:"charset"`
	Limits  limits `yaml:"limits"`
}

func (c Common) Validate() error {
	if c.Limits.Frame > 1<<20 {
		return fmt.Errorf("limits: %w", errors.Join(errors.New("frame: too large"), errors.New("idle: doubtful too")))
	}
	return nil
}

type item struct {
	Name   string         `yaml:"name" required:"true"`
	Serial *line          `yaml:"serial"`
	Allow  []netip.Prefix `yaml:"allow_from"`
	Common `yaml:",inline"`
}

func (i *item) SetDefaults() { i.Limits.Tries = 3 }

type file struct {
	Version int              `yaml:"version" required:"true"`
	Items   []*item          `yaml:"items"`
	Users   map[string]*line `yaml:"users"`
	Fields  map[string][]int `yaml:"fields"`
	Kinds   []string         `yaml:"kinds" allowed:"result,qc"`
	Choice  choice           `yaml:"choice"`
	Log     struct {
		Level string `yaml:"level"`
	} `yaml:"log"`
	Hidden string `yaml:"-"`
}

func (f *file) Validate() error {
	var errs []error
	for i, it := range f.Items {
		if it.Name == "cross" {
			errs = append(errs, fmt.Errorf("items[%d].name: cross is taken", i))
		}
		if it.Name == "deep" {
			errs = append(errs, fmt.Errorf("items[%d].limits.idle: not written down", i), fmt.Errorf("items[%d]: as a whole: wrong", i))
		}
	}
	if f.Version == 7 {
		errs = append(errs, errors.New("the file: is odd"), errors.New("users.a.b.port: taken"), errors.New("log.level: absent"))
	}
	return errors.Join(errs...)
}

func TestDecode(t *testing.T) {
	text := `version: 1
items:
  - name: one
    serial: {port: /dev/ttyUSB0, dtr: off, parity: even}
    allow_from: [10.0.0.0/8]
    charset: latin-1
    limits: {frame: 64KiB, idle: 14d, factor: 1.5}
  - name: 007
    serial:
      port: "usb:1-1"
      baud: 19200
users: {anna: {port: x}}
fields: {H: [1, 2]}
kinds: [qc]
choice: {one: a, two: b}
log: {level: info}
`
	got := file{Hidden: "kept", Kinds: []string{"result", "qc"}}
	if errs := Decode([]byte(text), "f", &got); errs != nil {
		t.Fatal(errs)
	}
	off := false
	want := file{
		Version: 1, Hidden: "kept",
		Items: []*item{
			{
				Name: "one", Serial: &line{Port: "/dev/ttyUSB0", Baud: 9600, Parity: "even", DTR: &off},
				Allow:  []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
				Common: Common{Charset: "latin-1", Limits: limits{Frame: 64 << 10, Idle: 14 * 24 * time.Hour, Factor: 1.5, Tries: 3}},
			},
			{Name: "007", Serial: &line{Port: "usb:1-1", Baud: 19200}, Common: Common{Limits: limits{Tries: 3}}},
		},
		Users:  map[string]*line{"anna": {Port: "x", Baud: 9600}},
		Fields: map[string][]int{"H": {1, 2}},
		Kinds:  []string{"qc"},
		Choice: choice{"a", "b"},
	}
	want.Log.Level = "info"
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestErrors(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"empty":         {"", "f:1:1: there is nothing in this file; was it cut off, or not saved yet?"},
		"only comments": {"\ufeff# begin\r\n---\r\n", "f:1:1: there is nothing in this file; was it cut off, or not saved yet?"},
		"no keys":       {"{}", "f:1:1: version: missing; add it"},
		"all at once": {
			"version: x\nitems:\n  - {name: a, serial: {port: p, baud: fast, parity: evn}}\n  - {serial: {prot: q, baud: 12}}\nlog: {levle: info}\n",
			"f:1:1: version: x is not a whole number\n" +
				"f:3:33: items[0].serial.baud: fast is not a whole number\n" +
				"f:3:45: items[0].serial.parity: evn is not known; did you mean even? allowed are none, even, odd\n" +
				"f:4:5: items[1].name: missing; add it\n" +
				"f:4:15: items[1].serial.prot: unknown key; did you mean port? allowed are baud, dtr, parity, port\n" +
				"f:4:24: items[1].serial.baud: 12 is not from 50 on\n" +
				"f:5:7: log.levle: unknown key; did you mean level? allowed are level",
		},
		"unknown":          {"version: 1\nzebra: 1\n", "f:2:1: zebra: unknown key; allowed are choice, fields, items, kinds, log, users, version"},
		"duplicate":        {"version: 1\nlog: {level: a}\nversion: 2\n", "f:3:1: version: given twice, first on line 1; remove one"},
		"no value":         {"version: 1\nkinds:\nlog: ~\n", "f:2:1: kinds: has no value; give one or remove the key\nf:3:1: log: has no value; give one or remove the key"},
		"empty required":   {"version: 1\nitems: [{name: ''}]\n", "f:2:10: items[0].name: is empty; give a value"},
		"list wanted":      {"version: 1\nkinds: qc\n", "f:2:1: kinds: want a list such as [one, two], not a single value"},
		"list item":        {"version: 1\nkinds: [qc, ac]\n", "f:2:13: kinds[1]: ac is not known; did you mean qc? allowed are result, qc"},
		"keys wanted":      {"version: 1\nlog: info\n", "f:2:1: log: want keys (level), not a single value"},
		"keys, not a list": {"version: 1\nfields: [1]\n", "f:2:1: fields: want keys with values, not a list"},
		"scalar wanted":    {"version: 1\nlog: {level: [a]}\n", "f:2:7: log.level: want a text, not a list"},
		"duration":         {"version: 1\nitems: [{name: a, limits: {idle: 10}}]\n", "f:2:28: items[0].limits.idle: 10 has no unit; write a duration such as 15s, 10m or 14d"},
		"size":             {"version: 1\nitems: [{name: a, limits: {frame: 2GB, factor: x, tries: -1}}]\n", "f:2:28: items[0].limits.frame: 2GB is not a size; write 2GiB\nf:2:40: items[0].limits.factor: x is not a number\nf:2:51: items[0].limits.tries: -1 is not a whole number that is not negative"},
		"text reads":       {"version: 1\nitems: [{name: a, allow_from: [10.0.0.1]}]\n", `f:2:32: items[0].allow_from[0]: netip.ParsePrefix("10.0.0.1"): no '/'`},
		"bool":             {"version: 1\nusers: {a: {port: x, dtr: maybe}}\n", "f:2:22: users.a.dtr: maybe is not on or off (true or false)"},
		"wrapped join":     {"version: 1\nitems:\n- name: a\n  limits:\n    frame: 2MiB\n", "f:4:3: items[0].limits.idle: doubtful too\nf:5:5: items[0].limits.frame: too large"},
		"cross":            {"version: 1\nitems: [{name: a}, {name: cross}]\n", "f:2:21: items[1].name: cross is taken"},
		"absent key":       {"version: 1\nitems:\n - name: deep\n", "f:3:4: items[0].limits.idle: not written down\nf:3:4: items[0]: as a whole: wrong"},
		"root":             {"version: 7\nusers: {a.b: {port: x}}\n", "f:1:1: the file: is odd\nf:1:1: log.level: absent\nf:2:15: users.a.b.port: taken"},
		"own":              {"version: 1\nchoice: none\n", "f:2:1: choice: none is not possible"},
		"own key":          {"version: 1\nchoice: {one: a, two: bad}\n", "f:2:18: choice.two: bad is not possible"},
		"own line":         {"version: 1\nchoice:\n  one: a\n  two: [b]\n", "f:4:3: choice: cannot unmarshal !!seq into string"},
		"tag":              {"version: !!int 1\n", "f:1:1: version: a tag has no meaning here; put a text that begins with ! in quotes"},
		"a text as a tag":  {"version: 1\nlog: {level: !S3cret }\n", "f:2:7: log.level: a tag has no meaning here; put a text that begins with ! in quotes"},
		"list at top":      {"- a\n", "f:1:1: a configuration begins with keys such as version: 1"},
		"two documents":    {"version: 1\n---\nversion: 1\n", "f:2:1: a second document begins here; a configuration is one, without --- lines in it"},
		"odd key":          {"version: 1\n[a]: 1\n? {b: 1}\n: 2\n", "f:2:1: a key is a plain word\nf:3:3: a key is a plain word"},
		"alias in itself":  {"version: 1\nlog: &a {level: *a}\n", "f:2:10: log.level.level: the alias *a stands within what it names"},
		"merge":            {"version: 1\nlog: &l {level: a}\nitems: [{<<: 1, name: x}, {<<: *l, name: y}]\n", "f:3:14: items[0]: << takes keys, such as those of an alias"},
		"unknown anchor":   {"version: 1\nlog: *no\n", "f:2:1: not YAML: an alias names nothing; put a text that begins with * in quotes"},
		"tab":              {"version: 1\nlog:\n\tlevel: a\n", "f:3:2: not YAML: found character that cannot start any token; indent with spaces, and put texts that begin with a special character in quotes"},
		"tab later":        {"version: 1\nlog:\n  level: a\n\tformat: b\n", "f:4:2: not YAML: found a tab character that violates indentation; indent with spaces"},
		"bracket":          {"version: 1\nkinds: [qc\nlog: {level: a}\n", "f:2:1: not YAML: did not find expected ',' or ']'; a bracket that opens here is not closed"},
		"indentation":      {"version: 1\nlog:\n  level: a\n other: b\nmore: 1\n", "f:4:2: not YAML: did not find expected key; check the indentation"},
		"colon":            {"version: 1\nlog: a: b\n", "f:2:1: not YAML: mapping values are not allowed in this context; check the indentation, and put texts with a colon in quotes"},
		"first line":       {"version: a: b\n", "f:1:1: not YAML: mapping values are not allowed in this context; check the indentation, and put texts with a colon in quotes"},
		"not utf-8":        {"version: 1\nlog: {level: \"Wei\xdf\"}\n", "f:2:18: the byte 0xDF is not UTF-8; save the file as UTF-8"},
		"control":          {"version: 1\r\nlog: \x00\n", "f:2:6: the control character U+0000 cannot stand in a configuration; save the file as plain UTF-8 text"},
	} {
		t.Run(name, func(t *testing.T) {
			var into file
			if got := Decode([]byte(test.text), "f", &into).Error(); got != test.want {
				t.Errorf("got\n%s\nwant\n%s", got, test.want)
			}
		})
	}
}

func TestAliasesAndMerges(t *testing.T) {
	text := "version: 1\nusers:\n  one: &a {port: x, baud: 300}\n  two: *a\n  three: {<<: *a, baud: 600}\n  four: {<<: [{parity: odd}, *a]}\n"
	var got file
	if errs := Decode([]byte(text), "f", &got); errs != nil {
		t.Fatal(errs)
	}
	want := map[string]*line{
		"one": {Port: "x", Baud: 300}, "two": {Port: "x", Baud: 300},
		"three": {Port: "x", Baud: 600}, "four": {Port: "x", Baud: 300, Parity: "odd"},
	}
	if !reflect.DeepEqual(got.Users, want) {
		t.Errorf("got %+v", got.Users)
	}
}

func TestEncodings(t *testing.T) {
	text := "version: 1\r\nlog: {level: Prüfung 😀}\r\n"
	units := utf16.Encode([]rune("\uFEFF" + text))
	for name, data := range map[string][]byte{
		"UTF-8": []byte(text), "BOM": []byte("\uFEFF" + text),
		"UTF-16LE": encode(units, binary.LittleEndian), "UTF-16BE": encode(units, binary.BigEndian),
		"LF": []byte(strings.ReplaceAll(text, "\r\n", "\n")),
	} {
		t.Run(name, func(t *testing.T) {
			var got file
			if errs := Decode(data, "f", &got); errs != nil {
				t.Fatal(errs)
			}
			if got.Log.Level != "Prüfung 😀" {
				t.Errorf("got %q", got.Log.Level)
			}
			// Lines and columns count characters in every encoding.
			bad := append(data[:len(data):len(data)], encodeLike(name, "kinds: [ä, x]\r\n")...)
			want := "f:3:9: kinds[0]: ä is not known; allowed are result, qc\nf:3:12: kinds[1]: x is not known; did you mean qc? allowed are result, qc"
			if got := Decode(bad, "f", &file{}).Error(); got != strings.Replace(want, "did you mean qc? ", "", 1) && got != want {
				t.Errorf("got %s", got)
			}
		})
	}
}

func encode(units []uint16, order binary.AppendByteOrder) []byte {
	var data []byte
	for _, u := range units {
		data = order.AppendUint16(data, u)
	}
	return data
}

func encodeLike(name, text string) []byte {
	switch name {
	case "UTF-16LE":
		return encode(utf16.Encode([]rune(text)), binary.LittleEndian)
	case "UTF-16BE":
		return encode(utf16.Encode([]rune(text)), binary.BigEndian)
	}
	return []byte(text)
}

func TestGrowthIsBounded(t *testing.T) {
	var laughs strings.Builder
	laughs.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [*a%d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d, *a%[3]d]\n", i, i, i-1)
	}
	for name, text := range map[string]string{
		"aliases": laughs.String(),
		"lists":   "a: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"maps":    "a: " + strings.Repeat("{a: ", 5000) + strings.Repeat("}", 5000),
	} {
		errs := Decode([]byte(text), "f", &file{})
		if len(errs) != 1 || !strings.Contains(errs[0].Text, "nests too deeply or repeats too much") {
			t.Errorf("%s: %d errors, %.200v", name, len(errs), errs)
		}
	}
	if errs := Decode(make([]byte, MaxSize+1), "f", &file{}); len(errs) != 1 {
		t.Errorf("too large: %v", errs)
	}
}

func TestDurationsAndSizes(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "15s": 15 * time.Second, "1h30m": 90 * time.Minute, "14d": 336 * time.Hour,
		"1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour, "250ms": 250 * time.Millisecond,
		"": -1, "5": -1, "-5s": -1, "s": -1, "5s ": -1, "5x": -1, "1e3s": -1, "400000d": -1, "1.5.5s": -1, "NaN": -1,
	} {
		if got, err := parseDuration(text); err != nil && want >= 0 || err == nil && got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for text, want := range map[string]int64{
		"0": 0, "4096": 4096, "64KiB": 64 << 10, "2GiB": 2 << 30, "1.5 MiB": 3 << 19, "1TiB": 1 << 40, "7B": 7,
		"": -1, "-1": -1, "2GB": -1, "1.5": -1, "9999999TiB": -1, "KiB": -1, "1 2": -1, strings.Repeat("9", 400): -1,
	} {
		if got, err := parseSize(text); err != nil && want >= 0 || err == nil && got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestEdit(t *testing.T) {
	d, errs := Parse([]byte("version: 1\nitems: [{name: a}, {name: b, serial: {port: x}}]\nlog: {level: info}\n"), "f")
	if errs != nil {
		t.Fatal(errs)
	}
	if !d.Has("items[1].serial.port") || d.Has("items[2]") || d.Has("log[0]") || d.Len("items") != 2 || d.Len("log") != 0 {
		t.Fatal("Has or Len is wrong")
	}
	d.Delete("items[0]")
	d.Delete("log.level")
	d.Delete("nothing.there")
	for path, value := range map[string]any{
		"items[9]": map[string]any{"name": "c", "serial": map[string]any{"port": "y", "baud": 1}},
		"users.u":  map[string]string{"port": "z"}, "log.level": "debug", "version[0]": 1, "version.x": 1,
	} {
		if err := d.Set("--flag", path, value); err != nil {
			t.Fatal(err)
		}
	}
	var got file
	want := "--flag: items[1].serial.baud: 1 is not from 50 on"
	if errs := d.Decode(&got); errs.Error() != want {
		t.Errorf("got  %v\nwant %s", errs, want)
	}
	if got.Log.Level != "debug" || got.Items[0].Name != "b" || got.Items[1].Serial.Port != "y" || got.Users["u"].Port != "z" || got.Version != 1 {
		t.Errorf("got %+v", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		"version: 1\nitems:\n  - {name: a, serial: &s {port: p}, limits: {frame: 1KiB, idle: 1d}}\n  - {<<: *s}\n",
		"a: &a [*a]", "? [x]\n: 1", "--- !!binary x\n...\n--- 2", "{<<: [{a: 1}, {b: 2}]}", "\xff\xfea\x00", "choice: {one: [}", "fields: {1: 2}", "a: |\n x\n# c\n", "&a : *a",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, e := range Decode(data, "f", &file{}) {
			if e.Source != "f" || e.Line < 1 || e.Column < 1 || e.Text == "" {
				t.Errorf("an error without a place: %+v", e)
			}
			if strings.ContainsAny(e.Error(), "\n\x1b") {
				t.Errorf("an error of several lines: %q", e.Error())
			}
		}
	})
}
