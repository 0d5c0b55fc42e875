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

// waitsOf runs Redial for some minutes against a script and returns what it
// told of failures, in seconds from the start.
func waitsOf(t *testing.T, open func(tries int) (Line, error), use func()) (openings []int) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		err := Redial(ctx, func(context.Context) (Line, error) {
			openings = append(openings, int(time.Since(start)/time.Second))
			return open(len(openings))
		}, func(context.Context, Line) { use() }, func(error, time.Duration) {})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ended with %v", err)
		}
	})
	return openings
}

func TestRedialBacksOff(t *testing.T) {
	n := len(waitsOf(t, func(int) (Line, error) { return nil, errors.New("refused") }, nil))
	if n < 14 || n > 26 {
		t.Errorf("%d tries in 10 minutes", n)
	}
}

func TestRedialLooksForAMissingDeviceEverySecond(t *testing.T) {
	missing := fmt.Errorf("open: %w", fs.ErrNotExist)
	if n := len(waitsOf(t, func(int) (Line, error) { return nil, missing }, nil)); n < 599 {
		t.Errorf("%d tries in 10 minutes", n)
	}
}

func TestRedialAfterALineThatHeld(t *testing.T) {
	line := func(int) (Line, error) {
		a, b := net.Pipe()
		b.Close()
		return a, nil
	}
	held := waitsOf(t, line, func() { time.Sleep(30 * time.Second) })
	if n := len(held); n != 20 {
		t.Errorf("%d openings of a line that holds for 30 s, want one each 31 s: %v", n, held)
	}
	if n := len(waitsOf(t, line, func() {})); n < 14 || n > 26 {
		t.Errorf("%d openings of a line that breaks at once", n)
	}
}

func TestRedialClosesTheLine(t *testing.T) {
	a, b := net.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	err := Redial(ctx, func(context.Context) (Line, error) { return a, nil }, func(_ context.Context, line Line) { cancel() }, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	if _, err := b.Read(make([]byte, 1)); err == nil {
		t.Error("the line is still open")
	}
}

func TestRedialGivesUpWhatIsNotActive(t *testing.T) {
	err := Redial(t.Context(), func(ctx context.Context) (Line, error) {
		return Open(ctx, Settings{Serial: &Serial{Port: "usb:1-1"}})
	}, nil, nil)
	if !errors.Is(err, ErrNotActive) {
		t.Errorf("ended with %v", err)
	}
}
