package instrument

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/port"
)

// driver is a serial line whose driver has counted these errors.
type driver struct {
	port.Line
	counted port.Counters
	err     error
}

func (d *driver) Errors() (port.Counters, error) { return d.counted, d.err }

// listener is a Noise with what it said.
type listener struct {
	*Noise
	said []string
	log  bytes.Buffer
}

func listenForNoise(t *testing.T) *listener {
	l := &listener{}
	began := time.Now()
	l.Noise = &Noise{Observer: silent{}, Log: slog.New(slog.NewTextHandler(&l.log, nil)), Noisy: func(instrument string, noisy bool) {
		l.said = append(l.said, fmt.Sprint(instrument, " ", noisy, " ", time.Since(began)))
	}}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		l.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return l
}

// wants compares what was said, and that each change is one line in the log.
func (l *listener) wants(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.said, want) {
		t.Errorf("said %q, want %q", l.said, want)
	}
	if n := strings.Count(l.log.String(), "\n"); n != len(want) {
		t.Errorf("%d lines in the log for %d changes:\n%s", n, len(want), l.log.String())
	}
}

func TestNoisyLine(t *testing.T) {
	type event func(l *listener)
	errors := func(kind string, n uint64) event { return func(l *listener) { l.SerialErrors("xn", kind, n) } }
	nak := func(reason string) event { return func(l *listener) { l.NegativeAck("xn", reason) } }
	wait := func(d time.Duration) event { return func(*listener) { time.Sleep(d) } }
	for name, test := range map[string]struct {
		events []event
		want   []string
	}{
		"two errors are none":         {[]event{errors("parity", 2), wait(time.Hour)}, nil},
		"three at once":               {[]event{errors("parity", 3)}, []string{"xn true 0s"}},
		"three of different kinds":    {[]event{errors("parity", 1), errors("framing", 1), errors("overrun", 1)}, []string{"xn true 0s"}},
		"breaks are none":             {[]event{errors("break", 50)}, nil},
		"refused checksums":           {[]event{nak("checksum"), nak("checksum"), nak("checksum")}, []string{"xn true 0s"}},
		"other refusals are none":     {[]event{nak("frame_number"), nak("store"), nak("malformed"), nak("connections")}, nil},
		"both kinds together":         {[]event{errors("framing", 2), nak("checksum")}, []string{"xn true 0s"}},
		"over ten minutes":            {[]event{errors("parity", 1), wait(5 * time.Minute), errors("parity", 1), wait(5 * time.Minute), errors("parity", 1)}, []string{"xn true 10m0s"}},
		"over more than ten minutes":  {[]event{errors("parity", 1), wait(5 * time.Minute), errors("parity", 1), wait(5*time.Minute + time.Second), errors("parity", 1)}, nil},
		"said once":                   {[]event{errors("parity", 3), errors("parity", 1000), nak("checksum")}, []string{"xn true 0s"}},
		"quiet after ten minutes":     {[]event{errors("parity", 3), wait(9*time.Minute + 59*time.Second), errors("parity", 0), wait(time.Second)}, []string{"xn true 0s", "xn false 10m0s"}},
		"one more error keeps it so":  {[]event{errors("parity", 3), wait(9 * time.Minute), errors("parity", 1), wait(9 * time.Minute)}, []string{"xn true 0s"}},
		"and then it is quiet":        {[]event{errors("parity", 3), wait(9 * time.Minute), errors("parity", 1), wait(time.Hour)}, []string{"xn true 0s", "xn false 19m0s"}},
		"quiet, and then noisy again": {[]event{errors("parity", 3), wait(time.Hour), errors("parity", 2), errors("parity", 1)}, []string{"xn true 0s", "xn false 10m0s", "xn true 1h0m0s"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := listenForNoise(t)
				for _, happens := range test.events {
					happens(l)
				}
				l.wants(t, test.want...)
			})
		})
	}
}

// One instrument's noise is no other's.
func TestNoiseIsOfOneInstrument(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listenForNoise(t)
		l.SerialErrors("a", "parity", 2)
		l.SerialErrors("b", "parity", 2)
		l.wants(t)
		l.SerialErrors("b", "parity", 1)
		l.wants(t, "b true 0s")
		if text := l.log.String(); !strings.Contains(text, "instrument=b") || !strings.Contains(text, "ground") {
			t.Errorf("the log names no remedy: %s", text)
		}
	})
}

// What a serial driver counts reaches it through the line's heartbeat; each
// opening counts anew.
func TestSerialErrorsAreNoise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := listenForNoise(t)
		service := &Service{Observer: l}
		terminal, heard := &driver{}, &recorder{}
		looked := &line{tap: &tapped{tap: heard, log: service.Log}}
		alive := service.countErrors("xn", terminal, func() {}, looked.saySerialErrors)
		terminal.counted = port.Counters{Parity: 1, Framing: 1, Break: 9}
		alive()
		alive() // nothing is new
		l.wants(t)
		terminal.err = errors.New("the driver cannot tell just now")
		alive()
		terminal.err = nil
		time.Sleep(time.Minute)
		terminal.counted.Overrun = 1
		alive()
		l.wants(t, "xn true 1m0s")
		service.countErrors("xn", &driver{}, func() {}, looked.saySerialErrors)() // opened again
		time.Sleep(9 * time.Minute)
		l.wants(t, "xn true 1m0s")
		time.Sleep(time.Minute)
		l.wants(t, "xn true 1m0s", "xn false 11m0s")
		const told = "note: errors that the serial driver has counted: "
		heard.wantSaid(t, told+"framing 1, parity 1, break 9", told+"overrun 1")
	})
}

// A frame that arrives damaged makes noise on a line of any kind.
func TestBadChecksumsAreNoise(t *testing.T) {
	b := newBench(t, Defaults())
	noisy := make(chan bool, 1)
	b.service.Observer = &Noise{Observer: silent{}, Log: b.service.Log, Noisy: func(_ string, now bool) { noisy <- now }}
	bad := []byte(frame('1', header, true))
	bad[5] ^= 1
	b.say("\x05", ack)
	for range noisyErrors {
		b.say(string(bad), nak)
	}
	if len(noisy) != 1 || !<-noisy {
		t.Error("three refused checksums are no noise")
	}
}
