package uplink

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// roundBytes is how much of raw messages is read for one round, beyond the first
// message: it bounds the memory that batches need.
const roundBytes = 1 << 20

// Batcher is a [Destination] that can take several messages in one request.
type Batcher interface {
	// Batch is how many messages a request may hold; less than 2 means one.
	Batch() int
	// DeliverAll hands over the first of the messages, as many as fit into one
	// request, and returns how many these are: at least one. The messages have
	// one scope, and those of a lane are in order. The error is about all that
	// were handed over and of the kinds that Deliver has. After a [Refusal] some
	// of them may have been taken, after Invalid none.
	DeliverAll(ctx context.Context, list []envelope.Envelope) (handed int, err error)
}

// work is a message on its way.
type work struct {
	lane  string
	entry spool.Entry
	scope string
}

// batch is what goes out in one request, the oldest message first.
type batch []work

// lanes are the lanes of its messages, each once.
func (b batch) lanes() (list []string) {
	for _, w := range b {
		if !slices.Contains(list, w.lane) {
			list = append(list, w.lane)
		}
	}
	return list
}

// request is a batch that is being put together.
type request struct {
	batch
	room int // messages that it may hold
}

// load reads the chosen heads, and behind them what else goes with them. Those
// that are gone meanwhile or damaged are left out, and so is all but one message
// of a scope that is held.
func (r *runner) load(ctx context.Context, chosen []spool.Head) ([]batch, error) {
	most := r.inFlight
	if r.schedule.failing() {
		most = 1
	}
	share := (len(chosen) + most - 1) / most // of the heads, for each request
	var requests []*request
	left := roundBytes
	for _, head := range chosen {
		// Heads of unlike room do not go together: where one was refused with
		// others, these must be fewer the next time.
		room := r.schedule.room(head.Lane)
		open := func(q *request) bool { return q.room == room && len(q.batch) < min(room, share) }
		if len(requests) == most && !slices.ContainsFunc(requests, open) || left <= 0 {
			continue
		}
		w, err := r.read(ctx, head.Lane, head.Sequence)
		if err != nil {
			return nil, err
		}
		if w == nil {
			// Another head takes its place. Should it not, a back-off keeps
			// this from going round and round.
			r.schedule.failed(head.Lane, time.Now())
			continue
		}
		l := r.schedule.lanes[head.Lane]
		known := l.scope == w.scope
		l.scope = w.scope
		like := func(q *request) bool { return q.batch[0].scope == w.scope }
		if r.schedule.holds.scoped(w.scope) && (slices.ContainsFunc(requests, like) || !known) {
			continue // the next turn knows the scope, and when it is due
		}
		left -= len(w.entry.Envelope.Raw)
		room = r.schedule.room(head.Lane)
		i := slices.IndexFunc(requests, func(q *request) bool { return open(q) && like(q) })
		switch {
		case i >= 0:
			requests[i].batch = append(requests[i].batch, *w)
		case len(requests) < most:
			requests = append(requests, &request{batch{*w}, room})
		}
	}
	var batches []batch
	for _, q := range requests {
		if err := r.fill(ctx, q, &left); err != nil {
			return nil, err
		}
		batches = append(batches, q.batch)
	}
	return batches, nil
}

// fill adds what is pending behind the heads of a request, as much of each lane.
func (r *runner) fill(ctx context.Context, q *request, left *int) error {
	each := q.room/len(q.batch) - 1
	if each < 1 {
		return nil
	}
	for _, head := range slices.Clone(q.batch) {
		var behind []uint64
		err := r.insist(ctx, "reading what is pending", func(ctx context.Context) (err error) {
			behind, err = r.spool.Behind(ctx, r.to.Name(), head.lane, head.entry.Envelope.Sequence, each)
			return err
		})
		if err != nil {
			return err
		}
		for _, sequence := range behind {
			if *left <= 0 {
				break
			}
			w, err := r.read(ctx, head.lane, sequence)
			if err != nil {
				return err
			}
			if w == nil {
				continue // damaged and parked, or decided by a person
			}
			if w.scope != head.scope {
				break // what comes behind it waits with it
			}
			*left -= len(w.entry.Envelope.Raw)
			q.batch = append(q.batch, *w)
		}
	}
	slices.SortFunc(q.batch, func(a, b work) int {
		return cmp.Compare(a.entry.Envelope.Sequence, b.entry.Envelope.Sequence)
	})
	return nil
}

// read reads one message; nil where it is not pending any more.
func (r *runner) read(ctx context.Context, lane string, sequence uint64) (*work, error) {
	var entry spool.Entry
	err := r.insist(ctx, "reading a message", func(ctx context.Context) (err error) {
		entry, err = r.spool.Load(ctx, r.to.Name(), sequence)
		return err
	})
	switch {
	case errors.Is(err, spool.ErrDamaged), errors.Is(err, spool.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, err
	case entry.State != spool.Pending:
		return nil, nil
	}
	return &work{lane, entry, r.scope(entry.Envelope)}, nil
}
