package live

import (
	"context"
	"fmt"
	"time"
)

const (
	// mostAtOnce is how many entries Next returns at the most.
	mostAtOnce = 256
	// settleFor is how long Next waits once something comes: what is read in small
	// parts is then one entry.
	settleFor = 100 * time.Millisecond
)

// Subscription is somebody who looks on at a line. Its methods are called from one
// goroutine.
type Subscription struct {
	hub    *Hub
	line   *line
	seen   uint64 // number of the entry returned last
	news   chan struct{}
	closed bool
}

// Subscribe begins to look on at the line of an instrument: first at the backlog,
// then at what comes. Where after is the mark of an entry that the caller has, it
// begins behind that; a mark of before a restart counts as none. Errors: [ErrUnknown] and [ErrCrowded]. The caller closes the subscription.
func (h *Hub) Subscribe(instrument, after string) (*Subscription, error) {
	l := h.find(instrument)
	if l == nil {
		return nil, ErrUnknown
	}
	if h.subscriptions.Add(1) > MostSubscriptions {
		h.subscriptions.Add(-1)
		return nil, ErrCrowded
	}
	s := &Subscription{hub: h, line: l, news: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	s.seen = l.seen(after)
	if entries := l.backlog.entries; s.seen == 0 && len(entries) > 0 {
		s.seen = entries[0].Number - 1 // nothing before the backlog is missing: it was not asked for
	}
	l.waiting[s] = struct{}{}
	return s, nil
}

// seen is the number of the entry that a mark names, 0 for none of this line. The
// caller holds the line's lock.
func (l *line) seen(mark string) uint64 {
	var epoch uint32
	var number uint64
	if _, err := fmt.Sscanf(mark, "%08x-%d", &epoch, &number); err != nil || epoch != l.epoch || number > l.backlog.last {
		return 0
	}
	return number
}

// Next waits for entries that were not returned yet, and returns them; and how many
// before these were lost, because they came faster than they were asked for. It
// returns what there is before it looks at ctx. Errors: that of ctx, and
// [ErrUnknown] once the line has left the configuration.
func (s *Subscription) Next(ctx context.Context) (list []Entry, lost uint64, err error) {
	for {
		s.line.mu.Lock()
		list, lost = s.line.backlog.after(s.seen, mostAtOnce)
		if len(list) > 0 {
			s.line.shown = max(s.line.shown, list[len(list)-1].Number)
		}
		gone := s.line.gone
		s.line.mu.Unlock()
		if len(list) > 0 {
			s.seen = list[len(list)-1].Number
			return list, lost, nil
		}
		if gone {
			return nil, 0, ErrUnknown
		}
		select {
		case <-ctx.Done():
			return nil, 0, ctx.Err()
		case <-s.news:
			select {
			case <-ctx.Done(): // what there is is returned first
			case <-time.After(settleFor):
			}
		}
	}
}

// Close ends the subscription. It may be called again.
func (s *Subscription) Close() {
	if s.closed {
		return
	}
	s.closed = true
	s.line.mu.Lock()
	defer s.line.mu.Unlock()
	delete(s.line.waiting, s)
	s.hub.subscriptions.Add(-1)
}

// Backlog returns the last entries of the line of an instrument, oldest first; none
// where it is not known.
func (h *Hub) Backlog(instrument string) []Entry {
	l := h.find(instrument)
	if l == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shown = l.backlog.last
	return append([]Entry(nil), l.backlog.entries...)
}
