package uplink

import (
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// holdRetry is the interval of requests to a destination that is held.
const holdRetry = 5 * time.Minute

// everything is the scope of a hold of the whole destination.
const everything = ""

// hold is why messages wait for a person, and until when none is tried.
type hold struct {
	reason string
	until  time.Time
}

// holds are the holds in force, by scope.
type holds map[string]*hold

func (h holds) scoped(scope string) bool { return scope != everything && h[scope] != nil }

func (h holds) set(scope, reason string, now time.Time) {
	h[scope] = &hold{reason, now.Add(holdRetry)}
}

// postpone puts the next request off: the last one came to nothing.
func (h holds) postpone(scope string, now time.Time) {
	for _, s := range []string{everything, scope} {
		if held := h[s]; held != nil {
			held.until = now.Add(holdRetry)
		}
	}
}

// list gives the holds to the spool.
func (h holds) list() (list []spool.Hold) {
	for scope, held := range h {
		list = append(list, spool.Hold{Scope: scope, Reason: held.reason})
	}
	return list
}

// reason is what a person reads: why the whole destination is held, or the
// reasons of all scopes; "" where nothing is held.
func (h holds) reason() string {
	if all := h[everything]; all != nil {
		return all.reason
	}
	var reasons []string
	for _, held := range h {
		reasons = append(reasons, held.reason)
	}
	slices.Sort(reasons)
	return strings.Join(reasons, "; ")
}
