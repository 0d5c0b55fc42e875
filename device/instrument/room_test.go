package instrument

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// However many messages end at the same time, no more is taken apart at once
// than the box has memory for, and a long one keeps no short one waiting.
func TestMessagesWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r room
		var long, short, moved atomic.Int64
		goOn := make(chan struct{})
		handle := func(size int, inside *atomic.Int64) {
			defer r.enter(size, func() { moved.Add(1) })()
			inside.Add(1)
			<-goOn
			inside.Add(-1)
		}
		const most = mostApart / longMessage
		for range 3 {
			go handle(longMessage+1, &long)
		}
		for range most + 5 {
			go handle(longMessage, &short)
		}
		synctest.Wait()
		if long.Load() != 1 || short.Load() != most {
			t.Errorf("%d long and %d short messages at a time, want 1 and %d", long.Load(), short.Load(), most)
		}
		if moved.Load() != 0 {
			t.Error("who waits reports progress though nobody moves")
		}
		close(goOn)
		synctest.Wait()
		if long.Load() != 0 || short.Load() != 0 || r.used != 0 {
			t.Errorf("at the end %d and %d are inside, %d bytes", long.Load(), short.Load(), r.used)
		}
		if moved.Load() < 2+5 {
			t.Errorf("who waited has reported progress %d times, though each saw one leave", moved.Load())
		}
	})
}
