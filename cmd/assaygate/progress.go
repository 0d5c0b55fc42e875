package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// How often a person is told how far long work has come.
const (
	redrawAfter = 200 * time.Millisecond // on a terminal
	// Elsewhere a line is kept, in a log or a mail: quick work writes none, and
	// long work one for every tenth of it, or after half a minute.
	firstLineAfter = 5 * time.Second
	nextLineAfter  = 30 * time.Second
)

// progress tells a person how far long work has come: on a terminal in one line
// that is drawn again and again, elsewhere in lines of their own, but few.
type progress struct {
	to       io.Writer
	terminal bool
	began    time.Time // of this part of the work
	last     time.Time
	tenth    uint64
	drawn    int // width of what stands on the terminal's line
}

func newProgress(to io.Writer) *progress {
	return &progress{to: to, terminal: isTerminal(to)}
}

// isTerminal reports whether a person may be looking. /dev/null passes for a
// terminal too, which does no harm.
func isTerminal(to io.Writer) bool {
	file, is := to.(*os.File)
	if !is {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// of begins a part of the work and returns what is to be told how far that is.
func (p *progress) of(what string) func(done, total uint64) {
	p.end()
	p.began, p.last, p.tenth = time.Now(), time.Time{}, 0
	return func(done, total uint64) { p.step(what, done, total) }
}

// steps is of for work that names its parts itself.
func (p *progress) steps() func(step string, done, total uint64) {
	part := ""
	return func(step string, done, total uint64) {
		if step != part {
			part = step
			p.of(step)
		}
		p.step(step, done, total)
	}
}

func (p *progress) step(what string, done, total uint64) {
	if total == 0 {
		return
	}
	done = min(done, total)
	now, percent := time.Now(), 100*float64(done)/float64(total)
	text := fmt.Sprintf("%s: %.0f%% (%d of %d)", what, percent, done, total)
	if p.terminal {
		if now.Sub(p.last) >= redrawAfter {
			p.last = now
			p.draw(text)
		}
		return
	}
	tenth := uint64(percent / 10)
	if now.Sub(p.began) < firstLineAfter || tenth == p.tenth && now.Sub(later(p.began, p.last)) < nextLineAfter {
		return
	}
	p.last, p.tenth = now, tenth
	fmt.Fprintln(p.to, text)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// draw puts the text on the terminal's line in place of what is there.
func (p *progress) draw(text string) {
	fmt.Fprintf(p.to, "\r%s%s", text, strings.Repeat(" ", max(0, p.drawn-len(text))))
	p.drawn = len(text)
}

// end leaves the terminal's line empty.
func (p *progress) end() {
	if p.drawn > 0 {
		p.draw("")
		fmt.Fprint(p.to, "\r")
	}
	p.drawn = 0
}

// around returns a writer for what is to stand on lines of its own meanwhile.
func (p *progress) around(to io.Writer) io.Writer { return interruption{p, to} }

type interruption struct {
	progress *progress
	to       io.Writer
}

// Write implements [io.Writer].
func (i interruption) Write(text []byte) (int, error) {
	i.progress.end()
	return i.to.Write(text)
}
