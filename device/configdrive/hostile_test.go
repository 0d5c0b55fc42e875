package configdrive

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// TestFaults: what makes a stick one of which nothing is used.
func TestFaults(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, directory string)
		want string
	}{
		"case": {func(t *testing.T, d string) {
			put(t, d, "assaygate.yaml", "a")
			put(t, d, "ASSAYGATE.YAML", "b")
		}, "ASSAYGATE.YAML and assaygate.yaml mean the same; remove one"},
		"control twice": {func(t *testing.T, d string) {
			put(t, d, "collect", "")
			put(t, d, "Collect.txt", "")
		}, "Collect.txt and collect mean the same; remove one"},
		"in a folder": {func(t *testing.T, d string) {
			put(t, d, "profiles/a.yaml", "a")
			put(t, d, "profiles/A.yaml", "b")
		}, "profiles/A.yaml and profiles/a.yaml mean the same; remove one"},
		"two folders": {func(t *testing.T, d string) {
			put(t, d, "tls/a", "a")
			put(t, d, "TLS/a", "b")
		}, "TLS/a and tls/a mean the same; remove one"},
		"folder": {func(t *testing.T, d string) {
			put(t, d, "assaygate.yaml/x", "a")
		}, "assaygate.yaml is a folder; it must be a file"},
		"no folder": {func(t *testing.T, d string) {
			put(t, d, "Profiles", "a")
		}, "Profiles is not a folder; make a folder of that name and put the files into it"},
		"ten gigabytes that are none": {func(t *testing.T, d string) {
			put(t, d, ConfigName, "")
			if err := os.Truncate(filepath.Join(d, ConfigName), 10<<30); err != nil {
				t.Fatal(err)
			}
		}, "assaygate.yaml has 10737418240 bytes; at most 1048576 are read"},
		"large profile": {func(t *testing.T, d string) {
			put(t, d, "profiles/x.yaml", strings.Repeat("x", maxProfile+1))
		}, "profiles/x.yaml has 262145 bytes; at most 262144 are read"},
		"large certificate": {func(t *testing.T, d string) {
			put(t, d, "tls/x.pem", strings.Repeat("x", maxTLS+1))
		}, "tls/x.pem has 65537 bytes; at most 65536 are read"},
		"large password": {func(t *testing.T, d string) {
			put(t, d, "password-lims.txt", strings.Repeat("x", maxSmall+1))
		}, "password-lims.txt has 4097 bytes; at most 4096 are read"},
		"many files": {func(t *testing.T, d string) {
			put(t, d, ConfigName, "")
			for i := range maxEntries {
				put(t, d, fmt.Sprint(i), "")
			}
		}, "the stick has more than 4096 files in its main folder; use an empty one"},
		"many profiles": {func(t *testing.T, d string) {
			for i := range maxInFolder + 1 {
				put(t, d, fmt.Sprintf("profiles/%d.yaml", i), "")
			}
		}, "profiles holds more than 64 files; remove what the box does not need"},
		"name": {func(t *testing.T, d string) {
			put(t, d, "profiles/a\x1b[2Jb.yaml", "")
		}, "profiles/a?[2Jb.yaml: this name cannot be used; take up to 64 letters, digits, dots, hyphens and underscores, beginning with a letter or digit"},
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, b *box) {
				test.make(t, b.Directory)
				b.look(3)
				b.wantCalls()
				if len(b.reports) != 1 || !slices.Equal(b.reports[0].Faults, []string{test.want}) || !b.reports[0].Bad() || b.report() != "report 1" {
					t.Errorf("reported %+v", b.reports)
				}
				b.look(20)
				if len(b.reports) != 1 {
					t.Errorf("%d reports", len(b.reports))
				}
			})
		})
	}
}

// TestNotes: names that a person has to be told of, and those that are not ours.
func TestNotes(t *testing.T) {
	takes := func(name, what string) string { return name + ": is not taken under this name; name it " + what }
	for name, want := range map[string]string{
		"assaygate.yaml.txt":            "assaygate.yaml.txt: Windows hides the end of its name, which is .txt; name it assaygate.yaml (in the Explorer: View, File name extensions)",
		"Assaygate.YAML.TXT":            "Assaygate.YAML.TXT: Windows hides the end of its name, which is .txt; name it assaygate.yaml (in the Explorer: View, File name extensions)",
		"assaygate.yml":                 takes("assaygate.yml", "assaygate.yaml"),
		"assaygate (1).yaml":            takes("assaygate (1).yaml", "assaygate.yaml"),
		"assaygate - Copy.yaml":         takes("assaygate - Copy.yaml", "assaygate.yaml"),
		"assaygate.txt":                 takes("assaygate.txt", "assaygate.yaml"),
		"config/assaygate.yaml":         "config/assaygate.yaml: is not taken from a folder; put it into the main folder of the stick",
		"assaygate/assaygate.yaml":      "assaygate/assaygate.yaml: is not taken from a folder; put it into the main folder of the stick",
		"password.txt.txt":              takes("password.txt.txt", "password.txt"),
		"collect.txt.txt":               takes("collect.txt.txt", "collect"),
		"reset.docx":                    takes("reset.docx", "reset"),
		"restore.age.txt":               takes("restore.age.txt", "restore.age"),
		"assaygate-manifest.json.txt":   takes("assaygate-manifest.json.txt", "what assaygate owner sign wrote: assaygate-manifest.json and assaygate-manifest.sig"),
		"profiles/xn.yml":               "profiles/xn.yml: is not taken; the name of a profile ends in .yaml",
		"IMG_0001.jpg":                  "",
		"backup/x":                      "", // a folder of anybody's
		"start.exe":                     "",
		"assaygate-support-1.tar.gz":    "",
		"Assaygate-Start.yaml":          "Assaygate-Start.yaml: is not taken under this name; when it is filled in, name it assaygate.yaml",
		"assaygate-start-2.yaml":        "",
		".assaygate.yaml":               "",
		"._assaygate.yaml":              "",
		"System Volume Information/x":   "",
		"assaygate.tmp":                 "",
		"letter to the laboratory.docx": "",
	} {
		t.Run(name, func(t *testing.T) {
			within(t, func(t *testing.T, b *box) {
				put(t, b.Directory, name, "x")
				b.look(3)
				if want == "" {
					if len(b.reports) != 0 {
						t.Errorf("reported %+v", b.reports)
					}
					return
				}
				if len(b.reports) != 1 || !slices.Equal(b.reports[0].Notes, []string{want}) {
					t.Errorf("reported %+v, want %s", b.reports, want)
				}
			})
		})
	}
}

