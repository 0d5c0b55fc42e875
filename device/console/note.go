package console

import (
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// note writes into the audit what the person does. What cannot be written must
// not be done: the caller gives up on an error.
func (c *Console) note(r *http.Request, what spool.Act, sequence uint64, detail string) error {
	store, err := c.options.Store()
	if err != nil {
		return err
	}
	who := c.who(r).Name
	if who == "" {
		return errEnded
	}
	return store.Note(r.Context(), spool.Note{What: what, Sequence: sequence, Who: who, Detail: detail})
}

// errEnded is why nothing is done for a person whose session ended meanwhile.
var errEnded = fmt.Errorf("%w: your session has ended", spool.ErrRefused)

// noteOnce is note for what a person looks at again and again: one row for ten
// minutes.
func (c *Console) noteOnce(r *http.Request, what spool.Act, sequence uint64, detail string) error {
	view := seen{c.who(r).Name, what, sequence, detail}
	if c.noted.lately(view, time.Now()) {
		return nil
	}
	if err := c.note(r, what, sequence, detail); err != nil {
		return err
	}
	c.noted.add(view, time.Now())
	return nil
}

// seen is one view of one person.
type seen struct {
	who      string
	what     spool.Act
	sequence uint64
	detail   string
}

// noted are the views of the last minutes that the audit has.
type noted struct {
	mu   sync.Mutex
	last map[seen]time.Time
}

const (
	noteAgain = 10 * time.Minute
	mostNoted = 1000
)

func (n *noted) lately(view seen, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	at, known := n.last[view]
	return known && now.Sub(at) < noteAgain
}

func (n *noted) add(view seen, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last == nil || len(n.last) >= mostNoted {
		n.last = map[seen]time.Time{} // a view is then noted twice
	}
	n.last[view] = now
}
