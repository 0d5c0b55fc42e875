package instrument

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// link is what a protocol makes of a line's bytes.
type link interface {
	// take consumes what it can of data and returns the rest. Quiet means that
	// nothing more has come for the time that patience asked for. An error
	// ends the line.
	take(ctx context.Context, data []byte, quiet bool) (rest []byte, err error)
	// patience says how long after the last byte take wants to be called with
	// quiet, and when the peer has been silent for too long; 0 is never.
	patience(data []byte) (quiet, limit time.Duration)
	// expire ends what is going on: the limit has passed, or the line is gone.
	expire(ctx context.Context, why string)
	// idle reports that no message is in progress.
	idle() bool
	// kept is how many bytes of an unfinished message it holds, beside the
	// rest that take returned.
	kept() int
}

// speaker is a link that also sends of its own accord, not only in reply.
type speaker interface {
	// due is when it wants to speak, with data that take returned; zero is never.
	due(data []byte) time.Time
	// speak says what is due. An error ends the line.
	speak(ctx context.Context) error
	// hush ends what it is saying, at once, and has it say no more.
	hush(why string)
}

// line is one open line with the instruments that may be at its end.
type line struct {
	*Service
	conn     port.Line
	tap      *tapped // conn, where somebody looks on; else nil
	remote   string
	members  []Instrument
	log      *slog.Logger
	progress func()
	busy     func(bool) // tells whether a message is in progress

	began time.Time // of the session or message in progress, or what was kept of it last; zero in the neutral state
	held  int64     // bytes of its unfinished message that count for Service.held
	stray bool      // bytes that belong to nothing have been reported

	// uncertain is set when nobody knows whether a commit took place. Then
	// neither answer is true, and the line ends without one.
	uncertain error
}

const (
	// heartbeat is how often a waiting line reports that it lives.
	heartbeat = 10 * time.Second
	// leastRead and mostRead are the sizes of the buffer that is read into: 500
	// idle connections must not cost much, nor an image of some megabytes.
	leastRead = 4 << 10
	mostRead  = 64 << 10
	// writeTimeout is how long an answer of a few bytes may take; a long one gets
	// more.
	writeTimeout = 10 * time.Second
	// mostWritten is how much of a long answer is written before the line says
	// that it lives.
	mostWritten = 4 << 10
)

// readFirst is how long a line is read before it speaks, though it is time to: a
// read whose deadline has passed would not look.
const readFirst = 5 * time.Millisecond

// silence is a link's voice where it only replies.
type silence struct{}

func (silence) due([]byte) time.Time        { return time.Time{} }
func (silence) speak(context.Context) error { return nil }
func (silence) hush(string)                 {}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// past is a deadline that ends a waiting read.
var past = time.Unix(1, 0)

