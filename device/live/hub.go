// Package live knows what goes over the lines of a box just now, for a person who
// looks on: of each line the last entries, counters since the start, and who is
// subscribed.
//
// A [Hub] holds a line for each place where instruments connect. Instruments that
// share a listener share its line: which of them speaks is known only from what it
// says, and a person who looks for the silent one must see what came instead. Each
// opening of a line, of which a listener has many at a time, is an [Opening], and
// says what it moves.
//
// Looking on costs a line next to nothing, and never makes it wait: entries go into
// a backlog of bounded size, where subscribers read them. One that is slower than
// the line loses the oldest and is told how many. The backlog's size is bounded for
// all lines together, so that a box with hundreds of them keeps less of each.
//
// What an allowlist keeps out has to be left out before it comes here.
package live

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// mostLine and mostAll are what the backlogs may take: of one line, and of all
	// together as far as leastLine, which each line has, allows.
	mostLine  = 128 << 10
	mostAll   = 8 << 20
	leastLine = 16 << 10
	// MostSubscriptions is how many may look on at the same time, on all lines.
	MostSubscriptions = 16
)

var (
	// ErrUnknown says that there is no such instrument, or no longer.
	ErrUnknown = errors.New("there is no such instrument")
	// ErrCrowded says that MostSubscriptions look on already.
	ErrCrowded = fmt.Errorf("%d look on already; close one of the pages that show a line", MostSubscriptions)
)

// Hub knows the lines of a box. Its methods may be called from any goroutine. The
// zero value knows none: see [Hub.Expect].
type Hub struct {
	mu     sync.Mutex
	lines  []*line
	byName map[string]*line

	subscriptions atomic.Int64
	openings      atomic.Uint64 // numbers them
}

// line is one place where instruments connect.
type line struct {
	names []string // of its instruments, the first one names it; guarded by Hub.mu
	epoch uint32   // tells marks of another line, or process, from those of this one

	mu       sync.Mutex
	counters Counters
	open     []*Opening // in the order in which they were opened
	backlog  backlog
	shown    uint64 // number of the newest entry that somebody has
	waiting  map[*Subscription]struct{}
	gone     bool // the configuration has it no longer
}

// Expect says which lines there are: the names of the instruments of each, of which
// the first is that which openings name. A line that was there by its first name
// stays as it is; what is known of others is forgotten, and who is subscribed to
// them is told.
func (h *Hub) Expect(lines [][]string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.lines
	h.lines, h.byName = nil, map[string]*line{}
	most := min(mostLine, max(leastLine, mostAll/max(1, len(lines))))
	for _, names := range lines {
		at := slices.IndexFunc(before, func(l *line) bool { return l.names[0] == names[0] })
		var l *line
		if at >= 0 {
			l, before = before[at], slices.Delete(slices.Clone(before), at, at+1)
		} else {
			l = &line{epoch: rand.Uint32(), waiting: map[*Subscription]struct{}{}}
			l.counters.Since = time.Now()
		}
		l.names = slices.Clone(names)
		l.mu.Lock()
		l.backlog.bound(most)
		l.mu.Unlock()
		h.lines = append(h.lines, l)
		for _, name := range names {
			h.byName[name] = l
		}
	}
	for _, l := range before {
		l.leave()
	}
}

// Watched reports whether somebody looks on just now, at whatever line.
func (h *Hub) Watched() bool { return h.subscriptions.Load() > 0 }

// Clear forgets all entries, and keeps the counters: an allowlist has come, say.
func (h *Hub) Clear() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.lines {
		l.mu.Lock()
		l.backlog.clear()
		l.mu.Unlock()
	}
}

// leave tells who is subscribed that there is nothing more to come.
func (l *line) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.gone = true
	l.wake()
}

// wake has all subscriptions look. The caller holds the line's lock.
func (l *line) wake() {
	for s := range l.waiting {
		select {
		case s.news <- struct{}{}:
		default: // it is awake
		}
	}
}

func (h *Hub) find(instrument string) *line {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.byName[instrument]
}

// Status is what is known of a line.
type Status struct {
	Instruments []string // that share it, the first one names it
	Counters    Counters
	Open        []OpeningStatus // oldest first
}

// OpeningStatus is an opening of a line that has not ended.
type OpeningStatus struct {
	Number uint64 // as entries have it
	Remote string // the peer's address, or the port's name
	Since  time.Time
	Veiled bool // text is left out
}

// Lines returns what is known of all lines, in the order of the configuration.
func (h *Hub) Lines() []Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]Status, 0, len(h.lines))
	for _, l := range h.lines {
		list = append(list, l.status())
	}
	return list
}

// Line returns what is known of the line of an instrument, and whether it is known.
func (h *Hub) Line(instrument string) (Status, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := h.byName[instrument]
	if l == nil {
		return Status{}, false
	}
	return l.status(), true
}

// status is Status of the line. The caller holds the hub's lock.
func (l *line) status() Status {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Status{Instruments: slices.Clone(l.names), Counters: l.counters, Open: make([]OpeningStatus, 0, len(l.open))}
	for _, o := range l.open {
		s.Open = append(s.Open, OpeningStatus{o.number, o.remote, o.since, o.veiled})
	}
	return s
}
