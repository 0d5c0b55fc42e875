package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A box whose configuration cannot be used starts all the same, so that a stick
// can mend it; a computer of a person's own says what is wrong and ends.
func TestStartsWithAnotherConfigurationThanASpoiltOne(t *testing.T) {
	const spoilt = "version: ["
	for name, test := range map[string]struct {
		before, factory string
		onTrial         bool
		want            string // the box's name; "" where it must not start
		aside           bool   // the store is not the box's own
	}{
		"its second copy":                        {before: "before", factory: "factory", want: "before"},
		"the factory's":                          {before: spoilt, factory: "factory", want: "factory", aside: true},
		"no copy":                                {factory: "factory", want: "factory", aside: true},
		"nothing that can be used":               {before: spoilt, factory: spoilt},
		"a computer":                             {before: "before"},
		"a trial is taken back and not replaced": {before: "before", factory: "factory", onTrial: true},
	} {
		t.Run(name, func(t *testing.T) {
			directory := t.TempDir()
			own := filepath.Join(directory, "spool")
			write := func(name, what string) string {
				path := filepath.Join(directory, name)
				text := "version: 1\nbox: {name: " + what + "}\nspool: {directory: " + own + "}\n"
				if what == spoilt {
					text = what
				}
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			f := flags{Config: write("assaygate.yaml", spoilt)}
			if test.before != "" {
				write("assaygate.yaml"+keptSuffix, test.before)
			}
			if test.factory != "" {
				f.Factory = write("factory.yaml", test.factory)
			}
			s, err := f.load(!test.onTrial)
			if test.want == "" {
				if err == nil || !strings.Contains(err.Error(), "assaygate.yaml:1:") {
					t.Errorf("starts with %q, error %v", s.config.Box.Name, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.config.Box.Name != test.want || (s.config.Spool.Directory != own) != test.aside {
				t.Errorf("starts as %s with the store %s", s.config.Box.Name, s.config.Spool.Directory)
			}
			var log bytes.Buffer
			d, err := prepare(f, &log)
			if err != nil {
				t.Fatal(err)
			}
			if is := d.standingConfig(); is.Refused == "" || is.Factory != test.aside {
				t.Errorf("stands %+v", is)
			}
			if !strings.Contains(metricsOf(t, d), "assaygate_config_refused 1") || !strings.Contains(log.String(), "another configuration than its own") {
				t.Errorf("nobody is told: %s", log.String())
			}
		})
	}
}

// A stick mends a box whose configuration is spoilt: what it brings is judged by
// itself, and where it has to be taken back, another stands in again.
func TestAStickMendsASpoiltConfiguration(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	root := t.TempDir()
	b := &stickBox{root: root, stick: filepath.Join(root, "stick"), path: filepath.Join(root, "config", "assaygate.yaml")}
	b.write(t, filepath.Join(root, "factory.yaml"), b.text(baseConfig))
	b.write(t, b.path, "version: [")
	b.write(t, b.path+keptSuffix, b.text(baseConfig))
	b.start(t)
	b.plug(t, map[string]string{"assaygate.yaml": strings.Replace(b.text(baseConfig), "127.0.0.1:0", taken.Addr().String(), 1)})
	b.wantReport(t, "The new configuration runs, on trial")
	b.wantReport(t, "Not all is well: the new configuration did not work here", "lan: listens on 127.0.0.1:0, open", "cannot be used as it stands now, so another runs in its place")
	b.plug(t, map[string]string{"assaygate.yaml": b.text(baseConfig)})
	if report := b.wantReport(t, runs); strings.Contains(report, "in its place") {
		t.Errorf("reported was\n%s", report)
	}
}

// What stands in is the configuration that ran last, never one before it.
func TestTheSecondCopyIsOfWhatStands(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, baseConfig)
	copied := func(want string) func() bool {
		return func() bool {
			got, err := os.ReadFile(b.path + keptSuffix)
			return err == nil && string(got) == want
		}
	}
	eventually(t, "the copy of the start", copied(b.text(baseConfig)))
	second := strings.Replace(b.text(baseConfig), "box-1", "box-2", 1)
	b.plug(t, map[string]string{"assaygate.yaml": second})
	b.wantReport(t, runs)
	eventually(t, "the copy of what a stick brought", copied(second))
	b.end()
	b.write(t, b.path, "version: [")
	b.start(t)
	if name := b.config().Box.Name; name != "box-2" {
		t.Errorf("%s stands in", name)
	}
}