// run serves the line until it ends. When ctx ends it returns as soon as no
// message is in progress, at the latest after the grace period. The caller
// closes the line.
func (l *line) run(ctx context.Context, link link) error {
	defer context.AfterFunc(ctx, func() { l.conn.SetReadDeadline(past) })()
	defer l.hold(0)
	voice, _ := link.(speaker)
	if voice == nil {
		voice = silence{}
	}
	defer voice.hush("the line has ended")
	var (
		data    []byte
		in      = make([]byte, leastRead)
		last    = time.Now()
		end     time.Time // of the grace period
		flushed bool
	)
	// A card that takes its time must not cost the sender's: the timers stand still
	// meanwhile. Past already, they would end a frame or session without a look at
	// what has come.
	take := func(quiet bool) (rest []byte, err error) {
		begun := time.Now()
		rest, err = link.take(ctx, data, quiet)
		last = last.Add(time.Since(begun))
		return rest, err
	}
	for {
		l.progress()
		if ctx.Err() != nil && end.IsZero() {
			end = time.Now().Add(l.grace())
			voice.hush("the box was stopped")
		}
		if !end.IsZero() && (link.idle() && len(data) == 0 || !time.Now().Before(end)) {
			link.expire(ctx, "the box was stopped")
			return nil
		}
		ends, why := l.ends(link.idle() && len(data) == 0, last)
		if !ends.IsZero() && !time.Now().Before(ends) {
			link.expire(ctx, why.Error())
			return why
		}
		quiet, limit := link.patience(data)
		deadline := soonest(end, ends, after(last, limit))
		if !flushed {
			deadline = soonest(deadline, after(last, quiet))
		}
		due := voice.due(data)
		if !due.IsZero() && due.Before(deadline) {
			// What has come already is read first: it may make speaking needless.
			deadline = later(due, time.Now().Add(readFirst))
		}
		if err := l.conn.SetReadDeadline(deadline); err != nil {
			link.expire(ctx, "the line was lost")
			return fmt.Errorf("setting a deadline: %w", err)
		}
		if ctx.Err() != nil && end.IsZero() {
			continue // it ended before the deadline was set
		}
		n, err := l.conn.Read(in)
		if n > 0 {
			last, flushed = time.Now(), false
			data = append(data, in[:n]...)
			if n == len(in) && n < mostRead {
				in = make([]byte, mostRead) // a long message: fewer, longer looks at it
			}
			if data, err = take(false); err == nil && !l.hold(len(data)+link.kept()) {
				err = errCrowded
			}
			if err != nil {
				link.expire(ctx, "the line was closed: "+err.Error())
				return err
			}
			l.busy(!link.idle())
			continue
		}
		switch {
		case err == nil:
		case !errors.Is(err, os.ErrDeadlineExceeded):
			link.expire(ctx, "the line was lost")
			return err
		case limit > 0 && time.Since(last) >= limit:
			l.timer("ran out: nothing came for %s", limit)
			link.expire(ctx, fmt.Sprintf("nothing came for %s", limit))
			data, last = nil, time.Now()
			l.hold(0)
		case quiet > 0 && !flushed && time.Since(last) >= quiet:
			flushed = true
			l.timer("ran out: nothing came for %s, so what has come is taken as it stands", quiet)
			if data, err = take(true); err != nil {
				link.expire(ctx, "the line was closed: "+err.Error())
				return err
			}
			l.hold(len(data) + link.kept()) // it can only have become less
		case !due.IsZero() && !time.Now().Before(due):
			if err := voice.speak(ctx); err != nil {
				link.expire(ctx, "the line was closed: "+err.Error())
				return err
			}
		}
		l.busy(!link.idle())
	}
}

// hold tells how many bytes of an unfinished message the line has now. It
// reports whether there is room for them.
func (l *line) hold(n int) bool {
	now := int64(n)
	if n <= freeHeld {
		now = 0
	}
	all := l.Service.held.Add(now - l.held)
	grown := now > l.held
	l.held = now
	return !grown || all <= mostHeld || all == now
}

var (
	errIdle    = errors.New("nothing came for as long as limits.idle allows")
	errSession = errors.New("a session or message took longer than limits.session allows")
)

// ends is when a limit ends the line, and which: that of silence in the neutral
// state, or that of a session, from its first byte or from the message of it that
// was kept last. A long session that brings message after message goes on: its
// sender would repeat all of it, and be cut off again.
func (l *line) ends(neutral bool, last time.Time) (time.Time, error) {
	limits := l.members[0].Settings.Limits
	if neutral {
		l.began = time.Time{}
		return after(last, limits.Idle), errIdle
	}
	if l.began.IsZero() {
		l.began = last
	}
	return after(l.began, limits.Session), errSession
}

// after is a time that long after another; the zero time, which is never, for 0.
func after(t time.Time, d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return t.Add(d)
}

