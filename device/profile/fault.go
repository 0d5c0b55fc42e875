package profile

import (
	"bytes"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// unread is the envelope of a message whose reading met a mistake of this
// program, at the given place. What came is kept as it came, set aside for a
// person; without it the sender would repeat one message for ever, and no later
// one would get through. The problem names no content.
func (s *Set) unread(m Raw, at time.Time, place string) envelope.Envelope {
	problem := fmt.Sprintf("a mistake in Assaygate, at %s, please report it: the message is kept as it came, without results", place)
	b := message{protocol: m.Protocol, raw: m.Text, opaque: true}
	switch {
	case m.Whole != nil:
		b.raw = m.Whole
	case m.Protocol == envelope.ASTM:
		b.raw = bytes.Join(m.Frames, nil)
	}
	if m.Intake == envelope.Accepted {
		m.Intake, m.Reason = envelope.Parked, problem
	}
	s.scrub(&b, nil, m)
	if b.dropped && m.Intake != envelope.Incomplete {
		m.Intake, m.Reason = envelope.Rejected, problem
	}
	e := s.whole(m, b, &profile{}, at)
	e.ID = newID()
	e.Problem = strings.Join(append(b.problems, problem), "; ")
	return e
}

// panicked returns where the panic that a deferred function recovers came from,
// as file:line. The value of the panic is left out: it may hold bytes of a
// message.
func panicked() string {
	callers := make([]uintptr, 64)
	frames := runtime.CallersFrames(callers[:runtime.Callers(2, callers)])
	thrown := false
	for {
		f, more := frames.Next()
		inside := strings.HasPrefix(f.Function, "runtime.")
		if thrown && !inside {
			return fmt.Sprintf("%s:%d", filepath.Base(f.File), f.Line)
		}
		thrown = thrown || inside
		if !more {
			return "an unknown place"
		}
	}
}
