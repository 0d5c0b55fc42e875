package main

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/envelope/spool"
)

// lostStore says that a gateway ended because of its store.
type lostStore struct{ error }

// Unwrap returns why.
func (l lostStore) Unwrap() error { return l.error }

// errGone is why a store is not opened that was there before: a card that is not
// mounted leaves an empty directory, and a new store in that would be hidden with
// all it has acknowledged as soon as the card is back.
var errGone = errors.New("the store that was in it is gone; is its file system mounted?")

// standing is what is known of the store beside the gateway that has it.
type standing struct {
	mu      sync.Mutex
	gateway *gateway // nil while the store is closed
	seen    string   // the directory in which there was a store
	away    error    // why it is closed; nil in the short time before that is known
	cause   string   // of that: see unready
	since   time.Time
}

// expect refuses to make a new store where there was one.
func (s *standing) expect(directory string) error {
	exists := spool.Exists(directory)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen == directory && !exists {
		return fmt.Errorf("opening the store in %s: %w", directory, errGone)
	}
	if exists {
		s.seen = directory
	}
	return nil
}

func (s *standing) opened(g *gateway) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away != nil {
		g.log.Info("the store is open again", "after", time.Since(s.since).Round(time.Second).String())
	}
	s.gateway, s.seen, s.away = g, g.config().Spool.Directory, nil
}

// closed notes that the store is closed for a while.
func (s *standing) closed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gateway = nil
}

// lose notes why the store is closed. It reports whether that is news.
func (s *standing) lose(why error, cause string) (news bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away == nil {
		s.since = time.Now()
	}
	news = s.away == nil || s.away.Error() != why.Error()
	s.gateway, s.away, s.cause = nil, why, cause
	return news
}

// whose is the cause for which it is closed.
func (s *standing) whose() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.away == nil {
		return causeStarting
	}
	return s.cause
}

// now returns the gateway that has the store, or why there is none.
func (s *standing) now() (*gateway, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gateway == nil && s.away == nil {
		return nil, errAsked
	}
	return s.gateway, s.away
}

// lose says why there is no store now. It is tried again, so only what has
// changed is said.
func (d *daemon) lose(why error) {
	fault := spool.FaultOf(why)
	if fault != "" && d.card().ReadOnly {
		fault = spool.CardReadOnly
	}
	state := d.dataState()
	text := strings.ReplaceAll(why.Error(), "\n", "; ")
	if broken := state.Broken(); broken != nil {
		text = broken.Error()
	}
	if d.standing.lose(errors.New("the store is closed, nothing is acknowledged: "+text), storeCause(why)) {
		d.log.Error("the store is closed: nothing is acknowledged, nothing delivered; trying to open it again without end",
			"directory", d.config().Spool.Directory, "error", text, "remedy", storeRemedy(fault, state))
	}
}

// storeRemedy is what a person can do about a store that is closed: on a box, with
// what root does at its start.
func storeRemedy(fault spool.Fault, state board.DataState) string {
	switch {
	case state.Broken() != nil:
		return "docs/recovery.md"
	case state.State != "" && (fault == spool.CardReadOnly || fault == spool.CardBroken):
		return "switch the box off and on: its card is checked then; docs/recovery.md"
	}
	switch fault {
	case spool.CardFull:
		return "make room on its file system"
	case spool.CardReadOnly:
		return "its file system is read-only: unmount it, check it with fsck and mount it again, or replace the card"
	case spool.CardBroken:
		return "the card or its connection fails: look at the kernel's log; copy what can be read to a new card"
	case spool.CardCorrupt:
		return "keep its files: they hold what was acknowledged; check the file system with fsck and a copy of the store with assaygate spool verify; to go on, move the directory away, and import the newest export if there is one"
	}
	return "see the error"
}

// storeTrouble is why nothing, or not everything, can be stored now; nil where
// it can. It is asked at each request for /readyz and each scrape.
func (d *daemon) storeTrouble() error {
	_, trouble := d.storeState()
	return trouble
}

// storeState is storeTrouble with its cause: see unready.
func (d *daemon) storeState() (cause string, trouble error) {
	if broken := d.brokenData(); broken != nil {
		return causeCard, broken
	}
	g, away := d.standing.now()
	if g == nil {
		return d.standing.whose(), away
	}
	if err := g.store.Err(); err != nil {
		return storeCause(err), fmt.Errorf("the store has failed: %w", err)
	}
	if d.card().ReadOnly {
		return causeCard, fmt.Errorf("the file system of %s is read-only", d.config().Spool.Directory)
	}
	if err := g.store.Room(); err != nil {
		return storeCause(err), err
	}
	if err := d.metrics.refusal(); err != nil {
		return storeCause(err), fmt.Errorf("the last message could not be stored: %w", err)
	}
	return "", nil
}
