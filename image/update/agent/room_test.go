package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// warehouse is a repository that brings files a MiB at a time, each of which is told. Nothing
// but its holes is on the disk of the test.
type warehouse struct {
	mu   sync.Mutex
	full bool            // the card takes no byte
	came func(MiB int64) // is called before each is told
}

const bundleMiB = 8

func (w *warehouse) Offers(_ context.Context, box release.Box) (Answer, error) {
	offer := Offer{Release: release.Release{Version: "2.0.0", Boards: []string{boardName}}, Hash: "hash-of-2.0.0", Length: bundleMiB << 20, Waves: open("2.0.0")}
	offer.Refused = offer.Release.Permit(box)
	return Answer{Offers: []Offer{offer}}, nil
}

func (w *warehouse) Download(ctx context.Context, offer Offer, path string, progress func(int64)) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	for done := info.Size(); done < offer.Length; {
		if !rest(ctx, time.Second) {
			return ctx.Err()
		}
		w.mu.Lock()
		full, came := w.full, w.came
		w.mu.Unlock()
		if full {
			return fmt.Errorf("keeping the bundle: %w", syscall.ENOSPC)
		}
		done += 1 << 20
		if _, err := file.WriteAt([]byte("2.0.0 "), 0); err != nil {
			return err
		}
		if err := file.Truncate(done); err != nil {
			return err
		}
		if came != nil {
			came(done >> 20)
		}
		progress(done)
	}
	return nil
}

// crowdedBox is one whose card has so many MiB free without the bundle.
func crowdedBox(t *testing.T, w *warehouse, directory string, free *atomic.Int64) (b *simBox, onCard func() int64) {
	file := filepath.Join(directory, "hash-of-2.0.0"+bundleSuffix)
	onCard = func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			return 0
		}
		return info.Size() >> 20
	}
	b = newSimBox(t, "1.0.0", nil)
	b.bundles, b.only = directory, true
	b.others = []Source{{Name: "https://updates.example.org", Repository: w}}
	b.busy = func() Busy { return Busy{Sessions: 1} }
	b.free = func(of string) (float64, bool) {
		if of != directory {
			t.Errorf("the room of %s was asked for", of)
		}
		return float64(free.Load()-onCard()) * (1 << 20), true
	}
	return b, onCard
}

// A release leaves the room that messages need, before, while and after it is fetched, and
// nothing of it stays where there is none.
func TestRoomForMessages(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		free int64
		came func(w *warehouse, free *atomic.Int64, MiB int64)
	}{
		"none before": {bundleMiB + 127, nil},
		"none any more": {1000, func(_ *warehouse, free *atomic.Int64, MiB int64) {
			free.Store(map[bool]int64{true: 130, false: free.Load()}[MiB == 5])
		}},
		"none, and nobody knows why": {1000, func(w *warehouse, _ *atomic.Int64, MiB int64) { w.change(func() { w.full = w.full || MiB == 5 }) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				var free atomic.Int64
				free.Store(test.free)
				w := &warehouse{}
				if test.came != nil {
					w.came = func(MiB int64) { test.came(w, &free, MiB) }
				}
				b, onCard := crowdedBox(t, w, directory, &free)
				stop := b.during(t)
				time.Sleep(3*time.Hour + 30*time.Minute)
				synctest.Wait()
				if is := onCard(); is != 0 {
					t.Errorf("%d MiB of it are on the card", is)
				}
				if s := b.status(); !strings.Contains(s.Why, "no room for it") && !w.full || !strings.Contains(s.Why, "tries again at") {
					t.Errorf("the status is %+v", s)
				}
				free.Store(bundleMiB + 128)
				w.change(func() { w.full, w.came = false, nil })
				b.change(func() { b.busy = func() Busy { return Busy{} } })
				time.Sleep(4 * time.Hour)
				stop()
				if b.installations() != 1 {
					t.Errorf("with room it was installed %d times, and the status is %+v", b.installations(), b.status())
				}
			})
		})
	}
}

func (w *warehouse) change(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

// A bundle that only waits gives its room to messages, and comes again.
func TestBundleThatMakesRoomForMessages(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var free atomic.Int64
		free.Store(1000)
		b, onCard := crowdedBox(t, &warehouse{}, directory, &free)
		stop := b.during(t)
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if s := b.status(); onCard() != bundleMiB || s.Phase != Waiting {
			t.Errorf("%d MiB of it are on the card, and the status is %+v", onCard(), s)
		}
		free.Store(bundleMiB + 127)
		time.Sleep(time.Minute)
		synctest.Wait()
		if s := b.status(); onCard() != 0 || !strings.Contains(s.Why, "made room for messages: there is no room for it: 127 MiB are free on the card, and 128 MiB are needed") {
			t.Errorf("%d MiB of it are on the card, and the status is %+v", onCard(), s)
		}
		free.Store(1000)
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		if onCard() != bundleMiB {
			t.Errorf("%d MiB of it are on the card", onCard())
		}
		b.change(func() { b.busy = func() Busy { return Busy{} } })
		time.Sleep(time.Hour)
		stop()
		if b.installations() != 1 {
			t.Errorf("it was installed %d times", b.installations())
		}
	})
}
