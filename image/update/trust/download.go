package trust

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Limits are how a download behaves on the line that the laboratory shares.
type Limits struct {
	Rate int64         // bytes a second, 0 for no bound
	Idle time.Duration // how long nothing may come, 0 for a minute
	// Progress is called with the bytes that are there, where it is not nil.
	Progress func(done int64)
}

// Download fetches a bundle into a file and verifies it on the way. It goes on
// where an earlier attempt with the same file ended. No error means that the whole
// bundle is there, durable, and what was signed. A [Refusal] means that it is not
// what was signed, and the file is gone; all other errors may be over by the next
// attempt. What comes after the length that was signed is not read.
func Download(ctx context.Context, source Source, offer Offer, file string, limits Limits) error {
	resumed, err := download(ctx, source, offer, file, limits)
	if resumed && errors.Is(err, ErrDamaged) {
		// What was there before was damaged, on the card or by another bundle.
		_, err = download(ctx, source, offer, file, limits)
	}
	return err
}

// download makes one attempt, and reports whether a part was there before it.
func download(ctx context.Context, source Source, offer Offer, path string, limits Limits) (resumed bool, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return false, fmt.Errorf("keeping the bundle: %w", err)
	}
	defer file.Close()
	sums, err := newSums(offer)
	if err != nil {
		return false, err
	}
	d := transfer{source: source, offer: offer, file: file, sums: sums, limits: limits}
	if err := d.resume(ctx); err != nil {
		return false, err
	}
	resumed = d.done > 0
	if d.done < offer.Length {
		if err := d.fetch(ctx); err != nil {
			return resumed, err
		}
	}
	if err := d.sums.check(offer); err != nil {
		return resumed, errors.Join(err, file.Close(), os.Remove(path))
	}
	if err := errors.Join(file.Sync(), syncDir(filepath.Dir(path))); err != nil {
		return resumed, onCard(err)
	}
	return resumed, nil
}

// transfer is one attempt under way.
type transfer struct {
	source Source
	offer  Offer
	file   *os.File
	sums   sums
	limits Limits
	done   int64 // bytes that are in the file and in the sums
}

// resume feeds what is there already to the sums.
func (t *transfer) resume(ctx context.Context) error {
	info, err := t.file.Stat()
	if err != nil {
		return onCard(err)
	}
	buffer := make([]byte, 256<<10)
	for t.done < info.Size() {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n, err := t.file.ReadAt(buffer[:min(int64(len(buffer)), info.Size()-t.done)], t.done)
		t.sums.write(buffer[:n])
		t.done += int64(n)
		if err != nil && t.done < info.Size() {
			return t.restart() // a block of the card that cannot be read
		}
	}
	return nil
}

func (t *transfer) restart() error {
	t.done = 0
	t.sums.reset()
	if err := t.file.Truncate(0); err != nil {
		return onCard(err)
	}
	return nil
}

// fetch gets the bytes that are missing.
func (t *transfer) fetch(ctx context.Context) error {
	idle := t.limits.Idle
	if idle <= 0 {
		idle = time.Minute
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(idle, func() { cancel(fmt.Errorf("nothing came for %v", idle)) })
	defer silence.Stop()
	err := t.stream(ctx, func() { silence.Reset(idle) })
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err == nil || errors.As(err, new(*cardError)) {
		return err
	}
	return fmt.Errorf("the download stopped at %d of %d bytes, and goes on from there at the next attempt: %w", t.done, t.offer.Length, err)
}

func (t *transfer) stream(ctx context.Context, alive func()) error {
	body, err := t.source.Open(ctx, t.offer.file(), t.done)
	if errors.Is(err, ErrNoRange) && t.done > 0 {
		if err := t.restart(); err != nil {
			return err
		}
		body, err = t.source.Open(ctx, t.offer.file(), 0)
	}
	if err != nil {
		return err
	}
	defer body.Close()
	pace := newPace(t.limits.Rate)
	buffer := make([]byte, pace.chunk())
	for t.done < t.offer.Length {
		n, err := body.Read(buffer[:min(int64(len(buffer)), t.offer.Length-t.done)])
		if n > 0 {
			alive()
			if err := t.take(buffer[:n]); err != nil {
				return err
			}
			if err := pace.wait(ctx, n, alive); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) && t.done < t.offer.Length {
			return io.ErrUnexpectedEOF
		}
		if err != nil && t.done < t.offer.Length {
			return err
		}
	}
	return nil
}

// take writes what came at its place in the file.
func (t *transfer) take(data []byte) error {
	if _, err := t.file.WriteAt(data, t.done); err != nil {
		return onCard(err)
	}
	t.sums.write(data)
	t.done += int64(len(data))
	if t.limits.Progress != nil {
		t.limits.Progress(t.done)
	}
	return nil
}

// cardError is a failure of the box's own storage.
type cardError struct{ error }

func (e *cardError) Unwrap() error { return e.error }

func onCard(err error) error {
	if errors.Is(err, syscall.ENOSPC) {
		return &cardError{fmt.Errorf("the bundle does not fit on the card: make room on /data, or take a larger card (%w)", err)}
	}
	return &cardError{fmt.Errorf("keeping the bundle: see whether the card is failing (%w)", err)}
}

// sums are the running hashes of a bundle by their algorithm.
type sums map[string]hash.Hash

func newSums(offer Offer) (sums, error) {
	all := sums{}
	for algorithm := range offer.Hashes {
		switch algorithm {
		case "sha256":
			all[algorithm] = sha256.New()
		case "sha512":
			all[algorithm] = sha512.New()
		}
	}
	if all["sha256"] == nil {
		return nil, &Refusal{ErrDamaged, fmt.Sprintf("%s has no SHA-256 hash: whoever makes your releases signs it anew", offer.Path), nil}
	}
	return all, nil
}

func (s sums) write(data []byte) {
	for _, sum := range s {
		sum.Write(data) // never fails
	}
}

func (s sums) reset() {
	for _, sum := range s {
		sum.Reset()
	}
}

func (s sums) check(offer Offer) error {
	for algorithm, sum := range s {
		if got := hex.EncodeToString(sum.Sum(nil)); got != offer.Hashes[algorithm] {
			return &Refusal{ErrDamaged, fmt.Sprintf("%s is not what was signed: it was damaged on the way, or somebody has changed it. "+
				"It was deleted and is not installed. Should it come again, copy the bundle into the repository again, or ask whoever runs that",
				offer.Path), fmt.Errorf("%s is %s, and %s was signed", algorithm, got, offer.Hashes[algorithm])}
		}
	}
	return nil
}
