package configdrive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// box is a drive with a policy that keeps what it was asked for.
type box struct {
	t *testing.T
	*drive
	calls   []string
	reports []Handled
	control func(*Session, string) Outcome
	config  func(*Session) Outcome
	admit   error
}

func newBox(t *testing.T, directory, memory string) *box {
	t.Helper()
	b := &box{t: t}
	call := func(what string, s *Session) {
		if !s.Fresh {
			what += " again"
		}
		b.calls = append(b.calls, what)
	}
	b.drive = newDrive(Options{
		Directory: directory, Memory: memory, Log: slog.New(slog.DiscardHandler),
		Policy: Policy{
			Admit: func(context.Context, Content) error { return b.admit },
			Control: func(_ context.Context, s *Session, name string) Outcome {
				call(name, s)
				if b.control != nil {
					return b.control(s, name)
				}
				return Outcome{Lines: []string{name + " done"}}
			},
			Restore: func(_ context.Context, s *Session) Outcome {
				call("restore", s)
				return Outcome{}
			},
			Config: func(_ context.Context, s *Session) Outcome {
				call("config", s)
				if b.config != nil {
					return b.config(s)
				}
				return Outcome{}
			},
			Report: func(_ context.Context, h Handled) Report {
				b.reports = append(b.reports, h)
				return Report{Verdict: fmt.Sprintf("report %d", len(b.reports))}
			},
		},
	})
	return b
}

// look lets so many seconds pass and looks as often as the box would.
func (b *box) look(seconds int) {
	for end := time.Now().Add(time.Duration(seconds) * time.Second); time.Now().Before(end); {
		time.Sleep(b.round(b.t.Context()))
	}
}

func (b *box) wantCalls(want ...string) {
	b.t.Helper()
	if !slices.Equal(b.calls, want) {
		b.t.Errorf("called %q, want %q", b.calls, want)
	}
	b.calls = nil
}

func (b *box) report() string {
	b.t.Helper()
	data, err := os.ReadFile(filepath.Join(b.Directory, ReportName))
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// put writes a file of the stick.
func put(t *testing.T, directory, name, text string) {
	t.Helper()
	file := filepath.Join(directory, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// within runs a test with a clock of its own.
func within(t *testing.T, do func(t *testing.T, b *box)) {
	t.Helper()
	directory, memory := filepath.Join(t.TempDir(), "stick"), filepath.Join(t.TempDir(), "memory")
	if err := os.Mkdir(directory, 0o755); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) { do(t, newBox(t, directory, memory)) })
}

func TestAStickIsTakenOnce(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		b.look(3)
		b.wantCalls()
		put(t, b.Directory, "Assaygate.YAML", "version: 1")
		put(t, b.Directory, "Profiles/XN.yaml", "profile")
		b.look(3)
		b.wantCalls("config")
		if got := b.report(); got != "report 1" {
			t.Errorf("the report says %q", got)
		}
		files := b.reports[0].Files
		if string(files[ConfigName].Data) != "version: 1" || files["profiles/xn.yaml"].Name != "Profiles/XN.yaml" {
			t.Errorf("read %v", files)
		}
		b.look(60)
		b.wantCalls()

		put(t, b.Directory, "assaygate-report.txt", "a person wrote into the report")
		b.look(10)
		b.wantCalls()
		put(t, b.Directory, "Assaygate.YAML", "version: 2")
		b.look(3)
		b.wantCalls("config")

		// Pulled and plugged in again.
		away := b.Directory + ".away"
		if err := os.Rename(b.Directory, away); err != nil {
			t.Fatal(err)
		}
		b.look(3)
		if err := os.Rename(away, b.Directory); err != nil {
			t.Fatal(err)
		}
		b.look(3)
		b.wantCalls("config")
	})
}

// A stick with nothing but a release gets a report, which is to say what became of it;
// one with a folder of the same name is not a box's to write to.
func TestAStickWithARelease(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, "metadata/notes.txt", "of somebody's pictures")
		b.look(5)
		if names := entries(t, b.Directory); len(b.reports) > 0 || !slices.Equal(names, []string{"metadata"}) {
			t.Errorf("somebody's own stick has got a report: %q", names)
		}
		if err := os.RemoveAll(filepath.Join(b.Directory, "metadata")); err != nil {
			t.Fatal(err)
		}
		put(t, b.Directory, "Metadata/timestamp.json", "{}")
		b.look(5)
		if len(b.reports) != 1 || !b.reports[0].Release || len(b.reports[0].Files) > 0 {
			t.Fatalf("reports of %+v", b.reports)
		}
		b.look(30)
		if b.report() != "report 1" {
			t.Error("it is dealt with again")
		}
	})
}

// Who has copied the folder that a repository publishes, and not what is in it, is told.
func TestAReleaseInAFolder(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, "public/metadata/timestamp.json", "{}")
		b.look(5)
		want := []string{"public/metadata: is not taken from a folder; put metadata and targets into the main folder of the stick"}
		if len(b.reports) != 1 || b.reports[0].Release || !slices.Equal(b.reports[0].Notes, want) {
			t.Errorf("reports of %+v", b.reports)
		}
	})
}

