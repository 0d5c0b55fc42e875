package uplink

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

const (
	// firstLook is when a delivered message is first looked for. Each further
	// look comes when twice as much time has passed since the delivery.
	firstLook = 5 * time.Second
	// shortestPause is the least time between two looks; after a slow one it is
	// twice as long as that look took. So reading back never has more than one
	// of the destination's threads, and that for a third of the time.
	shortestPause = 250 * time.Millisecond
	// mostWatched bounds the memory: when more messages are to be read back, the
	// younger ones wait.
	mostWatched = 20_000
	// watchPage is how many of them are read from the spool at a time.
	watchPage = 500
	// unreadable is the failed look in a row that is worth a line in the log.
	unreadable = 3
	// missingItems and missingLength bound what is kept of what is missing.
	missingItems, missingLength = 10, 100
)

// ReadBackOptions is what the process gives to [ReadBack].
type ReadBackOptions struct {
	// After is how long after the delivery results may be missing.
	After time.Duration
	// Log is nil for none.
	Log *slog.Logger
	// Progress is called at most 5 s apart, but not when a look is stuck. May be
	// nil.
	Progress func()
}

// ReadBack looks whether the results of delivered messages stand at the
// destination until ctx ends, and then returns nil; it also returns nil when the
// account may not read there. Any other end is an error: the spool is closed. It
// runs beside [Run] and never holds it up.
//
// A message is looked for 5 s after its delivery and then at intervals that
// grow, the last time when the time limit has passed. It is confirmed once its
// results stand there, and unconfirmed when they do not at that last look. A
// look that finds nothing out is no verdict: it is repeated with the back-off of
// deliveries. There is one look at a time, at most four in a second; after an
// outage the oldest messages come first.
func ReadBack(ctx context.Context, q *spool.Spool, destination string, from Confirmer, o ReadBackOptions) error {
	r := &reader{
		patience: newPatience(o.Log, o.Progress, destination),
		spool:    q, destination: destination, from: from, after: o.After,
	}
	return ended(ctx, r.run(ctx))
}

// reader is one ReadBack.
type reader struct {
	patience
	spool       *spool.Spool
	destination string
	from        Confirmer
	after       time.Duration

	watched   map[uint64]*watch
	listed    time.Time // when watched is to be brought up to date
	notBefore time.Time // the next look
	failures  int       // looks in a row that found nothing out
}

// watch is a delivered message that is to be read back.
type watch struct {
	sequence  uint64
	delivered time.Time // as far as known; at the latest when it was first seen
	next      time.Time
	failures  int // looks in a row that found nothing out
}

func (r *reader) run(ctx context.Context) error {
	for ctx.Err() == nil {
		r.progress()
		now := time.Now()
		if !now.Before(r.listed) {
			if err := r.list(ctx, now); err != nil {
				return err
			}
			r.listed = now.Add(firstLook * time.Duration(1+len(r.watched)/1000))
		}
		wake := r.listed
		w := r.oldest()
		if w != nil && w.next.Before(wake) {
			wake = w.next
		}
		if wake.Before(r.notBefore) {
			wake = r.notBefore
		}
		if w == nil || wake.After(now) {
			r.wait(ctx, nil, wake)
			continue
		}
		err := r.look(ctx, w)
		if errors.Is(err, ErrMayNotRead) {
			return r.giveUp(ctx)
		}
		if err != nil {
			return err
		}
		end := time.Now()
		r.notBefore = end.Add(max(shortestPause, 2*end.Sub(now)))
		if r.failures > 0 {
			r.notBefore = end.Add(backOff(r.failures))
		}
	}
	return nil
}

// list brings what is watched in line with the spool.
func (r *reader) list(ctx context.Context, now time.Time) error {
	watched := make(map[uint64]*watch)
	for after := uint64(0); len(watched) < mostWatched; {
		var page []spool.Awaiting
		err := r.insist(ctx, "reading what is to be confirmed", func(ctx context.Context) (err error) {
			page, err = r.spool.Awaiting(ctx, r.destination, after, watchPage)
			return err
		})
		if err != nil {
			return err
		}
		for _, a := range page {
			after = a.Sequence
			w := r.watched[a.Sequence]
			if w == nil {
				// From here on the time of this process counts, which no
				// setting of the clock moves.
				delivered := now.Add(-a.Since)
				w = &watch{sequence: a.Sequence, delivered: delivered, next: delivered.Add(min(firstLook, r.after))}
			}
			watched[a.Sequence] = w
		}
		if len(page) < watchPage {
			break
		}
	}
	r.watched = watched
	return nil
}

