package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const fileForFlags = `version: 1
instruments:
  - {name: one, astm: {listen: ":1"}}
  - {name: two, serial: {port: /dev/ttyS0}}
  - {name: three, astm: {dial: "host:3"}}
  - {name: four, hl7: {listen: ":4"}}
destinations:
  - {name: main, senaite: {url: "https://lims.example.org", username: u, password: p}}
  - {name: files, capture: {directory: /somewhere}}
admin: {listen: "127.0.0.1:5"}
`

func TestFlagsOverFile(t *testing.T) {
	path := written(t, fileForFlags)
	for name, test := range map[string]struct {
		flags                     flags
		instruments, destinations string
	}{
		"none":  {flags{}, "one listens on :1, two serial /dev/ttyS0, three dials host:3, four listens on :4", "main, files"},
		"astm":  {flags{ASTM: ":9"}, "two serial /dev/ttyS0, four listens on :4, astm listens on :9", "main, files"},
		"both":  {flags{ASTM: ":9", HL7: ":10"}, "two serial /dev/ttyS0, astm listens on :9, hl7 listens on :10", "main, files"},
		"other": {flags{Emerald: ":11"}, "one listens on :1, two serial /dev/ttyS0, three dials host:3, four listens on :4, emerald listens on :11", "main, files"},
		"url":   {flags{URL: "https://new.example.org/s"}, "one listens on :1, two serial /dev/ttyS0, three dials host:3, four listens on :4", "files, lims"},
	} {
		t.Run(name, func(t *testing.T) {
			test.flags.Config = path
			c, _ := loaded(t, test.flags)
			if instruments, destinations := names(c); instruments != test.instruments || destinations != test.destinations {
				t.Errorf("got %s; %s", instruments, destinations)
			}
			if c.Admin.Listen != "127.0.0.1:5" || c.Console.Listen != "127.0.0.1:8080" {
				t.Errorf("admin %s, console %s", c.Admin.Listen, c.Console.Listen)
			}
		})
	}
	c, warnings := loaded(t, flags{
		Config: path, URL: "https://eva:se:cret%20@new.example.org/s", Data: "/d", Admin: "127.0.0.1:6", Console: "127.0.0.1:7",
	})
	lims := c.Destinations[1].SENAITE
	if lims.URL != "https://new.example.org/s" || lims.Username != "eva" || lims.Password != "se:cret " {
		t.Errorf("got %+v", lims)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "password_file") {
		t.Errorf("warnings %q", warnings)
	}
	if c.Spool.Directory != filepath.Join("/d", "spool") || c.Destinations[0].Capture.Directory != filepath.Join("/d", "captures") || c.Admin.Listen != "127.0.0.1:6" || c.Console.Listen != "127.0.0.1:7" {
		t.Errorf("got %+v", c)
	}
}

func TestFlagsAlone(t *testing.T) {
	// With flags the system's file is not read, however wrong it may be.
	system := written(t, "version: 2")
	c, warnings, err := loadConfigFrom(system, flags{ASTM: "127.0.0.1:0", URL: "https://u@lims.example.org/senaite", Data: "d"})
	if err != nil {
		t.Fatal(err)
	}
	instruments, destinations := names(c)
	if instruments != "astm listens on 127.0.0.1:0" || destinations != "captures, lims" || c.Admin.Listen != "" || c.Console.Listen != "" {
		t.Errorf("got %s; %s; %+v", instruments, destinations, c)
	}
	if len(warnings) != 0 || c.Destinations[0].Capture.Directory != filepath.Join("d", "captures") {
		t.Errorf("warnings %q, %+v", warnings, c.Destinations)
	}
	c, warnings, err = loadConfigFrom(system, flags{CaptureOnly: "caps", Data: "d", Admin: ":1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Destinations) != 1 || c.Destinations[0].Capture.Directory != "caps" || c.Spool.Directory != filepath.Join("d", "spool") || c.Admin.Listen != ":1" {
		t.Errorf("got %+v", c)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "nothing will be received") {
		t.Errorf("warnings %q", warnings)
	}
	// Without, it is.
	if _, _, err = loadConfigFrom(system, flags{}); err == nil {
		t.Error("the system's file was not read")
	}
}

func TestFlagErrors(t *testing.T) {
	path := written(t, fileForFlags)
	taken := written(t, "version: 1\ninstruments: [{name: ASTM, serial: {port: /dev/ttyS0}}, {name: b, hl7: {listen: ':5'}}]\n")
	for name, test := range map[string]struct {
		flags flags
		want  string
	}{
		"address":        {flags{ASTM: "4010"}, "--astm: instruments[0].astm.listen: 4010 is not host:port"},
		"admin":          {flags{Admin: "x"}, `--admin: admin.listen: x is not host:port; write for example ":4010" or "127.0.0.1:4010"`},
		"console":        {flags{Console: "x"}, `--console: console.listen: want host:port, such as "127.0.0.1:8080", or "" for no console`},
		"url":            {flags{URL: "lims"}, "--url: is not a URL; write for example https://USER:PASSWORD@lims.example.org/senaite"},
		"odd url":        {flags{URL: "https://u:sec%ret@h"}, "--url: is not a URL; write for example https://USER:PASSWORD@lims.example.org/senaite"},
		"lims in file":   {flags{Config: path, CaptureOnly: "d"}, "--capture-only: a LIMS is configured; remove it, or run without this flag"},
		"lims in flags":  {flags{URL: "https://h", CaptureOnly: "d"}, "--capture-only: a LIMS is configured; remove it, or run without this flag"},
		"name taken":     {flags{Config: taken, ASTM: ":1"}, "--astm: instruments[2].name: another instrument is called ASTM; names are unique, whatever their case"},
		"address taken":  {flags{Config: taken, ASTM: ":5", Data: "d"}, "--astm: instruments[2].astm.listen: b listens for hl7 there; only instruments of one protocol share a listener\n--astm: instruments[2].name: another instrument is called ASTM; names are unique, whatever their case"},
		"file not there": {flags{Config: "/none/x.yaml"}, "read configuration: open /none/x.yaml: no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := load(t, test.flags)
			if err == nil || sortedLines(err.Error()) != sortedLines(test.want) {
				t.Errorf("got\n%v\nwant\n%s", err, test.want)
			}
		})
	}
}