func TestAFileIsTakenWhenItHasNotChangedForASecond(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		at := time.Now()
		for i := range 5 {
			// The same size and the same time, as files on FAT have them for two
			// seconds: only the bytes tell.
			put(t, b.Directory, ConfigName, fmt.Sprintf("version: %d", i))
			if err := os.Chtimes(filepath.Join(b.Directory, ConfigName), at, at); err != nil {
				t.Fatal(err)
			}
			b.look(1)
			b.wantCalls()
		}
		b.look(2)
		b.wantCalls("config")
		if got := string(b.reports[0].Files[ConfigName].Data); got != "version: 4" {
			t.Errorf("taken was %q", got)
		}
	})
}

func TestTheOrderOfWhatAStickAsksFor(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		for _, name := range []string{"START", "collect.txt", "Export", "backup", "Set-Clock.txt", "unseal", "erase-sealed.TXT", "reset", ConfigName} {
			put(t, b.Directory, name, "")
		}
		b.look(3)
		b.wantCalls("collect", "export", "backup", "set-clock", "unseal", "erase-sealed", "reset", "config", "start")
	})
}

func TestARefusedStickChangesNothing(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		b.admit = errors.New("not signed")
		for _, name := range []string{ConfigName, "collect", "export", "reset"} {
			put(t, b.Directory, name, "")
		}
		b.look(3)
		b.wantCalls()
		if !b.reports[0].Bad() || b.report() != "report 1" {
			t.Errorf("reported %v", b.reports)
		}
	})
}

func TestFoundAgainAfterARestart(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, ConfigName, "version: 1")
		put(t, b.Directory, Collect, "")
		b.look(3)
		b.wantCalls("collect", "config")

		again := newBox(t, b.Directory, b.Memory)
		again.look(3)
		again.wantCalls("config again")
		if again.report() != "report 1" || !strings.Contains(fmt.Sprint(again.reports[0].Outcomes), "was carried out before") {
			t.Errorf("reported %+v", again.reports)
		}

		// Another content is dealt with, and the same one that comes later too.
		put(t, b.Directory, ConfigName, "version: 2")
		again.look(3)
		again.wantCalls("collect", "config")
		if err := os.Remove(filepath.Join(b.Directory, ConfigName)); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(b.Directory, Collect), filepath.Join(b.Directory, "x")); err != nil {
			t.Fatal(err)
		}
		put(t, b.Directory, ConfigName, "version: 2")
		put(t, b.Directory, Collect, "")
		later := newBox(t, b.Directory, b.Memory)
		time.Sleep(2 * awaited)
		later.look(3)
		later.wantCalls("collect", "config")
	})
}

func TestAStickThatEndsTheProcessIsLeftAlone(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, ConfigName, "version: 1")
		for range mostTries {
			dying := newBox(t, b.Directory, b.Memory)
			ctx, cancel := context.WithCancel(t.Context())
			dying.config = func(*Session) Outcome {
				cancel() // as if the process ended here
				return Outcome{}
			}
			for range 3 {
				time.Sleep(dying.round(ctx))
			}
			dying.wantCalls("config")
		}
		b.drive.begun = time.Now()
		b.look(3)
		b.wantCalls()
		if !errors.Is(b.reports[0].Refused, errBroken) {
			t.Errorf("reported %+v", b.reports)
		}
		// It was not dealt with, and the next start must not say that it was.
		after := newBox(t, b.Directory, b.Memory)
		after.look(3)
		after.wantCalls()
		if !errors.Is(after.reports[0].Refused, errBroken) {
			t.Errorf("reported %+v", after.reports)
		}
	})
}

func TestAResetIsNotAskedForAgainByItself(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, ConfigName, "version: 1")
		put(t, b.Directory, Reset, "")
		ended := false
		b.WriteRequest = filepath.Join(t.TempDir(), "stick-write")
		b.control = func(*Session, string) Outcome {
			return Outcome{Stop: true, After: func() {
				ended = true
				if _, err := os.Stat(b.WriteRequest); err == nil {
					t.Error("the process ends and the stick stays writable")
				}
				if b.report() != "report 1" {
					t.Error("the process ends before the report is written")
				}
			}}
		}
		b.look(3)
		b.wantCalls("reset")
		if !ended {
			t.Error("nothing followed the report")
		}
		again := newBox(t, b.Directory, b.Memory)
		again.look(3)
		again.wantCalls("config")
	})
}

func TestAFaultOfOursCostsTheStickOnly(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, ConfigName, "version: 1")
		b.config = func(*Session) Outcome { panic("planted") }
		b.look(3)
		if len(b.reports) != 1 || !b.reports[0].Bad() || b.report() != "report 1" {
			t.Errorf("reported %+v", b.reports)
		}
	})
}

