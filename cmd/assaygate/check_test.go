package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

// checked runs check and returns what it printed, with the file's name taken
// out.
func checked(t *testing.T, path string) (out, errs string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	err = (&checkCommand{File: path}).Run(&streams{out: &o, err: &e})
	return strings.ReplaceAll(o.String(), path, "FILE"), strings.ReplaceAll(e.String(), path, "FILE"), err
}

func TestCheckFull(t *testing.T) {
	out, errs, err := checked(t, "testdata/full.yaml")
	if err != nil {
		t.Fatal(err, errs)
	}
	if want := "FILE: ok (9 instruments, 3 destinations, 12 warnings, 2 notes)\n"; out != want {
		t.Errorf("got %s", out)
	}
	for _, want := range []string{
		"FILE:28:14: instruments[2].serial.port: /dev/ttyUSB7 is not on this machine (warning)\n",
		"FILE:42:11: instruments[6].tls.certificate: /data/tls/box.pem is not on this machine (warning)\n",
		"FILE:52:1: profiles: /data/profiles is not on this machine (warning)\n",
		"FILE:73:7: destinations[0].senaite.password_file: /data/config/secrets/senaite is not on this machine (warning)\n",
		"FILE:47:11: instruments[7].tls.ca: /data/tls/analysers.pem is not on this machine (warning)\n",
	} {
		if !strings.Contains(errs, want) {
			t.Errorf("missing %q in\n%s", want, errs)
		}
	}
}

func TestCheckErrors(t *testing.T) {
	out, errs, err := checked(t, written(t, "version: 1\nlog: {level: loud}\nspool: {keep_size: 2GB}\n"))
	want := "FILE:2:7: log.level: loud is not known; allowed are debug, info, warn, error\nFILE:3:9: spool.keep_size: 2GB is not a size; write 2GiB\n"
	if out != "" || errs != want || err == nil || !strings.Contains(err.Error(), "2 errors") {
		t.Errorf("got %s, %s, %v", out, errs, err)
	}
	if _, _, err := checked(t, "/none/there.yaml"); err == nil || !strings.Contains(err.Error(), "/none/there.yaml") {
		t.Errorf("got %v", err)
	}
	_, errs, err = checked(t, written(t, "version: 1\ninstruments: [{name: a, profile: sysmex_xm, astm: {listen: ':1'}}]\n"))
	if want := "FILE:2:25: instruments[0].profile: there is no profile sysmex_xm; "; err == nil || !strings.HasPrefix(errs, want) {
		t.Errorf("got %s, %v", errs, err)
	}
}

func TestCheckUTF16(t *testing.T) {
	text := "\uFEFFversion: 1\r\ninstruments:\r\n  - {name: a, astm: {listen: ':1'}}\r\ndestinations:\r\n  - {name: b, capture: {directory: Größe}}\r\n"
	var data []byte
	for _, u := range utf16.Encode([]rune(text)) {
		data = append(data, byte(u), byte(u>>8))
	}
	path := filepath.Join(t.TempDir(), "a.yaml")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, err := checked(t, path)
	if err != nil || errs != "" || out != "FILE: ok (1 instrument, 1 destination, 0 warnings, 0 notes)\n" {
		t.Errorf("got %s, %s, %v", out, errs, err)
	}
}

func TestCheckAllowlist(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"astm": {
			"instruments: [{name: a, astm: {listen: ':1'}}, {name: b, astm: {listen: ':2'}}]\nprivacy: {astm: {allow: {O: [5], R: [4]}}, hl7: {allow: {OBX: [3]}}}\n",
			"drops O.3 and O.4, where the sample id of a stands|drops R.3, where the test of a stands|drops R.5, where the unit of a stands",
		},
		"hl7": {
			"instruments: [{name: a, hl7: {listen: ':1'}}]\nprivacy: {astm: {allow: {O: [5]}}, hl7: {allow: {OBR: [4], OBX: [3, 6]}}}\n",
			"drops SPM.2 and SAC.3 and OBR.3 and OBR.2 and ORC.3 and ORC.2, where the sample id of a stands|drops OBX.5, where the value of a stands",
		},
		"either place": {
			"instruments: [{name: a, hl7: {listen: ':1'}}]\nprivacy: {astm: {allow: {O: [5]}}, hl7: {allow: {SPM: [2], OBX: [3, 5, 6]}}}\n", "",
		},
		"unmatched pass": {
			"instruments: [{name: a, astm: {listen: ':1'}}]\nprivacy: {astm: {allow: {P: [2]}, drop_unmatched_records: false}, hl7: {allow: {OBX: [3]}}}\n", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs, err := checked(t, written(t, "version: 1\n"+test.text+"destinations: [{name: c, capture: {directory: d}}]\n"))
			if err != nil {
				t.Fatal(err, errs)
			}
			var got []string
			for line := range strings.Lines(errs) {
				_, text, _ := strings.Cut(line, ".allow: ")
				got = append(got, strings.TrimSuffix(text, " (warning)\n"))
			}
			if strings.Join(got, "|") != test.want {
				t.Errorf("got %s", errs)
			}
		})
	}
}

// A profile for another language would never be used.
func TestCheckProfileFitsTheLine(t *testing.T) {
	for line, want := range map[string]string{
		"hl7: {listen: ':1'}, profile: sysmex_xn":                                      "sysmex_xn is a profile for astm, and this line speaks hl7",
		"astm: {listen: ':1'}, profile: hemoscreen":                                    "hemoscreen is a profile for hl7, and this line speaks astm",
		"astm: {listen: ':1'}, profile: celldyn_emerald":                               "celldyn_emerald is a profile for vendor, and this line speaks astm",
		"emerald: {listen: ':1'}, profile: sysmex_xn":                                  "sysmex_xn is a profile for astm, and this line speaks vendor",
		"serial: {port: /dev/ttyS0}, protocol: astm, profile: hemoscreen":              "hemoscreen is a profile for hl7, and this line speaks astm",
		"astm: {listen: ':1'}, profile: nothing":                                       "there is no profile nothing",
		"astm: {listen: ':1'}, profile: sysmex_xn":                                     "",
		"astm: {listen: ':1'}, protocol: vendor, profile: spotchem_el":                 "",
		"hl7: {listen: ':1'}, profile: hemoscreen":                                     "",
		"serial: {port: /dev/ttyS0}, profile: celldyn_emerald":                         "",
		"serial: {port: /dev/ttyS0}, profile: hemoscreen":                              "",
		"serial: {port: /dev/ttyS0}, protocol: vendor, profile: biomerieux_mini_vidas": "",
	} {
		_, errs, err := checked(t, written(t, "version: 1\ninstruments: [{name: a, "+line+"}]\ndestinations: [{name: c, capture: {directory: d}}]\n"))
		if (err != nil) != (want != "") || !strings.Contains(errs, want) {
			t.Errorf("%s: %v\n%s", line, err, errs)
		}
	}
}
