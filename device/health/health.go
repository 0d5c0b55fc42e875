// Package health knows whether the parts of a running gateway still move.
//
// Every critical loop (a line, the spool's writer, a destination) registers
// under its name with a deadline of its own, and reports progress at least that
// often. One part that falls silent makes the whole process unhealthy: /healthz
// says 503 and names it, and systemd's watchdog is no longer fed, so that the
// process is restarted instead of standing there half dead.
//
// Being ready is another thing. What must be reached once, such as that every
// listener is bound, [Registry.Expect] names; what can come and go, such as that
// the store takes messages in, [Registry.Require] asks for.
package health

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// ErrSilent is wrapped by the error of [Registry.Healthy].
var ErrSilent = errors.New("no progress")

// Registry holds the critical parts and the conditions of readiness. Its zero
// value is ready to use: healthy, with nothing to watch, and ready.
type Registry struct {
	mu      sync.Mutex
	parts   map[string]*part
	waiting map[string]bool
	needed  []func() error
	met     chan struct{} // closed when waiting becomes empty; nil when nobody waits
}

type part struct {
	deadline time.Duration
	last     time.Time // carries the monotonic clock: setting the box's time is no silence
}

// Register adds a critical part, which counts as alive from now on, and returns
// the function that it calls at least once per deadline. That function is safe
// for concurrent use and cheap. A name that is registered already is replaced:
// a part that was restarted goes on under its old name, and reports of its
// predecessor no longer count.
func (r *Registry) Register(name string, deadline time.Duration) (progress func()) {
	p := &part{deadline: deadline, last: time.Now()}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.parts == nil {
		r.parts = make(map[string]*part)
	}
	r.parts[name] = p
	return func() {
		now := time.Now()
		r.mu.Lock()
		defer r.mu.Unlock()
		p.last = now
	}
}

// Remove takes a part out that has ended in order. A part that ended otherwise
// stays, and is found by its silence.
func (r *Registry) Remove(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.parts, name)
}

// Healthy returns nil while every part has reported within its deadline, and
// otherwise an error that wraps [ErrSilent] and names each silent part, how long
// it has been silent and what it had promised.
func (r *Registry) Healthy() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	var silent []string
	for name, p := range r.parts {
		if since := now.Sub(p.last); since > p.deadline {
			silent = append(silent, fmt.Sprintf("%s for %s (deadline %s)", name, since.Round(time.Millisecond), p.deadline))
		}
	}
	if len(silent) == 0 {
		return nil
	}
	slices.Sort(silent)
	return fmt.Errorf("%w: %s", ErrSilent, strings.Join(silent, "; "))
}

// Expect names a condition that must be met before the gateway is ready, and
// returns the function that says so. All conditions are to be named before the
// first is met, else the gateway is ready too early.
func (r *Registry) Expect(condition string) (met func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = make(map[string]bool)
	}
	r.waiting[condition] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.waiting, condition)
		if len(r.waiting) == 0 && r.met != nil {
			close(r.met)
			r.met = nil
		}
	}
}

// Require adds a condition that may come and go. State says whether it holds,
// nil, or why not; it is asked whenever readiness is, from many goroutines, so
// it must not wait for anything.
func (r *Registry) Require(state func() error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.needed = append(r.needed, state)
}

// Ready returns nil once every expected condition is met and while every
// required one holds, and otherwise an error that names those that are not.
func (r *Registry) Ready() error {
	r.mu.Lock()
	names := slices.Sorted(maps.Keys(r.waiting))
	needed := slices.Clone(r.needed)
	r.mu.Unlock()
	var reasons []string
	if len(names) > 0 {
		reasons = append(reasons, "waiting for "+strings.Join(names, ", "))
	}
	for _, state := range needed {
		if err := state(); err != nil {
			reasons = append(reasons, err.Error())
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return errors.New(strings.Join(reasons, "; "))
}

// readiness returns a channel that is closed when every expected condition is
// met. What is required does not count: systemd stops a service that is not
// ready in time, and starts it again, over and over.
func (r *Registry) readiness() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	if r.met == nil {
		r.met = make(chan struct{})
	}
	return r.met
}
