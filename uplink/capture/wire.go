package capture

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Trace writes what goes over lines into files of one directory: both
// directions, with times, as [Entry] says; one file for each line that is
// opened, and a new one where it grows long. It is for a technician, so it may
// lose what messages may not: nothing is synced, what a slow disk cannot take is
// left out and said to be, and the oldest files are removed.
//
// What a line says is put into memory and never waits; [Trace.Run] writes it.
type Trace struct {
	directory string
	log       *slog.Logger
	most      bounds
	wake      chan struct{}
	held      atomic.Int64 // bytes of entries not yet written

	mu    sync.Mutex
	dirty []*Line // with something to write
	over  bool    // Run has ended

	// Of Run alone.
	files   []*traceFile // oldest first
	total   int64        // bytes that they take
	failing bool         // the last write failed, and that was said
}

// bounds keep traces from taking what messages need.
type bounds struct {
	line, all       int // bytes in memory, of one line and of all
	file, directory int64
}

const (
	// traceSuffix is how the name of a trace ends.
	traceSuffix = ".wire"
	// tryAgain is how long after a failed write a line begins a new file.
	tryAgain = time.Minute
	// block is what a file takes of a disk at the least.
	block = 4 << 10
)

// NewTrace returns the traces of a directory. It touches nothing; the directory
// is made with the first file.
func NewTrace(directory string, log *slog.Logger) *Trace {
	return &Trace{
		directory: filepath.Clean(directory), log: log, wake: make(chan struct{}, 1),
		most: bounds{line: 512 << 10, all: 8 << 20, file: 16 << 20, directory: 256 << 20},
	}
}

// Line is the trace of one opening of a line. Its methods may be called from any
// goroutine and never wait for the disk.
type Line struct {
	trace *Trace
	name  string // of its files, behind the time
	head  string // its files' first lines

	mu      sync.Mutex
	text    []byte    // entries not yet written
	first   time.Time // of them
	carried int       // bytes of the line in them
	left    int       // bytes of the line left out since the last entry
	until   time.Time // nothing is taken before: a write failed
	used    bool
	queued  bool
	ended   bool

	open *traceFile // of Run alone
}

// Open begins the trace of a line: the configured name of its instrument and the
// address of its peer or the name of its port. Notes stand in the head of its
// files. A file appears with the first entry: a connection over which nothing
// comes leaves none. The caller ends it with [Line.Close].
func (t *Trace) Open(instrument, remote string, notes ...string) *Line {
	head := traceHead + " of " + printable(instrument) + ", " + printable(remote) + traceHelp
	for _, note := range notes {
		head += "# " + printable(note) + "\n"
	}
	return &Line{trace: t, name: safe(instrument) + "-" + safe(remote) + traceSuffix, head: head}
}

// printable replaces what would end a line.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '_'
		}
		return r
	}, text)
}

// Add takes one entry; it copies what it needs.
func (l *Line) Add(e Entry) {
	moved := 0
	for _, p := range e.Pieces {
		moved += len(p.Bytes) + p.Hidden
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.used = true
	before := len(l.text)
	if !e.At.Before(l.until) {
		l.remarkLeft(e.At)
		l.text = AppendEntry(l.text, e)
	}
	switch added := len(l.text) - before; {
	case added > 0 && len(l.text) <= l.trace.most.line && l.trace.reserve(added):
		if before == 0 {
			l.first = e.At
		}
		l.left = 0
		l.carried += moved
		l.queue()
	default:
		l.text = l.text[:before]
		l.left += moved
	}
}

// Close says that the line has ended; what was added is still written.
func (l *Line) Close(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return
	}
	l.ended = true
	if !l.used {
		return
	}
	before := len(l.text)
	if before == 0 {
		l.first = at
	}
	l.remarkLeft(at)
	l.remark(at, "the line ended")
	l.trace.held.Add(int64(len(l.text) - before)) // a few bytes: without asking
	l.queue()
}

// remark puts a remark behind the entries so far. The caller holds the lock.
func (l *Line) remark(at time.Time, note string) {
	l.text = AppendEntry(l.text, Entry{At: at, Mark: Remark, Note: note})
}

// remarkLeft says how much is missing before what comes next, if anything is. The
// caller holds the lock.
func (l *Line) remarkLeft(at time.Time) {
	if l.left > 0 {
		l.remark(at, fmt.Sprintf("%d bytes left out: they could not be written in time", l.left))
	}
}

// reserve reports whether there is room in memory for n more bytes.
func (t *Trace) reserve(n int) bool {
	if t.held.Add(int64(n)) <= int64(t.most.all) {
		return true
	}
	t.held.Add(-int64(n))
	return false
}

// queue hands the line to Run. The caller holds the line's lock.
func (l *Line) queue() {
	if l.queued {
		return
	}
	t := l.trace
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.over {
		return
	}
	l.queued = true
	t.dirty = append(t.dirty, l)
	select {
	case t.wake <- struct{}{}:
	default: // it is awake
	}
}

