package probe

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/assaygate/assaygate/device/port"
)

// Line is a serial line to listen to. It has no Write.
type Line interface {
	Read(p []byte) (int, error)
	SetReadDeadline(t time.Time) error
	// Retune changes speed and character format, and forgets what came before.
	Retune(s port.Serial) error
	// Errors returns what the driver counted; errors.ErrUnsupported where it
	// counts nothing.
	Errors() (port.Counters, error)
}

const (
	// patience is how long nothing must come for the next setting to be tried:
	// longer than LIS01 instruments that nobody answers are silent, which is 15 s
	// after ENQ and some 10 s after EOT.
	patience = 35 * time.Second
	// quiet ends a burst: several characters at any speed, with what adapters keep
	// back.
	quiet = 300 * time.Millisecond
	// longest and most bound a burst: noise may never end.
	longest = 5 * time.Second
	most    = 64 << 10
)

// Step tells what a probe does.
type Step struct {
	Setting Setting // that was listened to
	Bytes   int     // that came; 0: nothing did
	Sense   bool    // they made sense
	Next    Setting // to be listened to now
}

// Listen listens until it is sure, or ctx ends, which is no error: the verdict is
// what is known then. The line is left with the setting that was listened to last.
// Told, which may be nil, is called for each step.
func Listen(ctx context.Context, line Line, told func(Step)) (Verdict, error) {
	s := newSearch()
	defer context.AfterFunc(ctx, func() { line.SetReadDeadline(time.Unix(1, 0)) })()
	for tuned := (Setting{}); ctx.Err() == nil && !s.settled(); {
		now := s.setting()
		if now != tuned {
			if err := line.Retune(now.serial()); err != nil {
				return s.verdict(), fmt.Errorf("listen with %s: %w", now, err)
			}
			tuned = now
		}
		began := time.Now()
		b, err := next(ctx, line)
		took := time.Since(began)
		step := Step{Setting: now, Bytes: len(b.data)}
		switch {
		case err != nil:
			return s.verdict(), fmt.Errorf("listen with %s: %w", now, err)
		case len(b.data) == 0 && b.errors == (port.Counters{}):
			if ctx.Err() != nil {
				s.observation(now).Seconds += int(took.Round(time.Second) / time.Second)
				return s.verdict(), nil
			}
			s.silence(took)
		default:
			noise := s.observation(now).Noise
			s.heard(b, took)
			step.Sense = s.observation(now).Noise == noise
		}
		step.Next = s.setting()
		if told != nil {
			told(step)
		}
	}
	return s.verdict(), nil
}

// next waits for a burst and takes all of it. An empty one is silence.
func next(ctx context.Context, line Line) (b burst, err error) {
	before, err := line.Errors()
	b.told = err == nil
	buffer := make([]byte, 4096)
	began := time.Now()
	end := began.Add(patience)
	for len(b.data) < most && ctx.Err() == nil {
		if err := line.SetReadDeadline(end); err != nil {
			return b, err
		}
		if ctx.Err() != nil { // its deadline may have been set before ours
			break
		}
		n, err := line.Read(buffer)
		if n > 0 {
			if len(b.data) == 0 {
				began = time.Now()
			}
			b.data = append(b.data, buffer[:n]...)
			end = time.Now().Add(quiet)
			if last := began.Add(longest); last.Before(end) {
				end = last
			}
		}
		if errors.Is(err, os.ErrDeadlineExceeded) || n > 0 && !time.Now().Before(end) {
			break
		}
		if err != nil {
			return b, err
		}
	}
	if after, err := line.Errors(); err == nil && b.told {
		b.errors = port.Counters{
			Parity: after.Parity - before.Parity, Framing: after.Framing - before.Framing,
			Overrun: after.Overrun - before.Overrun, Break: after.Break - before.Break,
		}
	}
	return b, nil
}
