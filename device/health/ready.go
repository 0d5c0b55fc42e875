package health

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
)

// readiness is what a registry waits for and what it needs. Its zero value is
// ready.
type readiness struct {
	mu      sync.Mutex
	waiting map[string]bool
	needed  []func() error
	met     chan struct{} // closed when waiting becomes empty; nil when nobody waits
}

// Expect names a condition that must be met before the gateway is ready, and
// returns the function that says so. All conditions are to be named before the
// first is met, else the gateway is ready too early.
func (r *Registry) Expect(condition string) (met func()) {
	n := &r.readiness
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting == nil {
		n.waiting = make(map[string]bool)
	}
	n.waiting[condition] = true
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.waiting, condition)
		if len(n.waiting) == 0 && n.met != nil {
			close(n.met)
			n.met = nil
		}
	}
}

// Require adds a condition that may come and go. State says whether it holds,
// nil, or why not; it is asked whenever readiness is, from many goroutines, so
// it must not wait for anything.
func (r *Registry) Require(state func() error) {
	n := &r.readiness
	n.mu.Lock()
	defer n.mu.Unlock()
	n.needed = append(n.needed, state)
}

// Ready returns nil once every expected condition is met and while every
// required one holds, and otherwise an error that names those that are not.
func (r *Registry) Ready() error {
	n := &r.readiness
	n.mu.Lock()
	names := slices.Sorted(maps.Keys(n.waiting))
	needed := slices.Clone(n.needed)
	n.mu.Unlock()
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

// reached returns a channel that is closed when every expected condition is
// met. What is required does not count: systemd stops a service that is not
// ready in time, and starts it again, over and over.
func (n *readiness) reached() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.waiting) == 0 {
		done := make(chan struct{})
		close(done)
		return done
	}
	if n.met == nil {
		n.met = make(chan struct{})
	}
	return n.met
}
