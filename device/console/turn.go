package console

import (
	"context"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// turnLasts is how long one page keeps others from being made. What takes longer
// mostly waits, for a card or a LIMS, and must not hold up the pages that a person
// needs to see why.
const turnLasts = 500 * time.Millisecond

// turns has pages made one after the other, on half of the processors at the most:
// an acknowledgement goes through several goroutines, and each would have to wait
// behind every page that is being made.
type turns chan struct{}

func newTurns() turns { return make(turns, max(1, runtime.GOMAXPROCS(0)/2)) }

// take waits for a turn, which is over with giveBack, or after turnLasts. ok is false
// where ctx has ended meanwhile.
func (t turns) take(ctx context.Context) (giveBack func(), ok bool) {
	select {
	case t <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	over := sync.OnceFunc(func() { <-t })
	timer := time.AfterFunc(turnLasts, over)
	return func() {
		timer.Stop()
		over()
	}, true
}

// serve makes an answer when it is its turn. Once the first of it is written the rest
// is for the network, and the next one's turn.
func (t turns) serve(w http.ResponseWriter, r *http.Request, handle http.HandlerFunc) {
	giveBack, ok := t.take(r.Context())
	if !ok {
		return // the reader left
	}
	defer giveBack()
	handle(&turnWriter{w, giveBack}, r)
}

// turnWriter gives the turn back before it writes.
type turnWriter struct {
	http.ResponseWriter
	giveBack func()
}

// Write implements io.Writer.
func (w *turnWriter) Write(p []byte) (int, error) {
	w.giveBack()
	return w.ResponseWriter.Write(p)
}

// Unwrap is for http.ResponseController.
func (w *turnWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
