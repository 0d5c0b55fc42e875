package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// keptErrorsFile is where a box keeps errors.
const keptErrorsFile = "/data/log/errors.log"

// journal reads the newest lines that the gateway's units have logged. Our log
// never holds what a message says.
func journal(ctx context.Context) ([]byte, error) {
	program, err := exec.LookPath("journalctl")
	if err != nil {
		return nil, errors.New("there is no journalctl on this machine; add the gateway's log by hand")
	}
	command := exec.CommandContext(ctx, program, "--unit", "assaygate.service", "--unit", "assaygate-apply.service", "--unit", "assaygate-data.service", "--unit", "assaygate-slot.service",
		"--lines", "20000", "--no-pager", "--quiet", "--output", "short-iso-precise")
	newest := &tail{most: maxSupportPart}
	var complaint bytes.Buffer
	command.Stdout, command.Stderr, command.WaitDelay = newest, &complaint, time.Second
	if err := command.Run(); err != nil {
		return nil, fmt.Errorf("the journal cannot be read: %w: %s", err, firstLine(complaint.String()))
	}
	if text := newest.lines(); bytes.Contains(text, []byte("\n")) && !bytes.HasPrefix(text, []byte("-- No entries --")) {
		return text, nil
	}
	return nil, errors.New("the journal shows no lines of the gateway's units to this user; try as root")
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// recentLog keeps the newest lines of this process, for a support bundle where
// the journal cannot be read: in the gateway's sandbox, or where there is none.
type recentLog struct {
	mu     sync.Mutex
	newest tail
}

// maxRecent is how much of it is kept, in bytes of memory.
const maxRecent = 256 << 10

func newRecentLog() *recentLog { return &recentLog{newest: tail{most: maxRecent}} }

// Write implements io.Writer.
func (r *recentLog) Write(data []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest.Write(data)
}

// beside is a writer that writes to both.
func (r *recentLog) beside(to io.Writer) io.Writer { return io.MultiWriter(to, r) }

// read returns the journal, or else what is kept here.
func (r *recentLog) read(ctx context.Context) ([]byte, error) {
	text, err := journal(ctx)
	if err == nil || r == nil {
		return text, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Appendf(nil, "The newest lines of this process only: %v\n\n%s", err, r.newest.lines()), nil
}

// tail keeps the end of what is written to it.
type tail struct {
	most int
	kept []byte
	cut  bool
}

// Write implements io.Writer.
func (t *tail) Write(data []byte) (int, error) {
	t.kept = append(t.kept, data...)
	if over := len(t.kept) - t.most; over > t.most {
		t.kept, t.cut = append(t.kept[:0], t.kept[over:]...), true
	}
	return len(data), nil
}

// lines are the newest whole lines that fit.
func (t *tail) lines() []byte {
	kept, cut := t.kept, t.cut
	if over := len(kept) - t.most; over > 0 {
		kept, cut = kept[over:], true
	}
	if cut {
		_, kept, _ = bytes.Cut(kept, []byte("\n"))
	}
	return kept
}

// keptErrors is what keep-errors has kept of the journal on the card of a box, over
// its starts.
func keptErrors(context.Context) ([]byte, error) {
	var all []byte
	for _, name := range []string{keptErrorsFile + ".1", keptErrorsFile} {
		text, err := readBounded(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		all = append(all, text...)
	}
	return all, nil
}
