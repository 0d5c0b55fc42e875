package capture

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// tracing is a Trace in a directory that is not there yet, and what it logs.
type tracing struct {
	*Trace
	t         *testing.T
	directory string
	log       bytes.Buffer
	stop      func() // ends Run, which has then written all
}

func newTracing(t *testing.T) *tracing {
	of := &tracing{t: t, directory: filepath.Join(t.TempDir(), "captures")}
	of.Trace = NewTrace(of.directory, slog.New(slog.NewTextHandler(&of.log, nil)))
	return of
}

// start has what lines say written.
func (of *tracing) start() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		of.Run(ctx)
		close(ended)
	}()
	of.stop = func() {
		stop()
		<-ended
	}
}

// files returns the traces' texts by name.
func (of *tracing) files() map[string]string {
	of.t.Helper()
	found := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(of.directory, "*"+traceSuffix))
	if err != nil {
		of.t.Fatal(err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			of.t.Fatal(err)
		}
		found[filepath.Base(path)] = string(text)
	}
	return found
}

// only returns the text of the one file that there is, without its head.
func (of *tracing) only(name string) string {
	of.t.Helper()
	files := of.files()
	text, found := files[name]
	if !found || len(files) != 1 {
		of.t.Fatalf("there are %q, want %s", files, name)
	}
	head, rest, _ := strings.Cut(text, "\n")
	if !IsTrace([]byte(text)) || !strings.Contains(head, `"<" the instrument sent`) {
		of.t.Errorf("it begins with %q", head)
	}
	return rest
}

func moved(mark Mark, at time.Time, text string) Entry {
	return Entry{At: at, Mark: mark, Pieces: []Piece{{Bytes: []byte(text)}}}
}

func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // its time begins on the first of January 2000
		of := newTracing(t)
		of.start()
		line := of.Open("lan", "[::1]:4711", "a note\nin one line")
		line.Add(moved(Received, time.Now(), "\x05"))
		time.Sleep(1500 * time.Microsecond)
		line.Add(moved(Sent, time.Now(), "\x06"))
		synctest.Wait() // it is written while the line lives
		const name = "20000101T000000.000000Z-lan-___1__4711.wire"
		const first = "# a note_in one line\n2000-01-01T00:00:00.000000Z < <ENQ>\n2000-01-01T00:00:00.001500Z > <ACK>\n"
		if got := of.only(name); got != first {
			t.Errorf("it holds\n%swant\n%s", got, first)
		}
		time.Sleep(time.Second)
		line.Close(time.Now())
		line.Add(moved(Received, time.Now(), "too late"))
		line.Close(time.Now())
		of.Open("lan", "silent").Close(time.Now()) // nothing came: it leaves no file
		of.stop()
		if got, want := of.only(name), first+"2000-01-01T00:00:01.001500Z ! the line ended\n"; got != want {
			t.Errorf("it holds\n%swant\n%s", got, want)
		}
		for path, mode := range map[string]os.FileMode{of.directory: os.ModeDir | 0o700, filepath.Join(of.directory, name): 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode() != mode {
				t.Errorf("%s has mode %s, error %v", path, info.Mode(), err)
			}
		}
		if of.log.Len() > 0 {
			t.Errorf("it logged %s", &of.log)
		}
	})
}

// A disk that takes nothing delays no line: what does not fit into memory is
// left out, and the trace says how much.
func TestTraceOfASlowDisk(t *testing.T) {
	for name, test := range map[string]struct{ line, all int }{"bound of one line": {300, 1 << 20}, "bound of all lines": {1 << 20, 300}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				of := newTracing(t)
				of.most.line, of.most.all = test.line, test.all
				line := of.Open("lan", "slow")
				for range 20 {
					line.Add(moved(Received, time.Now(), strings.Repeat("x", 100)))
				}
				if n := of.held.Load(); n > 300 {
					t.Errorf("%d bytes are held", n)
				}
				of.start() // now it goes on
				synctest.Wait()
				if n := of.held.Load(); n != 0 {
					t.Errorf("%d bytes are held still", n)
				}
				line.Add(moved(Sent, time.Now(), "\x06"))
				synctest.Wait()
				line.Add(moved(Received, time.Now(), strings.Repeat("y", 400))) // never fits
				line.Close(time.Now())
				of.stop()
				entry := "2000-01-01T00:00:00.000000Z "
				want := strings.Repeat(entry+"< "+strings.Repeat("x", 100)+"\n", 2) +
					entry + "! 1800 bytes left out: they could not be written in time\n" + entry + "> <ACK>\n" +
					entry + "! 400 bytes left out: they could not be written in time\n" + entry + "! the line ended\n"
				if got := of.only("20000101T000000.000000Z-lan-slow.wire"); got != want {
					t.Errorf("it holds\n%swant\n%s", got, want)
				}
				if n := of.held.Load(); n != 0 {
					t.Errorf("%d bytes are held at the end", n)
				}
			})
		})
	}
}

