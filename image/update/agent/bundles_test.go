package agent

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// shelf is a repository whose bundles come as real files, or end in their middle.
type shelf struct {
	mu     sync.Mutex
	offers []Offer
	down   error
	cut    string // hash
}

func (s *shelf) change(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func (s *shelf) Offers(_ context.Context, box release.Box) (Answer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	offers := slices.Clone(s.offers)
	for i := range offers {
		offers[i].Refused = offers[i].Release.Permit(box)
	}
	return Answer{Offers: offers}, s.down
}

func (s *shelf) Download(_ context.Context, offer Offer, file string, progress func(int64)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := strings.Repeat("x", int(offer.Length))
	if offer.Hash == s.cut {
		return errors.Join(os.WriteFile(file, []byte(text[1:]), 0o600), errors.New("connection reset"))
	}
	progress(offer.Length)
	return os.WriteFile(file, []byte(text), 0o600)
}

// The card holds two bundles at most, and none of a release that is gone.
func TestBundlesThatAreGone(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		offer := func(version string) Offer {
			return Offer{Release: release.Release{Version: version, Boards: []string{boardName}}, Hash: "hash-of-" + version, Length: 10, Waves: open(version)}
		}
		source := &shelf{offers: []Offer{offer("2.0.0")}, down: errors.New("503")}
		b := newSimBox(t, "1.0.0", nil)
		b.slot = "A"
		agent, err := New(Options{
			Box: release.Box{Compatible: boardName, Version: "1.0.0"}, Boot: "1", Store: simStore{b}, Bundles: directory,
			Sources:   []Source{{Name: "https://updates.example.org", Repository: source}},
			Installer: simRAUC{b}, Rebooter: simRebooter{b}, ClockSet: b.knowsTime,
			Gateway: gatewayFunc(func(context.Context) (Busy, error) { return Busy{Sessions: 1}, nil }),
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"hash-of-1.5.0.raucb", "hash-of-2.0.0.raucb", "notes.txt"} {
			if err := os.WriteFile(filepath.Join(directory, name), []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- agent.Run(ctx) }()
		want := func(when string, files ...string) {
			t.Helper()
			time.Sleep(3 * time.Hour)
			synctest.Wait()
			entries, err := os.ReadDir(directory)
			if err != nil {
				t.Error(err)
			}
			is := []string{}
			for _, entry := range entries {
				is = append(is, entry.Name())
			}
			if !slices.Equal(is, append(files, "notes.txt")) {
				t.Errorf("%s there is %q, want %q", when, is, files)
			}
		}
		want("before the first answer", "hash-of-1.5.0.raucb", "hash-of-2.0.0.raucb")
		source.change(func() { source.down = nil })
		want("offered", "hash-of-2.0.0.raucb")
		source.change(func() { source.offers, source.cut = append(source.offers, offer("2.1.0")), "hash-of-2.1.0" })
		want("in the middle of the next", "hash-of-2.0.0.raucb", "hash-of-2.1.0.raucb")
		source.change(func() { source.down = errors.New("503") })
		want("while it does not answer", "hash-of-2.0.0.raucb", "hash-of-2.1.0.raucb")
		source.change(func() { source.down, source.offers[0].Waves.Paused = nil, "x" })
		want("one of them paused, as there may be no room for it", "hash-of-2.1.0.raucb")
		source.change(func() { source.offers[0].Waves = open("2.0.0") })
		want("and resumed", "hash-of-2.0.0.raucb", "hash-of-2.1.0.raucb")
		source.change(func() { source.down, source.offers = nil, source.offers[:1] })
		want("after the next was withdrawn", "hash-of-2.0.0.raucb")
		source.change(func() { source.offers, source.cut = append(source.offers, offer("3.0.0"), offer("4.0.0")), "" })
		want("the highest of many", "hash-of-2.0.0.raucb", "hash-of-4.0.0.raucb")
		source.change(func() { source.offers[2].Release.Boards = []string{"another"} })
		want("the highest not for this board any more", "hash-of-3.0.0.raucb")
		source.change(func() { source.offers = nil })
		want("all withdrawn")
		if s := agent.Status(); s.Offered != "" || s.Why != "" {
			t.Errorf("the status is %+v", s)
		}
		source.change(func() { source.offers = []Offer{offer("1.0.0")} })
		want("what runs is offered")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
