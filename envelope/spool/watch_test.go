package spool

import (
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// watched notes what the loops of a store report.
type watched struct {
	mu      sync.Mutex
	last    map[string]time.Time
	reports map[string]int
}

func (w *watched) watch(loop string) (progress, ended func()) {
	return func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.last[loop] = time.Now()
			w.reports[loop]++
		}, func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.last, loop)
		}
}

// silent is for how long a loop has reported nothing, and whether it runs.
func (w *watched) silent(loop string) (since time.Duration, runs bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, runs := w.last[loop]
	return time.Since(last), runs
}

func (w *watched) count(loop string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.reports[loop]
}

// Both loops report while nothing is to be done; one that stands still falls
// silent alone, and at the end both have said so.
func TestLoopsReportProgress(t *testing.T) {
	dir := settings(t)
	synctest.Test(t, func(t *testing.T) {
		w := &watched{last: map[string]time.Time{}, reports: map[string]int{}}
		s, err := Open(t.Context(), dir, Options{Watch: w.watch})
		if err != nil {
			t.Fatal(err)
		}
		var hangs atomic.Bool
		goOn := make(chan bool)
		commit := s.writer.commit
		s.writer.commit = func() error {
			if hangs.Load() {
				<-goOn
			}
			return commit()
		}
		done := make(chan struct{})
		go func() { s.Tend(t.Context()); close(done) }()
		expect := func(when, loop string, within, atLeast time.Duration) {
			t.Helper()
			synctest.Wait()
			if since, runs := w.silent(loop); !runs || since > within || since < atLeast {
				t.Errorf("%s the %s is silent for %s, runs: %v", when, loop, since, runs)
			}
		}
		time.Sleep(time.Minute + heartbeat/2)
		expect("when idle", "writer", heartbeat, 0)
		expect("when idle", "upkeep", lookAtClock, 0)
		before := w.count("writer")
		put(t, s, message("a", "1"))
		synctest.Wait() // the writer answers first, then it reports
		if w.count("writer") == before {
			t.Error("the writer has not reported the message")
		}

		hangs.Store(true)
		stored := make(chan error)
		go func() {
			_, err := s.Put(t.Context(), message("a", "2"))
			stored <- err
		}()
		time.Sleep(5 * time.Minute)
		expect("while a commit hangs", "writer", 5*time.Minute, 4*time.Minute)
		hangs.Store(false)
		goOn <- true
		if err := <-stored; err != nil {
			t.Error(err)
		}
		expect("after it", "writer", heartbeat, 0)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-done
		for _, loop := range []string{"writer", "upkeep"} {
			if _, runs := w.silent(loop); runs {
				t.Errorf("the %s is still watched", loop)
			}
		}
	})
}
