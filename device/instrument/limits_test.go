package instrument

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope"
)

// reasonCounts counts negative acknowledgements and closed lines by reason.
type reasonCounts struct {
	silent
	mu      sync.Mutex
	reasons map[string]int
}

func (o *reasonCounts) NegativeAck(_, reason string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.reasons == nil {
		o.reasons = map[string]int{}
	}
	o.reasons[reason]++
}

func (o *reasonCounts) all() map[string]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.reasons)
}

// wants waits until the counts are these: a peer may see its end before it is
// counted.
func (o *reasonCounts) wants(t *testing.T, want map[string]int) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !maps.Equal(o.all(), want); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("counted %v, want %v", o.all(), want)
		}
	}
}

// pipe is connect with a line that has no file behind it, so that time is that
// of the bubble.
func (b *bench) pipe(m Instrument) {
	here, there := net.Pipe()
	ctx, stop := context.WithCancel(b.t.Context())
	b.line, b.stop, b.ended = here, stop, make(chan error, 1)
	go func() {
		defer there.Close()
		b.ended <- b.service.serve(ctx, there, "peer", []Instrument{m}, b.service.Log, func() {}, func(bool) {})
	}()
}

// whenClosed returns why and how long after the start the box closed the line.
func (b *bench) whenClosed(start time.Time) (time.Duration, error) {
	err := <-b.ended
	b.ended <- err
	return time.Since(start), err
}

// timed runs a test in a bubble, on a line with these limits.
func timed(t *testing.T, settings Settings, test func(t *testing.T, b *bench, counted *reasonCounts)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, settings)
		b.hangUp()
		counted := &reasonCounts{}
		b.service.Observer = counted
		b.pipe(Instrument{Name: "analyser", Settings: settings})
		test(t, b, counted)
	})
}

func TestIdleEndsAConnection(t *testing.T) {
	settings := Defaults()
	settings.Limits.Idle = time.Minute
	timed(t, settings, func(t *testing.T, b *bench, counted *reasonCounts) {
		// A session in progress is not idle: the receiver's timer ends it first,
		// and an empty session is a sign of life.
		for range 3 {
			time.Sleep(50 * time.Second)
			b.say("\x05", ack)
			b.say("\x04", "")
		}
		start := time.Now()
		if took, err := b.whenClosed(start); took != time.Minute || !errors.Is(err, errIdle) {
			t.Errorf("closed after %v with %v", took, err)
		}
		counted.wants(t, map[string]int{"idle": 1})
	})
	timed(t, Defaults(), func(t *testing.T, b *bench, counted *reasonCounts) {
		time.Sleep(24 * time.Hour)
		b.say("\x05", ack)
	})
}

// A sender that goes on just in time does not hold a line for ever.
func TestSessionEndsAConnection(t *testing.T) {
	settings := Defaults()
	settings.Limits.Session = 2 * time.Minute
	timed(t, settings, func(t *testing.T, b *bench, counted *reasonCounts) {
		b.say("\x05", ack)
		b.say("\x04", "")
		time.Sleep(time.Hour) // the neutral state does not count
		start := time.Now()
		b.say("\x05", ack)
		kept := frame('1', header, true)
		b.say(kept, ack)
		for n := byte('2'); n < '6'; n++ {
			time.Sleep(29 * time.Second)
			next := frame(n, order, true)
			b.say(next, ack)
			kept += next
		}
		if took, err := b.whenClosed(start); took != 2*time.Minute || !errors.Is(err, errSession) {
			t.Errorf("closed after %v with %v", took, err)
		}
		b.wantKept("incomplete " + kept)
		counted.wants(t, map[string]int{"session": 1})
	})
}

// Nor does one that never lets the line fall silent, byte after byte, or that
// begins anew each time.
func TestSessionCountsFromItsFirstByte(t *testing.T) {
	for name, test := range map[string]struct {
		protocol, first, next string
		reply                 string
		kept                  []string
	}{
		"frame":       {"astm", "\x021", "x", "", nil},
		"block":       {"hl7", "\x0b", "x", "", []string{"incomplete " + strings.Repeat("x", 11)}},
		"ENQ":         {"astm", "\x05", "\x05", ack, nil},
		"no session":  {"astm", "\x02", "", "", nil},
		"block anew":  {"hl7", "\x0bx", "\x0bx", "", slices.Repeat([]string{"incomplete x"}, 12)},
		"start block": {"hl7", "\x0b", "\x0b", "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			settings := Defaults()
			settings.Protocol = test.protocol
			settings.Limits.Session = 2 * time.Minute
			timed(t, settings, func(t *testing.T, b *bench, counted *reasonCounts) {
				start := time.Now()
				b.say(test.first, test.reply)
				for range 11 {
					if test.next != "" {
						time.Sleep(10 * time.Second)
						b.say(test.next, test.reply)
					}
				}
				if test.next == "" {
					return // the receiver's timer has ended it; the line stays
				}
				if took, err := b.whenClosed(start); took != 2*time.Minute || !errors.Is(err, errSession) {
					t.Errorf("closed after %v with %v", took, err)
				}
				b.wantKept(test.kept...)
			})
		})
	}
}

