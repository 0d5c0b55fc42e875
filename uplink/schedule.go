package uplink

import (
	"cmp"
	"slices"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// untriedWait is how long a lane that has not failed waits at most while others
// are refused: a few poison messages must not delay what comes in later by the
// destination's whole back-off.
const untriedWait = 10 * time.Second

// lane is what is known of a lane's head. It begins anew with each head.
type lane struct {
	sequence  uint64
	failures  int // in a row
	notBefore time.Time
	// countedAt is the number of messages taken when the head's last refusal
	// was counted, or when the head was first seen: what was taken by an earlier
	// process proves nothing.
	countedAt uint64
	scope     string // of the head, once it was loaded
}

// schedule decides which lanes are served next. It does no I/O and has no clock
// of its own.
type schedule struct {
	lanes map[string]*lane
	holds holds

	taken uint64 // messages that the destination took

	// The state since the last message that was taken.
	failures  int // rounds in a row
	notBefore time.Time
	failedAt  time.Time
	unreached bool // one of the failures was no answer about a message
	invalid   bool // one of them parked its message
}

func newSchedule() *schedule {
	return &schedule{lanes: make(map[string]*lane), holds: make(holds)}
}

// pick returns the heads to deliver now, at most limit. Where there is none,
// wake is when the next one is due; it is zero where nothing is pending.
func (s *schedule) pick(heads []spool.Head, limit int, now time.Time) (chosen []spool.Head, wake time.Time) {
	s.follow(heads)
	held := s.holds[everything]
	if held != nil && now.Before(held.until) && len(heads) > 0 {
		return nil, held.until
	}
	if held != nil || s.failures > 0 {
		// One request finds out whether things are well again.
		limit = 1
		heads = slices.Clone(heads)
		slices.SortStableFunc(heads, func(a, b spool.Head) int {
			return cmp.Compare(s.lanes[a.Lane].failures, s.lanes[b.Lane].failures)
		})
	}
	scopes := make(map[string]bool)
	for _, head := range heads {
		due := s.due(head)
		switch scope := s.lanes[head.Lane].scope; {
		case due.After(now):
			if wake.IsZero() || due.Before(wake) {
				wake = due
			}
		case s.holds.scoped(scope) && scopes[scope]:
			// Another message of the scope tries it this time.
		case len(chosen) < limit:
			scopes[scope] = true
			chosen = append(chosen, head)
		}
	}
	return chosen, wake
}

// follow brings the lanes in line with their heads: lanes without a head go,
// and a new head starts afresh.
func (s *schedule) follow(heads []spool.Head) {
	there := make(map[string]bool, len(heads))
	for _, head := range heads {
		there[head.Lane] = true
		if l := s.lanes[head.Lane]; l == nil || l.sequence != head.Sequence {
			s.lanes[head.Lane] = &lane{sequence: head.Sequence, countedAt: s.taken}
		}
	}
	for name := range s.lanes {
		if !there[name] {
			delete(s.lanes, name)
		}
	}
}

// due returns when the head may be tried.
func (s *schedule) due(head spool.Head) time.Time {
	l := s.lanes[head.Lane]
	due := l.notBefore
	if s.holds[everything] != nil {
		return due // its own interval has passed
	}
	if h := s.holds[l.scope]; l.scope != everything && h != nil && h.until.After(due) {
		due = h.until
	}
	if gate := s.gate(l); gate.After(due) {
		due = gate
	}
	return due
}

// gate returns until when the destination's state keeps a lane back.
func (s *schedule) gate(l *lane) time.Time {
	untried := l.failures == 0 && !s.unreached
	switch soon := s.failedAt.Add(untriedWait); {
	case untried && s.failures < 2:
		// One message was refused, or one round of them: another tells at once
		// whether the destination is well.
		return time.Time{}
	case untried && !s.invalid && soon.Before(s.notBefore):
		return soon
	}
	// Parked messages make room for untried ones: were those let through, a
	// destination that calls everything invalid would have the whole spool
	// parked in a moment.
	return s.notBefore
}

// success notes that the destination took a message. Nothing stands in the way
// of lanes that did not fail themselves; those that did keep their back-off,
// for it may have been them.
func (s *schedule) success() {
	s.taken++
	s.failures, s.notBefore, s.failedAt = 0, time.Time{}, time.Time{}
	s.unreached, s.invalid = false, false
}

// release forgets the failures of all lanes.
func (s *schedule) release() {
	for _, l := range s.lanes {
		l.failures, l.notBefore = 0, time.Time{}
	}
}

// failed notes a failure that gives the lane its back-off.
func (s *schedule) failed(name string, now time.Time) {
	l := s.lanes[name]
	l.failures++
	l.notBefore = now.Add(backOff(l.failures))
}

// unwell notes that the destination took nothing in a round, and in what ways.
// It gives the destination its back-off.
func (s *schedule) unwell(kinds []Kind, now time.Time) {
	for _, kind := range kinds {
		s.invalid = s.invalid || kind == Invalid
		s.unreached = s.unreached || kind != Refusal && kind != Invalid
	}
	s.failures++
	s.failedAt = now
	s.notBefore = now.Add(backOff(s.failures))
}

// proven reports whether a refusal of the lane's head may be counted: it is the
// first, or another message was taken since the last one.
func (s *schedule) proven(name string, refusals int) bool {
	return refusals == 0 || s.taken > s.lanes[name].countedAt
}

// counted notes that a refusal of the lane's head was counted.
func (s *schedule) counted(name string) { s.lanes[name].countedAt = s.taken }
