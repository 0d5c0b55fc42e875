package port

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestBackoff(t *testing.T) {
	waits := func(random float64, n int) (waits []int) {
		b := Backoff{Random: func() float64 { return random }}
		for range n {
			waits = append(waits, int(b.Next()/time.Second))
		}
		return waits
	}
	if got, want := waits(0, 9), []int{1, 1, 2, 4, 8, 16, 30, 30, 30}; !slices.Equal(got, want) {
		t.Errorf("least: %v, want %v", got, want)
	}
	if got, want := waits(1, 9), []int{1, 2, 4, 8, 16, 32, 60, 60, 60}; !slices.Equal(got, want) {
		t.Errorf("most: %v, want %v", got, want)
	}
	var b Backoff
	for range 1000 {
		if wait := b.Next(); wait < time.Second || wait > time.Minute {
			t.Fatalf("wait of %v", wait)
		}
	}
	if b.Reset(); b.Next() != time.Second {
		t.Error("the first wait after Reset is not Min")
	}
}

// openings runs Redial for a minute against a line that is used for a time, or
// cannot be opened, and returns how often it was tried.
func openings(t *testing.T, use time.Duration, failure error) (tries int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		failures := 0
		err := Redial(ctx, func(context.Context) (Line, error) {
			tries++
			if failure != nil {
				return nil, failure
			}
			a, b := net.Pipe()
			b.Close()
			return a, nil
		}, func(context.Context, Line) { time.Sleep(use) }, func(err error) { failures++ }, nil)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
		if failure != nil && failures < tries-1 { // the last may fall on the end
			t.Errorf("told %d of %d failures", failures, tries)
		}
	})
	return tries
}

// However often a line has come and gone, it is up again within two seconds.
func TestRedialNeverWaitsLong(t *testing.T) {
	for name, test := range map[string]struct {
		use     time.Duration
		failure error
		most    time.Duration // between two tries
	}{
		"refused":         {0, errors.New("refused"), time.Second},
		"no device":       {0, fmt.Errorf("open: %w", fs.ErrNotExist), time.Second},
		"breaks at once":  {0, nil, time.Second},
		"holds for a bit": {4 * time.Second, nil, 5 * time.Second},
	} {
		least := int(time.Minute / test.most)
		if n := openings(t, test.use, test.failure); n < least || n > 3*least {
			t.Errorf("%s: %d tries in a minute, want at least %d", name, n, least)
		}
	}
}

// Where nothing answers, the first packet of a connection is repeated after one
// second, and then anew with the next attempt.
func TestDialLeavesNoLongGap(t *testing.T) {
	const repeated = time.Second // TCP_TIMEOUT_INIT; the next would be 2 s later
	if gap := dialAttempt - repeated + lookAgain; gap > 2*time.Second-200*time.Millisecond || dialAttempt >= 3*time.Second {
		t.Errorf("%v without a packet", gap)
	}
}

func TestRedialClosesTheLine(t *testing.T) {
	a, b := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	err := Redial(ctx, func(context.Context) (Line, error) { return a, nil }, func(_ context.Context, line Line) { cancel() }, nil, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); err == nil {
		t.Error("the line is still open")
	}
}

func TestRedialGivesUpWhatIsNotActive(t *testing.T) {
	err := Redial(t.Context(), func(ctx context.Context) (Line, error) {
		return Open(ctx, Settings{Serial: &Serial{Port: "usb:1-1"}, Resolve: DevicePath})
	}, nil, nil, nil)
	if !errors.Is(err, ErrNotActive) {
		t.Errorf("ended with %v", err)
	}
}

// A device that comes is opened at once, one that came while it was looked for
// too, and news that there was before does not make it try again and again.
func TestRedialOpensWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const comes, ready, gone = 10 * time.Millisecond, 11 * time.Millisecond, 300 * time.Millisecond
		start := time.Now()
		var at []time.Duration
		first, second := make(chan struct{}), make(chan struct{})
		time.AfterFunc(comes, func() { close(first) })
		ctx, cancel := context.WithTimeout(t.Context(), gone+lookAgain/2)
		defer cancel()
		asked := 0
		news := func() <-chan struct{} {
			switch asked++; asked {
			case 1:
				return first
			case 2:
				return second
			}
			return nil
		}
		err := Redial(ctx, func(context.Context) (Line, error) {
			at = append(at, time.Since(start))
			switch len(at) {
			case 1:
				return nil, fs.ErrNotExist
			case 2: // the node is there, and udev comes while it is tried
				close(second)
				time.Sleep(ready - comes)
				return nil, fs.ErrPermission
			}
			a, b := net.Pipe()
			b.Close()
			return a, nil
		}, func(context.Context, Line) { time.Sleep(gone - ready) }, nil, news)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
		if want := []time.Duration{0, comes, ready}; !slices.Equal(at, want) {
			t.Errorf("opened at %v, want %v", at, want)
		}
	})
}
