package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// reserve is what the agent leaves free on the card, in bytes. The store of the messages
// removes finished ones below 64 MiB and takes nothing in below 32: a release must come near
// neither, also where others write at the same time.
const reserve = 128 << 20

// crowdedError is a card that has no room for a bundle.
type crowdedError struct {
	free, needed int64 // bytes
}

func (e crowdedError) Error() string {
	return fmt.Sprintf("there is no room for it: %d MiB are free on the card, and %d MiB are needed, of which %d MiB stay free for messages. "+
		"Make room on /data, or take a larger card", e.free>>20, (e.needed+1<<20-1)>>20, reserve>>20)
}

// room is nil where so many more bytes leave the reserve free, or nobody knows.
func (a *Agent) room(more int64) error {
	if a.Free == nil {
		return nil
	}
	free, known := a.Free(a.Bundles)
	if !known { // it is made with the first bundle
		free, known = a.Free(filepath.Dir(a.Bundles))
	}
	if needed := more + reserve; known && free < float64(needed) {
		return crowdedError{int64(free), needed}
	}
	return nil
}

// here is how many bytes of the bundle are on the card.
func (a *Agent) here(offer candidate) int64 {
	info, err := os.Stat(a.bundle(offer.Hash))
	if err != nil {
		return 0
	}
	return info.Size()
}

// fetch has the bundle brought here, or verified where it is, for as long as the card has
// room. Where it has none, no bundle stays on it.
func (a *Agent) fetch(ctx context.Context, offer candidate, progress func(done int64)) error {
	missing := offer.Length - a.here(offer)
	if missing > 0 && a.room(missing) != nil {
		a.clearBundles(offer.Hash) // another one may be all that is in the way
		if err := a.room(missing); err != nil {
			a.clearBundles()
			return err
		}
	}
	limited, cancel := context.WithCancel(ctx)
	defer cancel()
	var crowded error
	err := a.repository(offer.source).Download(limited, offer.Offer, a.bundle(offer.Hash), func(done int64) {
		if crowded = a.room(offer.Length - done); crowded != nil {
			cancel()
			return
		}
		progress(done)
	})
	if crowded != nil {
		err = crowded
	}
	if crowded != nil || errors.Is(err, syscall.ENOSPC) {
		a.clearBundles()
	}
	return err
}

// makeRoom removes all bundles where others have taken the reserve meanwhile. It reports
// whether one of them was whole, and waited for its time: it is fetched again.
func (a *Agent) makeRoom(f facts) bool {
	err := a.room(0)
	if err == nil {
		return false
	}
	a.clearBundles()
	for _, offer := range f.offers {
		if offer.Hash == a.ready {
			a.ready = ""
			a.rest(offer, "it was fetched, and made room for messages: "+err.Error())
			return true
		}
	}
	return false
}
