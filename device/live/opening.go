package live

import (
	"slices"
	"time"
)

// Opening is one opening of a line: a serial port that was opened, or a
// connection. Its methods are called from one goroutine, and never wait. On nil
// they do nothing.
type Opening struct {
	line   *line
	number uint64
	remote string
	since  time.Time
	veiled bool
}

// Open begins an opening of the line that the instrument, which is the first one of
// those that share it, names. Remote is the peer's address or the port's name;
// veiled says that text is left out. The caller ends it with [Opening.End]. It is
// nil where the hub knows no such line.
func (h *Hub) Open(at time.Time, instrument, remote string, veiled bool) *Opening {
	l := h.find(instrument)
	if l == nil {
		return nil
	}
	o := &Opening{line: l, number: h.openings.Add(1), remote: remote, since: at, veiled: veiled}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counters.Opened++
	l.counters.LastOpened, l.counters.OpenedBy = at, remote
	l.open = append(l.open, o)
	l.add(Entry{At: at, Kind: Note, Opening: o.number, Remote: remote, Text: "opened: " + remote})
	return o
}

// Received and Sent tell what one read or one write has moved. The bytes are
// copied.
func (o *Opening) Received(at time.Time, pieces []Piece) { o.moved(at, Received, pieces) }

// Sent is as [Opening.Received].
func (o *Opening) Sent(at time.Time, pieces []Piece) { o.moved(at, Sent, pieces) }

func (o *Opening) moved(at time.Time, kind Kind, pieces []Piece) {
	if o == nil {
		return
	}
	e := Entry{At: at, Kind: kind, Opening: o.number, Remote: o.remote}
	l := o.line
	l.mu.Lock()
	defer l.mu.Unlock()
	traffic := &l.counters.Received
	if kind == Sent {
		traffic = &l.counters.Sent
	}
	traffic.count(at, pieces)
	if last := l.backlog.newest(); last != nil && last.Number > l.shown && last.goesOn(e, pieces) {
		l.backlog.goOn(pieces)
		return
	}
	e.Pieces, e.Cut = copied(pieces)
	l.add(e)
}

// Note tells of a timer or a decision, in a text of ours: nothing of a message may
// be in it.
func (o *Opening) Note(at time.Time, kind Kind, text string) {
	if o == nil {
		return
	}
	o.line.mu.Lock()
	defer o.line.mu.Unlock()
	o.line.add(Entry{At: at, Kind: kind, Opening: o.number, Remote: o.remote, Text: text})
}

// End says that the line has ended. It is the last call.
func (o *Opening) End(at time.Time) {
	if o == nil {
		return
	}
	l := o.line
	l.mu.Lock()
	defer l.mu.Unlock()
	l.counters.Ended++
	l.counters.LastEnded, l.counters.EndedBy = at, o.remote
	l.open = slices.DeleteFunc(l.open, func(other *Opening) bool { return other == o })
	l.add(Entry{At: at, Kind: Note, Opening: o.number, Remote: o.remote, Text: "ended: " + o.remote})
}

// add adds an entry and tells the subscriptions. The caller holds the line's lock.
func (l *line) add(e Entry) {
	e.epoch = l.epoch
	l.backlog.add(e)
	l.wake()
}
