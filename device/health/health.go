// Package health knows whether the parts of a running gateway still move.
//
// Every critical loop (a line, the spool's writer, a destination) is watched
// under its name with a deadline of its own, and reports progress at least that
// often. One part that falls silent makes the whole process unhealthy: /healthz
// says 503 and names it, the log names it too and gets the stacks of all
// goroutines, and systemd's watchdog is no longer fed, so that the process is
// restarted instead of standing there half dead.
//
// Being ready is another thing. What must be reached once, such as that every
// listener is bound, [Registry.Expect] names; what can come and go, such as that
// the store takes messages in, [Registry.Require] asks for.
//
// Nothing on the way from a report to the watchdog takes a lock of ours: a lock
// that is held for ever may be the very fault that is to be named.
package health

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrSilent is wrapped by the error of [Registry.Healthy].
var ErrSilent = errors.New("no progress")

// Registry holds the critical parts and the conditions of readiness. Its zero
// value is ready to use: healthy, with nothing to watch, and ready.
type Registry struct {
	parts sync.Map // of *part, by name
	watch atomic.Pointer[watch]

	readiness readiness
	told      told
}

type part struct {
	deadline time.Duration
	last     atomic.Pointer[time.Time] // by the registry's clock
}

// Watch adds a critical part, which counts as alive from now on. The part calls
// progress at least once per deadline, and ended when it has ended in order: one
// that ends otherwise stays, and is found by its silence. Both are safe for
// concurrent use; progress is cheap. A name that is watched already is taken
// over: a part that was restarted goes on under its old name, and what its
// predecessor still reports no longer counts, nor that it has ended.
func (r *Registry) Watch(name string, deadline time.Duration) (progress, ended func()) {
	p := &part{deadline: deadline}
	report := func() {
		now := r.now()
		p.last.Store(&now)
	}
	report()
	r.parts.Store(name, p)
	return report, func() { r.parts.CompareAndDelete(name, p) }
}

// Parts returns the names of what is watched, in their order.
func (r *Registry) Parts() (names []string) {
	for name := range r.parts.Range {
		names = append(names, name.(string))
	}
	slices.Sort(names)
	return names
}

// Healthy returns nil while every part has reported within its deadline, and
// otherwise an error that wraps [ErrSilent] and names the silent parts, how long
// each has been silent and what it had promised. The one that has been so for
// longest comes first: others may only be waiting for it.
func (r *Registry) Healthy() error {
	silent := r.silent()
	if len(silent) == 0 {
		return nil
	}
	var texts []string
	for _, s := range silent[:min(len(silent), mostNamed)] {
		texts = append(texts, fmt.Sprintf("%s for %s (deadline %s)", s.name, s.since.Round(time.Millisecond), s.deadline))
	}
	if more := len(silent) - len(texts); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return fmt.Errorf("%w: %s", ErrSilent, strings.Join(texts, "; "))
}

// mostNamed bounds the text of Healthy: with a card that hangs, hundreds of
// connections wait.
const mostNamed = 20

// silence is a part that has not reported in time.
type silence struct {
	name            string
	since, deadline time.Duration
}

// silent returns the parts that have not reported in time, the longest silent
// first.
func (r *Registry) silent() (list []silence) {
	now := r.now()
	for name, value := range r.parts.Range {
		p := value.(*part)
		if since := now.Sub(*p.last.Load()); since > p.deadline {
			list = append(list, silence{name.(string), since, p.deadline})
		}
	}
	if since, stands := r.watch.Load().stands(); stands {
		list = append(list, silence{"the watch over the parts", since, watchDeadline})
	}
	slices.SortFunc(list, func(a, b silence) int {
		if a.since != b.since {
			return int(b.since - a.since)
		}
		return strings.Compare(a.name, b.name)
	})
	return list
}
