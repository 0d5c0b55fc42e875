package uplink

import (
	"cmp"
	"math/bits"
	"slices"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

const (
	// untriedWait is how long a lane that has not failed waits at most while others
	// are refused: a few poison messages must not delay what comes in later by the
	// destination's whole back-off.
	untriedWait = 10 * time.Second
	// widenAfter is how long batches stay as small as a time-out has made them.
	widenAfter = time.Hour
)

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
	// together is how many messages may go in one request with the head; 1 is
	// the head alone. It is halved each time that such a request is refused.
	together int
}

// schedule decides which lanes are served next. It does no I/O and has no clock
// of its own.
type schedule struct {
	lanes map[string]*lane
	holds holds

	batch    int // messages in a request at most
	widest   int // the same, since a larger one took too long
	narrowed time.Time

	taken uint64 // messages that the destination took

	// The state since the last message that was taken.
	failures  int // rounds in a row
	searches  int // rounds in which messages were only refused together
	notBefore time.Time
	failedAt  time.Time
	unreached bool // one of the failures was no answer about a message
	invalid   bool // one of them parked its message
}

func newSchedule(batch int) *schedule {
	return &schedule{lanes: make(map[string]*lane), holds: make(holds), batch: batch, widest: batch}
}

// pick returns the heads to deliver now, in at most so many requests. Where
// there is none, wake is when the next one is due; it is zero where nothing is
// pending.
func (s *schedule) pick(heads []spool.Head, requests int, now time.Time) (chosen []spool.Head, wake time.Time) {
	s.follow(heads)
	s.widen(now)
	held := s.holds[everything]
	if held != nil && now.Before(held.until) && len(heads) > 0 {
		return nil, held.until
	}
	limit := requests * s.widest
	failing := s.failing()
	if failing {
		// One request finds out whether things are well again. Of what was
		// refused together the largest parts come first, so that between two
		// halves of one part comes what may well be taken.
		limit = s.widest
		heads = slices.Clone(heads)
		slices.SortStableFunc(heads, func(a, b spool.Head) int {
			l, m := s.lanes[a.Lane], s.lanes[b.Lane]
			return cmp.Or(cmp.Compare(l.failures, m.failures), cmp.Compare(m.together, l.together))
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
		case failing && len(chosen) > 0 && s.room(head.Lane) != limit:
			// It does not go with what goes now.
		case len(chosen) < limit:
			scopes[scope] = true
			chosen = append(chosen, head)
			if failing {
				limit = s.room(chosen[0].Lane)
			}
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
			s.lanes[head.Lane] = &lane{sequence: head.Sequence, countedAt: s.taken, together: s.batch}
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

// failing reports whether the destination has taken nothing since its last
// failure.
func (s *schedule) failing() bool { return s.holds[everything] != nil || s.failures > 0 }

// room is how many messages may go in one request with the lane's head. A
// request that finds out whether the destination is there holds one.
func (s *schedule) room(name string) int {
	l := s.lanes[name]
	if s.holds[everything] != nil || s.holds.scoped(l.scope) || s.unreached {
		return 1
	}
	return min(l.together, s.widest)
}

// halve notes that messages were refused together. Which of them is the cause
// is found in smaller requests.
func (s *schedule) halve(lanes []string, messages int) {
	for _, name := range lanes {
		s.lanes[name].together = max(1, messages/2)
	}
}

// narrow notes that a request with so many messages was not answered: it may
// have been too many for the time that a request has.
func (s *schedule) narrow(messages int, now time.Time) {
	if messages > 1 {
		s.widest, s.narrowed = max(1, min(s.widest, messages/2)), now
	}
}

// widen lets requests grow again after a while.
func (s *schedule) widen(now time.Time) {
	if s.widest < s.batch && now.Sub(s.narrowed) >= widenAfter {
		s.widest, s.narrowed = min(s.batch, 2*s.widest), now
	}
}

// success notes that the destination took messages. Nothing stands in the way
// of lanes that did not fail themselves; those that did keep their back-off,
// for it may have been them.
func (s *schedule) success(messages int) {
	s.taken += uint64(messages)
	s.failures, s.searches, s.notBefore, s.failedAt = 0, 0, time.Time{}, time.Time{}
	s.unreached, s.invalid = false, false
}

// release forgets the failures of all lanes.
func (s *schedule) release() {
	for _, l := range s.lanes {
		l.failures, l.notBefore = 0, time.Time{}
	}
}

// failed notes a failure that gives the lane its back-off. Its head goes alone
// from now on.
func (s *schedule) failed(name string, now time.Time) {
	l := s.lanes[name]
	l.failures++
	l.together = 1
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
	s.wait(now)
}

// searching notes that the destination took nothing in a round, and that all it
// refused was refused together. Where one message is the cause, that says nothing
// of the destination: the back-off does not grow while a batch is halved until
// that message is alone. Beyond so many rounds it is more than that.
func (s *schedule) searching(now time.Time) {
	s.searches++
	if s.failures == 0 || s.searches > bits.Len(uint(s.batch)) {
		s.failures++
	}
	s.wait(now)
}

// wait begins the destination's back-off.
func (s *schedule) wait(now time.Time) {
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