// A disk that fails is said once; a line tries again after a minute, in a new
// file that tells what is missing.
func TestTraceOfAFailingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := newTracing(t)
		if err := os.WriteFile(of.directory, nil, 0o600); err != nil { // no directory can be made there
			t.Fatal(err)
		}
		of.start()
		one, other := of.Open("lan", "one"), of.Open("lan", "other")
		for range 3 {
			one.Add(moved(Received, time.Now(), "12345"))
			other.Add(moved(Received, time.Now(), "1"))
			synctest.Wait()
			time.Sleep(10 * time.Second)
		}
		if n := strings.Count(of.log.String(), "\n"); n != 1 || !strings.Contains(of.log.String(), "the lines go on without") {
			t.Errorf("it logged\n%s", &of.log)
		}
		other.Close(time.Now()) // while nothing can be written
		synctest.Wait()
		if err := os.Remove(of.directory); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		one.Add(moved(Received, time.Now(), "67"))
		one.Close(time.Now())
		of.stop()
		want := "2000-01-01T00:01:30.000000Z ! 15 bytes left out: they could not be written in time\n" +
			"2000-01-01T00:01:30.000000Z < 67\n2000-01-01T00:01:30.000000Z ! the line ended\n"
		if got := of.only("20000101T000130.000000Z-lan-one.wire"); got != want {
			t.Errorf("it holds\n%swant\n%s", got, want)
		}
		if n := strings.Count(of.log.String(), "\n"); n != 2 || !strings.Contains(of.log.String(), "written again") {
			t.Errorf("it logged\n%s", &of.log)
		}
	})
}

// A long trace goes on in another file, and the oldest files make room.
func TestTraceIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := newTracing(t)
		of.most.file, of.most.directory = 8<<10, 40<<10
		if err := os.Mkdir(of.directory, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"20250101T000000.000000Z-lan-old.wire", "20250101T000000.000000Z-lan-1.astm", "my-notes.wire"} {
			if err := os.WriteFile(filepath.Join(of.directory, name), make([]byte, 5<<10), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		of.start()
		idle, line := of.Open("lan", "idle"), of.Open("lan", "busy")
		idle.Add(moved(Received, time.Now(), "begin"))
		synctest.Wait()
		for i := range 200 {
			time.Sleep(time.Second)
			line.Add(moved(Received, time.Now(), fmt.Sprint("entry ", i, " ", strings.Repeat("x", 500))))
			synctest.Wait()
		}
		idle.Add(moved(Received, time.Now(), "end")) // its first file was the oldest
		of.stop()
		total, newest, rotated := int64(0), "", 0
		for name, text := range of.files() {
			if name == "my-notes.wire" {
				continue
			}
			total += (&traceFile{size: int64(len(text))}).takes()
			if len(text) > 9<<10 {
				t.Errorf("%s has %d bytes", name, len(text))
			}
			if strings.Contains(text, "! goes on in the line's next file\n") {
				rotated++
			}
			newest = max(newest, name)
			if strings.Contains(name, "old") || strings.Contains(text, "begin") {
				t.Errorf("%s is still there", name)
			}
		}
		if total > of.most.directory || total < of.most.directory/2 || rotated < 2 {
			t.Errorf("they take %d bytes, and %d go on", total, rotated)
		}
		if text := of.files()[newest]; !strings.Contains(newest, "idle") || !strings.Contains(text, "< end\n") {
			t.Errorf("the newest is %s: %s", newest, text)
		}
		entries, err := os.ReadDir(of.directory)
		if err != nil || len(entries) != len(of.files())+1 {
			t.Errorf("a file that is no trace was removed: %v, %v", entries, err)
		}
	})
}

// A clock that was set back gives no file the name of another.
func TestTraceOfASecondWithTheSameTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		of := newTracing(t)
		of.start()
		for i := range 3 {
			line := of.Open("lan", "x")
			line.Add(moved(Received, time.Now(), fmt.Sprint(i)))
			line.Close(time.Now())
			synctest.Wait()
			if line.open != nil {
				t.Error("a line that has ended holds its file open")
			}
		}
		of.stop()
		for i, name := range []string{"20000101T000000.000000Z-lan-x.wire", "20000101T000000.000001Z-lan-x.wire", "20000101T000000.000002Z-lan-x.wire"} {
			if text := of.files()[name]; !strings.Contains(text, fmt.Sprint("< ", i, "\n")) {
				t.Errorf("%s holds %q", name, text)
			}
		}
	})
}