func TestAReportThatIsNoLongerTrueIsWrittenAnew(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		stale := true
		b.Policy.Stale = func() bool { return stale }
		b.look(3)
		put(t, b.Directory, ConfigName, "version: 1")
		b.look(3)
		if b.report() != "report 1" {
			t.Errorf("reported %+v", b.reports)
		}
		b.look(2)
		stale = false
		b.look(10)
		if b.report() != "report 2" || len(b.reports) != 2 {
			t.Errorf("reported %+v", b.reports)
		}
		b.wantCalls("config")
	})
}

// A mount that changes for a moment is not a stick that was pulled: it would be
// dealt with again each time its report is written.
func TestAwayForAMomentIsNotPulled(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, ConfigName, "version: 1")
		b.look(3)
		b.wantCalls("config")
		for _, move := range [][2]string{{b.Directory, b.Directory + ".away"}, {b.Directory + ".away", b.Directory}} {
			if err := os.Rename(move[0], move[1]); err != nil {
				t.Fatal(err)
			}
			b.round(t.Context())
			time.Sleep(quiet / 2)
		}
		b.look(5)
		b.wantCalls()
	})
}

func TestAFileIsDurableBeforeItHasItsName(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		var steps []string
		b.step = func(what string) error {
			steps = append(steps, what)
			return nil
		}
		put(t, b.Directory, ConfigName, "version: 1")
		b.look(3)
		want := []string{"read assaygate.yaml", "read assaygate.yaml", "open to report", "write", "sync", "close", "rename", "sync folder"}
		if !slices.Equal(steps, want) {
			t.Errorf("the steps were %q", steps)
		}
	})
}

func TestWhatTheBoxWritesIsNoChange(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, ConfigName, "version: 1")
		put(t, b.Directory, PasswordName, "secret")
		b.config = func(s *Session) Outcome {
			if err := s.Replace(t.Context(), ConfigName, []byte("version: 2")); err != nil {
				t.Error(err)
			}
			if err := s.Remove(t.Context(), PasswordName); err != nil {
				t.Error(err)
			}
			return Outcome{}
		}
		b.look(30)
		b.wantCalls("config")
		if names := entries(t, b.Directory); !slices.Equal(names, []string{ReportName, ConfigName}) {
			t.Errorf("the stick holds %q", names)
		}
		again := newBox(t, b.Directory, b.Memory)
		again.look(3)
		again.wantCalls("config again")
	})
}

func entries(t *testing.T, directory string) (names []string) {
	t.Helper()
	all, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range all {
		names = append(names, one.Name())
	}
	return names
}

func TestARightToWriteIsAskedForAndGivenBack(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		b.WriteRequest = filepath.Join(t.TempDir(), "stick-write")
		// A folder in place of the temporary file: nothing can be written.
		put(t, b.Directory, temporary+"/x", "")
		put(t, b.Directory, ConfigName, "version: 1")
		go func() { // the side that mounts
			for {
				if _, err := os.Stat(b.WriteRequest); err == nil {
					os.RemoveAll(filepath.Join(b.Directory, temporary))
					return
				}
				time.Sleep(time.Second)
			}
		}()
		b.look(5)
		if b.report() != "report 1" {
			t.Error("no report")
		}
		if _, err := os.Stat(b.WriteRequest); err == nil {
			t.Error("the right to write was not given back")
		}

		// The process is told to end while the stick can be written.
		ctx, cancel := context.WithCancel(t.Context())
		b.config = func(s *Session) Outcome {
			defer cancel()
			if err := s.Remove(ctx, ConfigName); err != nil {
				t.Error(err)
			}
			return Outcome{}
		}
		put(t, b.Directory, ConfigName, "version: 3")
		for ctx.Err() == nil {
			time.Sleep(b.round(ctx))
		}
		if _, err := os.Stat(b.WriteRequest); err == nil {
			t.Error("the right to write was not given back")
		}
		b.config = nil

		// Nobody answers: there is no report, and all else goes on.
		put(t, b.Directory, temporary+"/x", "")
		put(t, b.Directory, ConfigName, "version: 2")
		b.look(60)
		b.wantCalls("config", "config", "config")
		if _, err := os.Stat(b.WriteRequest); err == nil {
			t.Error("the right to write was not given back")
		}
		if b.report() != "report 1" {
			t.Error("the report was written where nothing can be written")
		}
	})
}

// The request is removed when it is no longer needed. What is there under its name
// and is no request, such as a store that somebody has named by mistake, stays.
func TestARequestRemovesNothingElse(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		b.WriteRequest = filepath.Join(t.TempDir(), "spool.db")
		for i, text := range []string{"messages", ""} {
			if err := os.WriteFile(b.WriteRequest, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			put(t, b.Directory, ConfigName, fmt.Sprint("version: ", i))
			b.look(5)
			kept, err := os.ReadFile(b.WriteRequest)
			if want := text != ""; (err == nil) != want || string(kept) != text {
				t.Errorf("%q became %q, %v", text, kept, err)
			}
			if _, err := os.Stat(filepath.Join(b.Directory, ReportName)); (err == nil) != (text == "") {
				t.Errorf("with %q there the report is %v", text, err)
			}
		}
	})
}
