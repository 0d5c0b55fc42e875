package console

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// noteLogin writes into the audit that somebody came or went. Where there is no
// store it goes to the log: a person needs the console most when the card fails.
func (c *Console) noteLogin(r *http.Request, what spool.Act, who, detail string) {
	store, err := c.options.Store()
	if err == nil {
		// A logout has just ended what the request's own context belongs to.
		err = store.Note(context.WithoutCancel(r.Context()), spool.Note{What: what, Who: who, Detail: detail})
	}
	if err != nil {
		c.options.Log.Warn(string(what), "who", who, "detail", detail, "not_in_the_audit", err)
	}
}

// noteRefused notes a failed login, as long as there are not too many: each takes
// the card a row. What was typed for a name that is nobody's may be a password.
func (c *Console) noteRefused(r *http.Request, user string, known bool, why error) {
	more, ok := c.failed.count(time.Now())
	if !ok {
		return
	}
	detail := "an unknown user name"
	if known {
		detail = "as " + user
	}
	detail += fmt.Sprintf(", from %s: %v", remote(r), why)
	if more > 0 {
		detail += fmt.Sprintf("; and %d more before", more)
	}
	c.noteLogin(r, spool.LoginRefused, "somebody", detail)
}

// refusedNotes bounds how many rows a minute failed logins make.
type refusedNotes struct {
	mu      sync.Mutex
	since   time.Time
	noted   int
	skipped int // since the last that was noted
}

const mostRefusedNotes = 6

// count counts one, and reports whether it is to be noted, and how many before it
// were not.
func (n *refusedNotes) count(now time.Time) (more int, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if now.Sub(n.since) >= time.Minute {
		n.since, n.noted = now, 0
	}
	if n.noted >= mostRefusedNotes {
		n.skipped++
		return 0, false
	}
	n.noted++
	more, n.skipped = n.skipped, 0
	return more, true
}
