package main

import (
	"context"
	"errors"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/envelope/spool"
)

const (
	// lookAtFace is how often it is looked what the lights have to say.
	lookAtFace = 2 * time.Second
	// lookAtStore is how often the store is asked for that.
	lookAtStore = 10 * time.Second
	// closedFor is how long a listener may be closed until that is shown.
	closedFor = time.Minute
)

// watchFace looks until ctx ends what the lights have to say. It may wait for
// the card; the lights do not wait for it.
func (d *daemon) watchFace(ctx context.Context) {
	ticker := time.NewTicker(lookAtFace)
	defer ticker.Stop()
	var kept glimpse
	for {
		d.face.showUpdate(d.updates.underWay())
		d.face.note(d.lookAtFace(ctx, &kept))
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// glimpse is what was seen so far: of the store, when it was asked last.
type glimpse struct {
	closed       time.Time // since when a listener is; zero for none
	at           time.Time
	destinations []spool.DestinationStatus
	damaged      bool
	unowned      bool
}

// lookAtFace finds the most urgent of the states that hold.
func (d *daemon) lookAtFace(ctx context.Context, kept *glimpse) board.State {
	trouble := d.storeTrouble()
	switch {
	case errors.Is(trouble, errAsked):
		return board.Starting
	case trouble != nil:
		return board.Refusing
	}
	if kept.at.IsZero() || time.Since(kept.at) >= lookAtStore {
		d.askStore(ctx, kept)
	}
	if d.doors.missing() == nil {
		kept.closed = time.Time{}
	} else if kept.closed.IsZero() {
		kept.closed = time.Now()
	}
	switch {
	case d.needsPerson(*kept):
		return board.NeedsPerson
	case d.health.Ready() != nil:
		return board.Starting
	case d.unreachable(*kept):
		return board.Unreachable
	case kept.unowned:
		return board.Unowned
	}
	return board.Ready
}

func (d *daemon) askStore(ctx context.Context, kept *glimpse) {
	kept.at, kept.unowned = time.Now(), !d.owned()
	g, _ := d.standing.now()
	if g == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	// Where it cannot be read, it is about to be closed, and storeTrouble says so.
	if status, err := g.store.Status(ctx); err == nil {
		kept.destinations, kept.damaged = status.Destinations, status.Damaged > 0
	}
}

// needsPerson reports whether something waits for a person while messages are
// taken in.
func (d *daemon) needsPerson(kept glimpse) bool {
	if card := d.card(); card.EndsSoon || card.Errors > 0 || kept.damaged || d.changes.refused() {
		return true
	}
	for _, one := range kept.destinations {
		if one.Active && (one.Parked > 0 || one.Held != "") {
			return true
		}
	}
	for _, one := range d.config().Instruments {
		if d.metrics.state(one.Name).noisy {
			return true
		}
	}
	return !kept.closed.IsZero() && time.Since(kept.closed) >= closedFor
}

// unreachable reports whether something waits for a destination that is not
// reached.
func (d *daemon) unreachable(kept glimpse) bool {
	for _, one := range kept.destinations {
		if one.Active && one.Pending > 0 && d.face.unreached(one.Name) {
			return true
		}
	}
	return false
}

// owned reports whether the box has an owner. One that is in doubt counts: nobody
// else may do what only the owner may.
func (d *daemon) owned() bool {
	key, err := d.ownership().of(d.config())
	return err != nil || key != nil
}
