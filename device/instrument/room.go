package instrument

import "sync"

// A message needs up to seventy times its size while it is taken apart and
// stored, and the box has little memory. Those longer than longMessage are
// handled one at a time; of the others, which must not wait for them, no more
// than mostApart bytes together.
const (
	longMessage = freeHeld
	mostApart   = 1 << 20
)

// room holds down how much is taken apart at the same time. The zero value is
// ready for use.
type room struct {
	mu   sync.Mutex
	wake *sync.Cond // nil until somebody has waited
	used int        // bytes of short messages
	long bool       // a long one is inside
}

// enter waits until there is room for messages of so many bytes. It calls
// progress whenever another has left: who is behind many waits for long, but not
// where one of them stands still. The caller calls leave when they are stored.
func (r *room) enter(size int, progress func()) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.fits(size) {
		if r.wake == nil {
			r.wake = sync.NewCond(&r.mu)
		}
		r.wake.Wait()
		progress()
	}
	if size > longMessage {
		r.long = true
	} else {
		r.used += size
	}
	return func() { r.leave(size) }
}

func (r *room) fits(size int) bool {
	if size > longMessage {
		return !r.long
	}
	return r.used+size <= mostApart
}

func (r *room) leave(size int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if size > longMessage {
		r.long = false
	} else {
		r.used -= size
	}
	if r.wake != nil {
		r.wake.Broadcast()
	}
}
