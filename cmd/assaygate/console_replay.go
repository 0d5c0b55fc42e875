package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/capture"
)

// consoleReplay is what the console replays, and where to.
func (d *daemon) consoleReplay() console.Replay {
	s := &stage{daemon: d}
	return console.Replay{Destinations: d.stagingDestinations, Capture: s.capture, Message: s.message}
}

// stagingDestinations are the names of those that get only what is replayed to them.
func (d *daemon) stagingDestinations() (names []string) {
	for _, one := range d.config().Destinations {
		if one.Staging {
			names = append(names, one.Name)
		}
	}
	return names
}

// stage replays for the console: through the path of a live message, in a store of
// its own, into one destination for staging. One replay at a time: each opens a store
// and waits for a LIMS.
type stage struct {
	*daemon
	busy sync.Mutex
}

// longestReplayed is the largest file that the console replays. It is held in memory
// several times over; the command replays any.
const longestReplayed = 4 << 20

// capture is console.Replay.Capture.
func (s *stage) capture(ctx context.Context, destination, name, to string, dry bool) (console.Replayed, error) {
	file, content, err := s.openCapture(destination, name)
	if err != nil {
		return console.Replayed{}, err
	}
	defer content.Close()
	if file.Trace {
		return console.Replayed{}, fmt.Errorf("%w: what went over a line is no message; its messages are files beside it", spool.ErrRefused)
	}
	data, err := io.ReadAll(io.LimitReader(content, longestReplayed+1))
	if err != nil {
		return console.Replayed{}, err
	}
	return s.replay(ctx, name, data, to, dry)
}

// message is console.Replay.Message. A kept message is what its capture would be.
func (s *stage) message(ctx context.Context, e envelope.Envelope, to string, dry bool) (console.Replayed, error) {
	return s.replay(ctx, capture.FileName(e), e.Raw, to, dry)
}

// replay takes a capture in as its instrument would send it, and delivers it if it is
// whole. Its name says which instrument that is.
func (s *stage) replay(ctx context.Context, name string, data []byte, to string, dry bool) (console.Replayed, error) {
	if !s.busy.TryLock() {
		return console.Replayed{}, fmt.Errorf("%w: another replay is going on; try again in a moment", spool.ErrRefused)
	}
	defer s.busy.Unlock()
	config, err := s.config().stagedTo(to)
	switch {
	case err != nil:
		return console.Replayed{}, err
	case strings.HasSuffix(name, ".partial"):
		return console.Replayed{Problems: []string{"this input was not acknowledged, so the analyser still has it or has sent it again"}}, nil
	case len(data) > longestReplayed:
		return console.Replayed{Problems: []string{fmt.Sprintf("it is larger than the %d MiB that the console replays; use assaygate replay --to %s", longestReplayed>>20, to)}}, nil
	}
	read, err := captureIn(data)
	if err != nil {
		return console.Replayed{Problems: []string{err.Error()}}, nil
	}
	silent := &streams{io.Discard, io.Discard}
	r, err := newReplay(&replayCommand{Retries: 1, DryRun: dry}, config, nil, silent)
	if err != nil {
		return console.Replayed{}, err
	}
	replayed, err := r.staged(ctx, name, read)
	return replayed, errors.Join(err, r.close())
}

// stagedTo is the configuration with the named destination alone, which must be for
// staging.
func (c Config) stagedTo(name string) (Config, error) {
	for _, one := range c.Destinations {
		if one.Name == name && one.Staging {
			one.Staging = false // a person has chosen it
			c.Destinations = []Destination{one}
			return c, nil
		}
	}
	return Config{}, fmt.Errorf("%w: %q is not for staging, and replays go nowhere else", spool.ErrRefused, name)
}

// staged is file for the console. All of it is sent, or nothing.
func (r *replay) staged(ctx context.Context, name string, read capturefile.File) (done console.Replayed, err error) {
	envelopes, notes, problems := r.readIn(ctx, name, read)
	done.Messages, done.Notes, done.Problems = messagesIn(envelopes), notes, problems
	if len(problems) == 0 && !r.DryRun {
		r.deliver(ctx)
	}
	for _, e := range envelopes {
		one := console.ReplayedEnvelope{SampleID: e.SampleID, Profile: e.Profile, Kind: e.Kind, Results: len(e.Results), Problem: e.Problem, Outcome: "not sent"}
		if len(problems) == 0 {
			one.Outcome, one.Taken = r.fate(ctx, e, r.to[0])
		}
		done.Envelopes = append(done.Envelopes, one)
	}
	return done, nil
}
