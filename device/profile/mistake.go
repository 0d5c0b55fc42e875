package profile

import (
	"fmt"
	"strings"
)

// Mistake is something wrong in the definition of a profile.
type Mistake struct {
	File         string // the file's name
	Line, Column int    // from 1
	Text         string // what is wrong, and what to do
}

// Error implements error.
func (m Mistake) Error() string {
	return fmt.Sprintf("%s:%d:%d: %s", m.File, m.Line, m.Column, m.Text)
}

// Mistakes are all that is wrong in one or more definitions, one a line.
type Mistakes []Mistake

// Error implements error.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}
