package instrument

import (
	"errors"
	"log/slog"
	"time"

	"github.com/assaygate/assaygate/device/port"
)

// standing says how a line fares that the box keeps open: each change once, and
// of a line that comes and goes all the time only that it does.
type standing struct {
	log    *slog.Logger
	opened time.Time
	told   bool            // that it is up
	short  int             // how often in a row it broke soon
	away   time.Time       // since when it cannot be opened; zero while it can
	why    map[string]bool // what was told of that
}

const (
	// steady is how long a line must hold to be one again that can be relied on.
	steady = 10 * time.Second
	// mostShort is how often in a row a line may break before that without
	// being called one that comes and goes.
	mostShort = 6
)

// up says that the line was opened.
func (s *standing) up() {
	s.opened, s.away, s.why = time.Now(), time.Time{}, nil
	if s.told = s.short < mostShort; s.told {
		s.log.Info("line up")
	}
}

// holds is called while the line is up, at least each heartbeat.
func (s *standing) holds() {
	if !s.told && time.Since(s.opened) >= steady {
		s.told, s.short = true, 0
		s.log.Info("line up")
	}
}

// down says that the line was lost; err is nil where the box was stopped.
func (s *standing) down(err error) {
	s.short++
	if time.Since(s.opened) >= steady {
		s.short = 0
	}
	switch {
	case err == nil || !s.told:
	case s.short == mostShort:
		s.log.Warn("line comes and goes; it is said again when it holds", "error", err)
	default:
		s.log.Warn("line down", "error", err)
	}
}

// failed says that the line could not be opened. That it has no TLS is another
// matter than that nobody is there.
func (s *standing) failed(err error) {
	if s.away.IsZero() {
		s.away, s.why = time.Now(), map[string]bool{}
	}
	if time.Since(s.away) >= steady {
		s.short = 0 // it does not come and go, but stays away
	}
	kind := ""
	if handshake := (*port.HandshakeError)(nil); errors.As(err, &handshake) {
		kind = handshake.Remedy
	}
	if s.short < mostShort && !s.why[kind] {
		s.why[kind] = true
		s.log.Warn("line cannot be opened; trying on", "error", err)
	}
}