// A long upload that brings message after message goes on, in one session or in
// blocks that follow each other at once.
func TestSessionGoesOnWithEachMessage(t *testing.T) {
	settings := Defaults()
	settings.Limits.Session = 30 * time.Second
	timed(t, settings, func(t *testing.T, b *bench, _ *reasonCounts) {
		b.say("\x05", ack)
		for n := range 20 {
			time.Sleep(20 * time.Second)
			b.say(frame('0'+byte(n+1)%8, header+order+result+last, true), ack)
		}
		b.say("\x04", "")
	})
	settings.Protocol = "hl7"
	timed(t, settings, func(t *testing.T, b *bench, _ *reasonCounts) {
		whole := block(oru)
		b.say(whole[:10], "")
		for range 20 {
			time.Sleep(20 * time.Second)
			b.ask(whole[10:]+whole[:10], 1)
		}
	})
}

// guarded serves a listener with this guard, and returns its address and log.
func (b *bench) guarded(m Instrument) (address string, counted *reasonCounts, log *lines) {
	b.t.Helper()
	b.hangUp()
	counted, log = &reasonCounts{}, &lines{}
	b.service.Observer, b.service.Log = counted, logTo(log)
	return b.listen(m), counted, log
}

func logTo(log *lines) *slog.Logger { return slog.New(slog.NewTextHandler(log, nil)) }

// lines is a log that is written and read at the same time.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// with returns those that hold the text.
func (l *lines) with(text string) (found []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, text) {
			found = append(found, line)
		}
	}
	return found
}

// wants waits until n lines hold the text, and returns them.
func (l *lines) wants(t *testing.T, text string, n int) []string {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); len(l.with(text)) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("said %q, want %d", l.with(text), n)
		}
	}
	return l.with(text)
}

// refused expects that a new connection is closed without a byte.
func (b *bench) refused(address, say string) {
	b.t.Helper()
	b.dial(address)
	_, _ = io.WriteString(b.line, say) // it may be closed already
	b.line.SetReadDeadline(time.Now().Add(20 * time.Second))
	if n, err := b.line.Read(make([]byte, 1)); n != 0 || err == nil || isTimeout(err) {
		b.t.Errorf("read %d bytes, %v; want the end of the connection", n, err)
	}
}

func isTimeout(err error) bool {
	var network net.Error
	return errors.As(err, &network) && network.Timeout()
}

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

func TestAllowFrom(t *testing.T) {
	b := newBench(t, Defaults())
	m := Instrument{Name: "analyser", Settings: Defaults(), AllowFrom: prefixes("10.20.0.0/24")}
	address, counted, log := b.guarded(m)
	for range 3 {
		b.refused(address, "\x05")
	}
	log.wants(t, "remote=127.0.0.1", 1)
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	if conn, err := other.Dial("tcp", address); err != nil {
		t.Fatal(err)
	} else {
		defer conn.Close()
	}
	log.wants(t, "remote=127.0.0.2", 1)
	m.AllowFrom = prefixes("10.20.0.0/24", "127.0.0.0/8")
	b.dial(b.listen(m))
	b.say("\x05", ack)
	counted.wants(t, map[string]int{"allow_from": 4})
	if said := log.wants(t, "connection refused", 2); len(said) != 2 || !strings.Contains(said[0], "remote=127.0.0.1") || !strings.Contains(said[0], "in none of the networks of allow_from") {
		t.Errorf("said %q", said)
	}
}

// Whoever comes from very many addresses fills neither memory nor log.
func TestNewsIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o once
		said := 0
		for n := range 10 * mostNews {
			if o.first(strings.Repeat("x", n)) {
				said++
			}
		}
		if said != mostNews || len(o.seen) != mostNews {
			t.Errorf("said %d, holds %d", said, len(o.seen))
		}
		time.Sleep(onceAgain + time.Second)
		if !o.first("new") || len(o.seen) != 1 {
			t.Errorf("holds %d after a quiet minute", len(o.seen))
		}
	})
}

func TestEveryReasonIsListed(t *testing.T) {
	for _, protocol := range []envelope.Protocol{envelope.ASTM, envelope.HL7, envelope.Vendor} {
		listed := NegativeAckReasons(protocol)
		for _, reason := range []string{string(port.RefusedOrigin), reasonTLS, reasonIdle, reasonSession, reasonJunk, reasonCrowded} {
			if !slices.Contains(listed, reason) {
				t.Errorf("%s does not list %s", protocol, reason)
			}
		}
		if unique := slices.Compact(slices.Sorted(slices.Values(listed))); len(unique) != len(listed) {
			t.Errorf("%s lists %v", protocol, listed)
		}
	}
}