func TestAControlFileIsEmpty(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, "export.txt", "somebody's own")
		put(t, b.Directory, "Backup", strings.Repeat("x", maxSmall+1))
		put(t, b.Directory, "collect", "\xEF\xBB\xBF\r\n")
		put(t, b.Directory, "Erase-Sealed.txt", "1 why")
		b.look(3)
		b.wantCalls("collect", "erase-sealed", "config")
		if want := []string{"Backup" + notEmpty, "export.txt" + notEmpty}; !slices.Equal(b.reports[0].Notes, want) {
			t.Errorf("noted %q", b.reports[0].Notes)
		}
	})
}

func TestAConfigurationToBeginWithIsNoMistakeBesideWhatAskedForIt(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, Start, "")
		b.control = func(s *Session, _ string) Outcome {
			_, err := s.Create(t.Context(), "assaygate-start", ".yaml", func(io.Writer) error { return nil })
			if err != nil {
				t.Error(err)
			}
			return Outcome{}
		}
		b.look(20)
		b.wantCalls("config", "start")
		if len(b.reports) != 1 || len(b.reports[0].Notes) != 0 {
			t.Errorf("reported %+v", b.reports)
		}
		put(t, b.Directory, ConfigName, "version: 1")
		if err := os.Remove(filepath.Join(b.Directory, Start)); err != nil {
			t.Fatal(err)
		}
		b.look(3)
		if len(b.reports) != 2 || len(b.reports[1].Notes) != 0 {
			t.Errorf("reported %+v", b.reports)
		}
	})
}

func TestAReportAsksForANewOne(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, "Assaygate-Report.txt", "of another box")
		b.look(3)
		b.wantCalls("config")
		if len(b.reports) != 1 {
			t.Errorf("reported %+v", b.reports)
		}
	})
}

func TestPasswords(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, "Password.txt", "a")
		put(t, b.Directory, "password-LIMS.txt", "b")
		put(t, b.Directory, "password-.txt", "c")
		b.config = func(s *Session) Outcome {
			found := s.Passwords()
			if len(found) != 2 || string(found[""].Data) != "a" || string(found["lims"].Data) != "b" {
				t.Errorf("found %v", found)
			}
			return Outcome{}
		}
		b.look(3)
		b.wantCalls("config")
	})
}

func TestRestoreStandsAlone(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, RestoreName, "backup")
		b.look(3)
		b.wantCalls("restore")
		put(t, b.Directory, ConfigName, "version: 1")
		b.look(3)
		b.wantCalls()
		if !b.reports[1].Bad() {
			t.Errorf("reported %+v", b.reports)
		}
	})
}

func TestReportText(t *testing.T) {
	r := Report{Verdict: "All is well.", Sections: []Section{{"Errors", nil}, {"Now", []string{"one\ntwo", "a\x1b[2Jb"}}}}
	if got, want := string(r.Text()), "All is well.\r\n\r\nNow\r\n---\r\none\r\ntwo\r\na?[2Jb\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	r = Report{Verdict: "Gerät"}
	if got, want := string(r.Text()), "\uFEFFGerät\r\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// FuzzNames: no name of a file makes a key that is another's, or text that a
// screen obeys.
func FuzzNames(f *testing.F) {
	for _, seed := range []string{ConfigName, "COLLECT.TXT", "password-x.txt", "assaygate (1).yaml", "start.txt.txt", "a\x1b\n", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		at, known := placeOf(name)
		if known && (at.limit <= 0 || !strings.EqualFold(at.key, name) && !strings.EqualFold(at.key+".txt", name)) {
			t.Errorf("%q means %+v", name, at)
		}
		if known && written(name) {
			t.Errorf("%q is both read and written", name)
		}
		text := (Report{Verdict: name, Sections: []Section{{"Files", []string{name + nearMiss(name)}}}}).Text()
		plain := strings.ReplaceAll(strings.TrimPrefix(string(text), "\uFEFF"), "\r\n", "")
		if !utf8.ValidString(plain) || strings.ContainsFunc(plain, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("the report holds %q", plain)
		}
	})
}

// FuzzMemory: whatever a card made of the memory, it is no more than forgotten.
func FuzzMemory(f *testing.F) {
	f.Add([]byte(`{"digest":"x","stage":"done","tries":1}`))
	f.Add([]byte(`{`))
	f.Add([]byte(nil))
	path := filepath.Join(f.TempDir(), "memory")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		b := newBox(t, t.TempDir(), path)
		got := b.recall("x")
		if got.Digest != "x" || got.Stage != begun && got.Stage != resetting && got.Stage != done {
			t.Errorf("recalled %+v of %q", got, data)
		}
	})
}
