package health

import "time"

const (
	// mostLate is by how much the watch may come late before it is the process, and
	// no part of it, that stands still.
	mostLate = 10 * time.Second
	// watchDeadline is for the watch itself.
	watchDeadline = time.Minute
)

// watch is when the parts were looked at last, and what was not counted so far.
type watch struct {
	at   time.Time
	lost time.Duration
}

// now is the time by which silence is measured. A process that was stopped, a
// machine that was paused or has no time for it: then nobody could report, and
// the time does not count. So the clock stands still when the watch is not
// called for longer than mostLate. It is monotonic: setting the box's time is no
// silence. Without a watch it is the system's.
func (r *Registry) now() time.Time {
	now := time.Now()
	w := r.watch.Load()
	if w == nil {
		return now
	}
	return now.Add(-w.lost - max(0, now.Sub(w.at)-mostLate))
}

// look notes that the watch was called, and returns by how much too late.
func (r *Registry) look() (late time.Duration) {
	now := time.Now()
	next := &watch{at: now}
	if w := r.watch.Load(); w != nil {
		late = max(0, now.Sub(w.at)-mostLate)
		next.lost = w.lost + late
	}
	r.watch.Store(next)
	return late
}

// stands reports whether the watch itself is late. Then all other parts seem to
// be well, for their clock stands still.
func (w *watch) stands() (since time.Duration, is bool) {
	if w == nil {
		return 0, false
	}
	since = time.Since(w.at)
	return since, since > watchDeadline
}