func sortedLines(text string) string {
	lines := map[string]int{}
	for line := range strings.SplitSeq(text, "\n") {
		lines[line]++
	}
	return strings.Join(sortedKeys(lines), "\n")
}

func TestSystemFileUnreadable(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// A path through a file is neither there nor plainly missing.
	if _, _, err := loadConfigFrom(filepath.Join(file, "assaygate.yaml"), flags{}); err == nil {
		t.Error("defaults in place of a file that cannot be looked at")
	}
}

// A configuration that says where the stick is and not how to ask for writing to
// it must not leave a box without reports.
func TestTheFactorysWriteRequestStays(t *testing.T) {
	directory := t.TempDir()
	file := func(name, drive string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte("version: 1\n"+drive+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	factory := file("factory.yaml", "config_drive: {directory: /run/stick, write_request: /run/write}")
	for drive, want := range map[string]string{
		"config_drive: {directory: /run/stick}":                             "/run/write",
		"config_drive: {directory: /run/stick, write_request: /run/other}":  "/run/other",
		"config_drive: {directory: /run/stick, write_request: ''}":          "",
		"config_drive: {directory: /run/another, confirm_within: 1h}":       "",
		"config_drive: {directory: /run/stick, confirm_within: 1h} # hours": "/run/write",
	} {
		own := file("own.yaml", drive)
		c, _, err := loadConfig(flags{Config: own, Factory: factory})
		if err != nil || c.ConfigDrive.WriteRequest != want {
			t.Errorf("%s: the request is %q, error %v", drive, c.ConfigDrive.WriteRequest, err)
		}
		if c, _, err := loadConfig(flags{Config: own}); err != nil || strings.Contains(drive, "/run/write") != (c.ConfigDrive.WriteRequest == "/run/write") {
			t.Errorf("%s: elsewhere the request is %q, error %v", drive, c.ConfigDrive.WriteRequest, err)
		}
	}
	if c, _, err := loadConfig(flags{Config: file("own.yaml", ""), Factory: factory}); err != nil || c.ConfigDrive != nil {
		t.Errorf("without the section: %+v, error %v", c.ConfigDrive, err)
	}
}

// A configuration that does not say where the store is must not have a box look
// for it where it can write nothing.
func TestTheFactorysStoreStays(t *testing.T) {
	directory := t.TempDir()
	file := func(name, spool string) string {
		path := filepath.Join(directory, name)
		if err := os.WriteFile(path, []byte("version: 1\n"+spool+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	factory := file("factory.yaml", "spool: {directory: /data/spool}")
	for spool, want := range map[string]string{
		"":                                "/data/spool",
		"spool: {keep_days: 30}":          "/data/spool",
		"spool: {directory: /data/other}": "/data/other",
	} {
		own := file("own.yaml", spool)
		if c, _, err := loadConfig(flags{Config: own, Factory: factory}); err != nil || c.Spool.Directory != want {
			t.Errorf("%q: the store is in %s, error %v", spool, c.Spool.Directory, err)
		}
		if c, _, err := loadConfig(flags{Config: own}); err != nil || c.Spool.Directory == "/data/spool" {
			t.Errorf("%q: elsewhere the store is in %s, error %v", spool, c.Spool.Directory, err)
		}
	}
}