// Run writes until ctx ends, and then what there is. A disk that does not work
// is said once, and again only after it has worked.
func (t *Trace) Run(ctx context.Context) {
	t.find()
	for {
		select {
		case <-t.wake:
			t.flush()
			continue
		case <-ctx.Done():
		}
		t.mu.Lock()
		t.over = true
		t.mu.Unlock()
		t.flush()
		for _, f := range t.files {
			f.close()
		}
		return
	}
}

func (t *Trace) flush() {
	t.mu.Lock()
	lines := t.dirty
	t.dirty = nil
	t.mu.Unlock()
	for _, l := range lines {
		t.flushLine(l)
	}
}

func (t *Trace) flushLine(l *Line) {
	l.mu.Lock()
	text, first, carried, ended := l.text, l.first, l.carried, l.ended
	l.text, l.carried, l.queued = nil, 0, false
	l.mu.Unlock()
	defer t.held.Add(-int64(len(text)))
	err := t.write(l, first, text)
	switch {
	case err != nil:
		if !t.failing {
			t.log.Warn("wire traces cannot be written; the lines go on without", "error", err)
		}
		t.failing = true
		l.open.close()
		l.mu.Lock()
		l.left += carried
		l.until = time.Now().Add(tryAgain)
		l.mu.Unlock()
	case t.failing:
		t.failing = false
		t.log.Info("wire traces are written again", "directory", t.directory)
	}
	if ended {
		l.open.close()
	}
}

// write appends entries to the line's file, or to a new one where that is long.
func (t *Trace) write(l *Line, first time.Time, text []byte) error {
	if l.open != nil && l.open.size+int64(len(text)) > t.most.file {
		if err := t.append(l.open, AppendEntry(nil, Entry{At: first, Mark: Remark, Note: "goes on in the line's next file"})); err != nil {
			return err
		}
		l.open.close()
	}
	if l.open == nil {
		if err := t.create(l, first); err != nil {
			return err
		}
	}
	return t.append(l.open, text)
}

// traceFile is a trace on the disk.
type traceFile struct {
	path string
	size int64
	file *os.File // nil where it is closed
	line *Line    // whose it is while it is open
}

// takes is the room that it needs on the disk.
func (f *traceFile) takes() int64 { return (f.size + block - 1) / block * block }

// close ends a file, if there is one that is open. Nothing of it was to be
// durable, so nothing can be lost.
func (f *traceFile) close() {
	if f == nil || f.file == nil {
		return
	}
	_ = f.file.Close()
	f.file, f.line.open, f.line = nil, nil, nil
}

// append writes to the end of an open file. What could be written in part only
// is taken back.
func (t *Trace) append(f *traceFile, text []byte) error {
	t.makeRoom(f, int64(len(text)))
	before := f.takes()
	if _, err := f.file.Write(text); err != nil {
		return errors.Join(err, f.file.Truncate(f.size))
	}
	f.size += int64(len(text))
	t.total += f.takes() - before
	return nil
}

// create begins a file of the line. Where the clock was set back there may be one
// of that name.
func (t *Trace) create(l *Line, at time.Time) error {
	for {
		path := filepath.Join(t.directory, at.UTC().Format(timeFormat)+"-"+l.name)
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, fileMode)
		switch {
		case errors.Is(err, fs.ErrExist):
			at = at.Add(time.Microsecond)
			continue
		case errors.Is(err, fs.ErrNotExist):
			if err := makeDirectory(t.directory); err != nil {
				return err
			}
			file, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, fileMode)
		}
		if err != nil {
			return err
		}
		f := &traceFile{path: path, file: file, line: l}
		if err := t.append(f, []byte(l.head)); err != nil {
			return errors.Join(err, file.Close(), os.Remove(path)) // a full disk needs the room
		}
		l.open, t.files = f, append(t.files, f)
		return nil
	}
}

var traceName = regexp.MustCompile(`^\d{8}T\d{6}\.\d{6}Z-.*\.wire$`)

// find counts the traces of earlier runs.
func (t *Trace) find() {
	entries, err := os.ReadDir(t.directory)
	if err != nil {
		return // it is made with the first file, or the first file says why not
	}
	for _, entry := range entries { // in the order of their names, which is that of time
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || !traceName.MatchString(entry.Name()) {
			continue
		}
		f := &traceFile{path: filepath.Join(t.directory, entry.Name()), size: info.Size()}
		t.files = append(t.files, f)
		t.total += f.takes()
	}
}

// makeRoom removes the oldest files until n more bytes fit beside the one that
// stays. The order is that in which they were made, for a clock that is not set
// yet gives new files old names. A line whose file is removed begins another.
func (t *Trace) makeRoom(stays *traceFile, n int64) {
	for i := 0; i < len(t.files) && t.total+n > t.most.directory; {
		f := t.files[i]
		if f == stays {
			i++
			continue
		}
		f.close()
		if err := os.Remove(f.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.log.Warn("an old wire trace cannot be removed", "error", err)
		}
		t.total -= f.takes()
		t.files = slices.Delete(t.files, i, i+1)
	}
}
