package console

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// Many who look do not take the processor from the lines: pages are made in turn. One
// that waits for something keeps the others for half a second only, and one that is
// being sent for no time.
func TestPagesAreMadeInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		making, stands := atomic.Int64{}, make(chan struct{})
		c := newConsole(nil, Overview{})
		width := int64(cap(c.turns))
		ask := func(handle http.HandlerFunc) {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
			go c.allowed(route{least: Viewer, handle: handle}).ServeHTTP(httptest.NewRecorder(), r)
		}
		for range 3 * width {
			ask(func(http.ResponseWriter, *http.Request) {
				making.Add(1)
				<-stands
			})
		}
		for turn := range int64(3) {
			synctest.Wait()
			if n := making.Load(); n != (turn+1)*width {
				t.Errorf("after %d turns %d pages are being made, want %d", turn, n, (turn+1)*width)
			}
			time.Sleep(turnLasts)
		}
		close(stands)
		synctest.Wait()

		making.Store(0)
		sent := make(chan struct{})
		for range 3 * width {
			ask(func(w http.ResponseWriter, _ *http.Request) {
				if _, err := w.Write([]byte("page")); err != nil {
					t.Error(err)
				}
				making.Add(1)
				<-sent // a reader that takes nothing
			})
		}
		synctest.Wait()
		if n := making.Load(); n != 3*width {
			t.Errorf("%d of %d pages are being sent", n, 3*width)
		}
		close(sent)
	})
}

// Who leaves before it is their turn is not served.
func TestATurnIsNotWaitedForInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := make(turns, 1)
		giveBack, ok := list.take(t.Context())
		ctx, leave := context.WithCancel(t.Context())
		leave()
		if _, taken := list.take(ctx); !ok || taken {
			t.Errorf("the first got a turn: %v, who has left: %v", ok, taken)
		}
		giveBack()
		giveBack()
		if _, ok := list.take(t.Context()); !ok {
			t.Error("a turn that was given back is lost")
		}
	})
}
