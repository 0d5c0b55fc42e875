package uplink

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

const (
	// progressEvery is the longest silence towards the watchdog.
	progressEvery = 5 * time.Second
	// attemptLimit bounds one request; destinations have shorter limits of
	// their own. A little later a request counts as stuck.
	attemptLimit = 5 * time.Minute
	stuckAfter   = attemptLimit + 30*time.Second
	// lookAgain bounds a wait for arrivals, for whatever changes without one.
	lookAgain = time.Minute
	// storeLimit bounds one access to the spool.
	storeLimit = 10 * time.Second
	// longestStoreWait is the longest wait between two tries of such an access.
	longestStoreWait = time.Minute
)

// patience is how a loop waits: for time, for the store and for answers. It
// reports progress meanwhile, but not when an answer will not come any more.
type patience struct {
	log      *slog.Logger
	progress func()
}

// newPatience takes nil for no log and nobody who wants to know of progress.
func newPatience(log *slog.Logger, progress func(), destination string) patience {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if progress == nil {
		progress = func() {}
	}
	return patience{log.With("destination", destination), progress}
}

// wait returns at the next arrival, when wake has come (zero: never), or when
// ctx ends.
func (p patience) wait(ctx context.Context, arrival <-chan struct{}, wake time.Time) {
	latest := time.Now().Add(lookAgain)
	if wake.IsZero() || wake.After(latest) {
		wake = latest
	}
	for {
		left := time.Until(wake)
		timer := time.NewTimer(min(left, progressEvery))
		select {
		case <-ctx.Done():
		case <-arrival:
		case <-timer.C:
			p.progress()
			if left > progressEvery {
				continue
			}
		}
		timer.Stop()
		return
	}
}

// insist accesses the spool until that succeeds: a full disk passes, and a
// message that was delivered must not be sent again because this could not be
// noted. It gives up when ctx ends, and where trying again cannot help.
func (p patience) insist(ctx context.Context, doing string, access func(context.Context) error) error {
	for failures := 1; ; failures++ {
		// What was delivered is noted also when ctx has ended meanwhile.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeLimit)
		err := access(limited)
		cancel()
		if err == nil {
			return nil
		}
		for _, final := range []error{spool.ErrClosed, spool.ErrUncertain, spool.ErrNotFound, spool.ErrDamaged, spool.ErrReadOnly} {
			if errors.Is(err, final) {
				return err
			}
		}
		if ctx.Err() != nil {
			return err
		}
		if failures == 1 {
			p.log.Error("the store fails; trying again until it works", "doing", doing, "error", err)
		}
		p.wait(ctx, nil, time.Now().Add(min(backOff(failures), longestStoreWait)))
		p.progress()
	}
}

// note is insist for a change; what is no longer there needs none.
func (p patience) note(ctx context.Context, doing string, change func(context.Context) error) error {
	err := p.insist(ctx, doing, change)
	if errors.Is(err, spool.ErrNotFound) || errors.Is(err, spool.ErrDamaged) {
		p.log.Warn("the store does not have it any more", "doing", doing, "error", err)
		return nil
	}
	return err
}

// attend makes a request and waits for its end, for as long as that takes.
func (p patience) attend(ctx context.Context, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, attemptLimit)
	defer cancel()
	answer := make(chan error, 1)
	go func() { answer <- request(ctx) }()
	start := time.Now()
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-answer:
			return err
		case <-ticker.C:
			if time.Since(start) < stuckAfter {
				p.progress()
			}
		}
	}
}

// ended makes the error of a loop: none where it was told to end.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, spool.ErrUncertain) {
		return nil
	}
	return err
}
