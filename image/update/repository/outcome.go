package repository

import (
	"fmt"
	"strings"
)

// Outcome is what a change has come to.
type Outcome struct {
	// Signed are the roles that got signatures of people's keys.
	Signed []string
	// Published are the files of metadata that were written, in their order.
	Published []string
	// Missing is what the change still waits for: empty where all is published.
	Missing []Missing
	// Notes are for the person who made the change.
	Notes []string
}

// Missing are signatures of one role.
type Missing struct {
	Role       string
	Old        bool // of the keys that boxes know so far, who must agree to new ones
	Have, Need int
	Keys       []string // the names of the keys that could give what is missing
}

// String names the role and the keys.
func (m Missing) String() string {
	of := ""
	if m.Old {
		of = " of the old keys"
	}
	return fmt.Sprintf("%s: %d of %d signatures%s; missing %d of %s", m.Role, m.Have, m.Need, of, m.Need-m.Have, strings.Join(m.Keys, ", "))
}

// MissingError says that none of the keys at hand can sign what a command asks for.
type MissingError struct {
	Missing []Missing
	Dirs    []string // where keys were looked for
	Passed  []string // files there that are no such keys, with the reason
}

func (e *MissingError) Error() string {
	var lines []string
	for _, m := range e.Missing {
		lines = append(lines, m.String())
	}
	text := fmt.Sprintf("no key in %s can sign this: %s: name the directory that has one with --keys",
		strings.Join(e.Dirs, ", "), strings.Join(lines, "; "))
	if len(e.Passed) > 0 {
		text += " (passed over: " + strings.Join(e.Passed, "; ") + ")"
	}
	return text
}
