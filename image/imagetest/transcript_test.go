package imagetest

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"time"
)

// transcript is all that a box has written to one of its channels. What it waits for need not end in a line feed, for a
// prompt has none.
type transcript struct {
	name string
	copy io.Writer // where people read it afterwards

	mu      sync.Mutex
	text    []byte
	ended   bool
	changed chan struct{} // closed and made anew with each change
}

func newTranscript(name string, to io.Writer) *transcript {
	return &transcript{name: name, copy: to, changed: make(chan struct{})}
}

// follow takes in what comes, until there is no more.
func (s *transcript) follow(from io.Reader) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		s.mu.Lock()
		s.text = append(s.text, buffer[:n]...)
		s.ended = err != nil
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
		_, _ = s.copy.Write(buffer[:n]) // for people only
		if err != nil {
			return
		}
	}
}

// end is the place up to which something was written.
func (s *transcript) end() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.text)
}

func (s *transcript) since(place int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.text[place:])
}

// wait waits until the pattern is there, behind the given place, and returns its submatches and the place behind it.
func (s *transcript) wait(within time.Duration, from int, pattern string) (match []string, next int, err error) {
	is := regexp.MustCompile(pattern)
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	for {
		s.mu.Lock()
		text, ended, changed := s.text[from:], s.ended, s.changed
		if at := is.FindSubmatchIndex(text); at != nil {
			for i := 0; i < len(at); i += 2 {
				part := ""
				if at[i] >= 0 {
					part = string(text[at[i]:at[i+1]])
				}
				match = append(match, part)
			}
			s.mu.Unlock()
			return match, from + at[1], nil
		}
		s.mu.Unlock()
		if ended {
			return nil, from, fmt.Errorf("%s ended without %q; its end is:\n%s", s.name, pattern, tail(string(text)))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, from, fmt.Errorf("no %q on %s within %v; its end is:\n%s", pattern, s.name, within, tail(string(text)))
		}
	}
}

// tail is the end of a text, as much as fits into an error.
func tail(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\r\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