// soonest is the first of the times, at the latest the next heartbeat. Zero
// times do not count.
func soonest(times ...time.Time) time.Time {
	at := time.Now().Add(heartbeat)
	for _, t := range times {
		if !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	return at
}

// write sends an answer, or a frame: at 1200 baud, 120 bytes a second.
func (l *line) write(answer []byte) error {
	for len(answer) > mostWritten {
		if err := l.writeWithin(answer[:mostWritten], timeToWrite(mostWritten)); err != nil {
			return err
		}
		l.progress()
		answer = answer[mostWritten:]
	}
	return l.writeWithin(answer, timeToWrite(len(answer)))
}

func timeToWrite(bytes int) time.Duration {
	return writeTimeout + time.Duration(bytes)*time.Second/100
}

func (l *line) writeWithin(answer []byte, timeout time.Duration) error {
	if l.uncertain != nil {
		return fmt.Errorf("closed without an answer: %w", l.uncertain)
	}
	if len(answer) == 0 {
		return nil
	}
	if err := l.conn.SetWriteDeadline(time.Now().Add(timeout)); err != nil {
		return fmt.Errorf("setting a deadline: %w", err)
	}
	if _, err := l.conn.Write(answer); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	return nil
}

func (l *line) member(protocol envelope.Protocol, text []byte) Instrument {
	return Sender(l.Profiles, l.members, protocol, text)
}

// Sender is the instrument, of at least one, that a message is from: of those
// that share a line the one whose profile fits, else the first without a
// profile. Where there is none either it is the first, but without its profile,
// which would read places that the message does not have.
func Sender(profiles *profile.Set, members []Instrument, protocol envelope.Protocol, text []byte) Instrument {
	return memberOf(members, profiles.Recognise(protocol, text))
}

func memberOf(members []Instrument, recognised string) Instrument {
	if len(members) == 1 {
		return members[0]
	}
	for _, wanted := range []string{recognised, ""} {
		for _, m := range members {
			if m.Settings.Profile == wanted {
				return m
			}
		}
	}
	stranger := members[0]
	stranger.Settings.Profile = ""
	return stranger
}

// message puts together what profile.Set.Envelopes needs.
func (l *line) message(m Instrument, protocol envelope.Protocol) profile.Raw {
	return profile.Raw{
		Protocol: protocol, Instrument: m.Name, Remote: l.remote,
		Profile: m.Settings.Profile, Charset: m.Settings.Charset, Zone: m.Settings.Location(),
		Clock: l.Clock(), Deliver: m.Settings.Kinds(), Intake: envelope.Accepted,
	}
}

// keep makes a message durable and counts it. Draft names the draft that it
// replaces, or is "".
func (l *line) keep(ctx context.Context, draft string, messages ...profile.Raw) error {
	l.progress() // many may have come at once, and the card be slow
	size := 0
	for _, m := range messages {
		size += len(m.Text)
	}
	defer l.room.enter(size, l.progress)()
	var all []envelope.Envelope
	for _, m := range messages {
		all = append(all, l.Profiles.Envelopes(m, time.Now())...)
	}
	err := l.store(ctx, func(ctx context.Context) error {
		if draft != "" {
			_, err := l.Spool.PutFinal(ctx, draft, all...)
			return err
		}
		_, err := l.Spool.Put(ctx, all...)
		return err
	})
	if err != nil {
		l.log.Error("message not stored, not acknowledged", "error", err)
		l.doubt(err)
		return err
	}
	if messages[0].Intake != envelope.Incomplete {
		l.began = time.Now()
	}
	counted := ""
	for _, e := range all {
		if e.MessageID == counted {
			continue
		}
		counted = e.MessageID
		l.count(e)
		if e.Intake == envelope.Rejected && messages[0].Intake != envelope.Rejected {
			err = errNotKept
		}
	}
	return err
}

// errNotKept says that nothing of a message is kept but a note for the audit, so
// that its sender must keep it.
var errNotKept = errors.New("the message cannot be split into records, and the allowlist lets nothing else be kept")

// strange reports, once a line, bytes that belong to no frame or block: the
// usual cause is a sender that speaks another language.
func (l *line) strange(skipped []byte, other, meaning string) {
	if l.stray {
		return
	}
	l.stray = true
	if !l.news.first("strange " + l.members[0].Name + " " + hostOf(l.remote)) {
		return
	}
	hint := "bytes that belong to no frame or block; on a serial line check baud rate, parity and wiring"
	switch {
	case bytes.HasPrefix(skipped, []byte("\x16\x03")): // a handshake record, RFC 8446 5.1
		hint = "the sender speaks TLS, this listener does not: give it tls, or switch TLS off there"
	case bytes.ContainsAny(skipped, other):
		hint = meaning
	}
	l.log.Warn("strange bytes on the line", "hint", hint)
}

func (l *line) doubt(err error) {
	if errors.Is(err, spool.ErrUncertain) {
		l.uncertain = err
	}
}

// count reports a stored message.
func (l *line) count(e envelope.Envelope) {
	outcome := Received
	switch e.Intake {
	case envelope.Rejected:
		outcome = Rejected
	case envelope.Incomplete:
		outcome = Incomplete
	}
	l.Observer.Message(e.Instrument, e.Protocol, outcome)
	if outcome == Received && e.Problem == "" {
		l.Observer.Message(e.Instrument, e.Protocol, Parsed)
	}
	level, what := slog.LevelInfo, "message stored"
	if outcome == Rejected {
		level, what = slog.LevelWarn, "message refused, kept for the audit"
	}
	l.Log.Log(context.Background(), level, what, "instrument", e.Instrument, "remote", l.remote, "profile", e.Profile, "control_id", e.ControlID,
		"id", e.ID, "kind", e.Kind, "outcome", e.Intake, "reason", e.Reason, "problem", e.Problem)
}
