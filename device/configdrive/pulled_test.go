package configdrive

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// everything is a policy's part that writes in every way there is.
func everything(ctx context.Context, b *box) func(*Session) Outcome {
	return func(s *Session) Outcome {
		_, created := s.Create(ctx, "assaygate-support-x", ".tar.gz", func(w io.Writer) error {
			_, err := w.Write([]byte("whole"))
			return err
		})
		_, folder := s.CreateFolder(ctx, "assaygate-export-x", func(path string) error {
			return os.WriteFile(filepath.Join(path, "file"), []byte("whole"), 0o600)
		})
		replaced := s.Replace(ctx, ConfigName, []byte("without"))
		removed := s.Remove(ctx, PasswordName)
		err := errors.Join(created, folder, replaced, removed)
		if err != nil {
			return Outcome{Errors: []string{err.Error()}}
		}
		return Outcome{}
	}
}

// TestPulledAtAnyMoment pulls the stick before each step that touches it, and
// another time lets each step fail. Whatever happens, no file has its name
// before it is whole, and the next stick is dealt with.
func TestPulledAtAnyMoment(t *testing.T) {
	for _, pull := range []bool{true, false} {
		for n := 1; ; n++ {
			if !pulledAt(t, n, pull) {
				if n < 20 {
					t.Errorf("only %d steps were seen", n)
				}
				break
			}
		}
	}
}

// pulledAt reports whether there was an nth step.
func pulledAt(t *testing.T, n int, pull bool) (reached bool) {
	within(t, func(t *testing.T, b *box) {
		stick := b.Directory
		away := stick + ".away"
		put(t, stick, ConfigName, "password")
		put(t, stick, PasswordName, "secret")
		b.config = everything(t.Context(), b)
		step := 0
		b.step = func(what string) error {
			if step++; step != n {
				return nil
			}
			reached = true
			if !pull {
				return errors.New("planted: " + what)
			}
			return os.Rename(stick, away)
		}
		b.look(5)
		held := stick
		if reached && pull {
			held = away
		}
		whole := map[string][]string{
			ReportName: {"report 1\r\n", "report 2\r\n"}, ConfigName: {"password", "without"}, PasswordName: {"secret"},
			"assaygate-support-x.tar.gz": {"whole"}, "assaygate-support-x-2.tar.gz": {"whole"}, "assaygate-export-x": nil, "assaygate-export-x-2": nil, temporary: nil,
		}
		for _, name := range entries(t, held) {
			allowed, known := whole[name]
			if allowed == nil && known {
				continue
			}
			data, err := os.ReadFile(filepath.Join(held, name))
			if err != nil || !slices.Contains(allowed, string(data)) {
				t.Errorf("step %d, pull %v: %s holds %q, error %v", n, pull, name, data, err)
			}
		}
		if !reached {
			return
		}
		b.step, b.config, b.calls = func(string) error { return nil }, nil, nil
		if err := errors.Join(os.RemoveAll(stick), os.Mkdir(stick, 0o755)); err != nil {
			t.Fatal(err)
		}
		b.look(3)
		put(t, stick, ConfigName, "the next stick")
		b.look(4)
		b.wantCalls("config")
	})
	return reached
}

func TestNothingIsWrittenToAnotherStick(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, ConfigName, "version: 1")
		b.config = func(s *Session) Outcome {
			if err := errors.Join(os.Rename(b.Directory, b.Directory+".away"), os.Mkdir(b.Directory, 0o755)); err != nil {
				t.Fatal(err)
			}
			put(t, b.Directory, ConfigName, "version: 1")
			if err := s.Replace(t.Context(), ConfigName, []byte("x")); !errors.Is(err, errOther) {
				t.Errorf("error %v", err)
			}
			return Outcome{}
		}
		b.look(2)
		if names := entries(t, b.Directory); !slices.Equal(names, []string{ConfigName}) {
			t.Errorf("the other stick holds %q", names)
		}
	})
}

func TestWritingNeverOverwrites(t *testing.T) {
	within(t, func(t *testing.T, b *box) {
		put(t, b.Directory, ConfigName, "version: 1")
		put(t, b.Directory, "assaygate-support-x.age", "older")
		put(t, b.Directory, "assaygate-export-x/file", "older")
		b.config = func(s *Session) Outcome {
			name, err := s.Create(t.Context(), "assaygate-support-x", ".age", func(io.Writer) error { return nil })
			if err != nil || name != "assaygate-support-x-2.age" {
				t.Errorf("made %s, error %v", name, err)
			}
			name, err = s.CreateFolder(t.Context(), "assaygate-export-x", func(string) error { return nil })
			if err != nil || name != "assaygate-export-x-2" {
				t.Errorf("made %s, error %v", name, err)
			}
			// A person saves while the box is at it.
			put(t, b.Directory, ConfigName, "version: 2")
			if err := s.Replace(t.Context(), ConfigName, []byte("x")); !errors.Is(err, errChanged) {
				t.Errorf("error %v", err)
			}
			if err := s.Remove(t.Context(), ConfigName); !errors.Is(err, errChanged) {
				t.Errorf("error %v", err)
			}
			return Outcome{}
		}
		b.look(3)
		b.wantCalls("config")
	})
}

// TestRun sees a stick through the system's own word of it, in real time.
func TestRun(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "stick")
	b := newBox(t, directory, filepath.Join(t.TempDir(), "memory"))
	taken := make(chan struct{})
	b.Status = func(s Status) {
		if s == Done {
			close(taken)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- Run(ctx, b.Options) }()
	put(t, directory, ConfigName, "version: 1")
	<-taken
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	b.wantCalls("config")
}

// TestTheWatcherWakes shows that a change is seen long before the poll.
func TestTheWatcherWakes(t *testing.T) {
	directory := t.TempDir()
	b := newBox(t, directory, filepath.Join(t.TempDir(), "memory"))
	w := newWatcher(directory, b.Log)
	defer w.close()
	w.refresh()
	put(t, directory, ConfigName, "version: 1")
	events, _ := w.changes()
	<-events
}
