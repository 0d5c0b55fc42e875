package console

import (
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// draftLimit bounds the text of a draft, in bytes. What a form makes of it is
	// three times as long at most.
	draftLimit = 256 << 10
	setupLimit = 3*draftLimit + bodyLimit
	// mostDrafts and draftLife bound what drafts take of the memory.
	mostDrafts = 16
	draftLife  = time.Hour
)

// limitOf is how many bytes a request may have.
func limitOf(r *http.Request) int64 {
	if strings.HasPrefix(r.URL.Path, "/setup/") {
		return setupLimit
	}
	return bodyLimit
}

// drafts are those that wait for their person to say that they are meant. They stay
// here, so that a password that was typed goes back to no browser.
type drafts struct {
	mu   sync.Mutex
	held map[string]heldDraft
}

type heldDraft struct {
	Draft
	who string
	at  time.Time
}

// keep holds a draft for its person, and returns what it is asked for by.
func (d *drafts) keep(draft Draft, who string, now time.Time) (id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.held == nil {
		d.held = map[string]heldDraft{}
	}
	for id, one := range d.held {
		if now.Sub(one.at) > draftLife {
			delete(d.held, id)
		}
	}
	for len(d.held) >= mostDrafts {
		oldest, at := "", now
		for id, one := range d.held {
			if oldest == "" || one.at.Before(at) {
				oldest, at = id, one.at
			}
		}
		delete(d.held, oldest)
	}
	id = rand.Text()
	d.held[id] = heldDraft{draft, who, now}
	return id
}

// of returns the draft, to its person only.
func (d *drafts) of(id, who string, now time.Time) (Draft, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	one, is := d.held[id]
	if !is || one.who != who || now.Sub(one.at) > draftLife {
		return Draft{}, false
	}
	return one.Draft, true
}

// drop forgets a draft.
func (d *drafts) drop(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.held, id)
}