// oldest returns what is due first, or nil.
func (r *reader) oldest() (first *watch) {
	for _, w := range r.watched {
		if first == nil || w.next.Before(first.next) || w.next.Equal(first.next) && w.sequence < first.sequence {
			first = w
		}
	}
	return first
}

// look looks for one message. The error is the spool's or ErrMayNotRead.
func (r *reader) look(ctx context.Context, w *watch) error {
	var entry spool.Entry
	err := r.insist(ctx, "reading a message", func(ctx context.Context) (err error) {
		entry, err = r.spool.Load(ctx, r.destination, w.sequence)
		return err
	})
	gone := errors.Is(err, spool.ErrDamaged) || errors.Is(err, spool.ErrNotFound)
	switch {
	case gone, err == nil && entry.State != spool.Delivered:
		return r.stop(ctx, w)
	case err != nil:
		return err
	}
	since := time.Since(w.delivered)
	var finding Finding
	err = r.attend(ctx, func(ctx context.Context) (err error) {
		finding, err = r.guarded(ctx, entry.Envelope)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, ErrMayNotRead):
		return err
	case err != nil:
		r.nothingFound(w, err)
		return nil
	}
	if r.failures >= unreadable {
		r.log.Info("results can be read back again")
	}
	r.failures, w.failures = 0, 0
	switch {
	case finding.Nothing:
		return r.stop(ctx, w)
	case len(finding.Missing) == 0:
		return r.confirmed(ctx, w, entry, finding.Note)
	case since >= r.after:
		return r.unconfirmed(ctx, w, entry, missing(finding.Missing))
	}
	w.next = w.delivered.Add(min(2*since, r.after))
	return nil
}

// guarded keeps a panic over one message from stopping the gateway.
func (r *reader) guarded(ctx context.Context, e envelope.Envelope) (finding Finding, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.log.Error("reading back panicked", "id", e.ID, "sequence", e.Sequence, "panic", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
			finding, err = Finding{Nothing: true}, nil
		}
	}()
	return r.from.Confirm(ctx, e)
}

// nothingFound puts off a look that came to nothing, and says so once.
func (r *reader) nothingFound(w *watch, err error) {
	w.failures++
	w.next = time.Now().Add(backOff(w.failures))
	if r.failures++; r.failures == unreadable {
		r.log.Warn("results cannot be read back at present; trying on", "error", err)
	}
}

func (r *reader) confirmed(ctx context.Context, w *watch, entry spool.Entry, note string) error {
	delete(r.watched, w.sequence)
	if note != "" && entry.Reason != "" { // possibly repeated
		note = entry.Reason + "; " + note
	}
	err := r.note(ctx, "noting what was read back", func(ctx context.Context) error {
		return r.spool.Confirmed(ctx, r.destination, w.sequence, note)
	})
	if err == nil {
		r.log.Info("results are confirmed", "instrument", entry.Envelope.Instrument, "id", entry.Envelope.ID,
			"sequence", w.sequence, "outcome", string(spool.Confirmed))
	}
	return err
}

func (r *reader) unconfirmed(ctx context.Context, w *watch, entry spool.Entry, missing string) error {
	delete(r.watched, w.sequence)
	err := r.note(ctx, "noting what was read back", func(ctx context.Context) error {
		return r.spool.Unconfirmed(ctx, r.destination, w.sequence, missing)
	})
	if err == nil {
		r.log.Warn("results that were delivered are missing: see `assaygate spool show`", "instrument", entry.Envelope.Instrument,
			"id", entry.Envelope.ID, "sequence", w.sequence, "outcome", string(spool.Unconfirmed), "error", missing)
	}
	return err
}

// stop leaves the message delivered.
func (r *reader) stop(ctx context.Context, w *watch) error {
	delete(r.watched, w.sequence)
	return r.note(ctx, "giving up reading back", func(ctx context.Context) error {
		return r.spool.StopConfirming(ctx, r.destination, w.sequence)
	})
}

// giveUp leaves all messages delivered, now and until the next start.
func (r *reader) giveUp(ctx context.Context) error {
	why := ErrMayNotRead.Error()
	r.log.Warn("results are not read back until the next start: messages stay delivered, which means received", "error", why)
	return r.note(ctx, "giving up reading back", func(ctx context.Context) error {
		return r.spool.ConfirmNothing(ctx, r.destination, why)
	})
}

// missing is what a person reads, bounded.
func missing(list []string) string {
	var kept []string
	for _, item := range list[:min(len(list), missingItems)] {
		if len(item) > missingLength {
			item = strings.ToValidUTF8(item[:missingLength], "") + "..."
		}
		kept = append(kept, item)
	}
	text := strings.Join(kept, "; ")
	if more := len(list) - len(kept); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}
