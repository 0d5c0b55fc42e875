package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

const (
	kept = 100_000
	// busyTime is how long the gateway receives and delivers before its memory is
	// read.
	busyTime = 5 * time.Second
	// pace is the pause between two messages of a connection where it is no race:
	// sixteen of them send a hundred times more than a large laboratory.
	pace = 100 * time.Millisecond
	// calmTime is how long it has nothing to do after a start.
	calmTime = 2 * time.Second
)

// BenchmarkStart starts the gateway on a store with 100 000 messages pending for
// a SENAITE that is down, and on an empty one, in turns. It reports how long
// each takes until it is ready, and resident memory in MB (of 10^6 bytes): at its
// highest since the start; how much more than with the empty store; and at its
// highest while the gateway delivers and receives over sixteen connections at the
// same time, ten messages a second on each (receiving) and without a pause
// (racing). The fake SENAITE is no part of it.
func BenchmarkStart(b *testing.B) {
	program := gatewayProgram(b)
	full, empty := newBox(b, program), newBox(b, program)
	full.fill(b, kept)
	var fullTimes, emptyTimes []time.Duration
	var fullMemory, emptyMemory []float64
	for b.Loop() {
		for _, start := range []struct {
			box    *box
			times  *[]time.Duration
			memory *[]float64
		}{{empty, &emptyTimes, &emptyMemory}, {full, &fullTimes, &fullMemory}} {
			took := start.box.start(b)
			time.Sleep(calmTime)
			*start.times = append(*start.times, took)
			*start.memory = append(*start.memory, start.box.highest(b))
			start.box.process.kill()
		}
	}
	full.start(b)
	full.busy(b, pace)
	b.ReportMetric(full.highest(b), "MB-receiving")
	full.busy(b, 0)
	b.ReportMetric(full.highest(b), "MB-racing")
	b.ReportMetric(middle(fullMemory), "MB-idle")
	b.ReportMetric(middle(fullMemory)-middle(emptyMemory), "MB-above-empty")
	b.ReportMetric(median(fullTimes).Seconds(), "s-ready")
	b.ReportMetric(median(emptyTimes).Seconds(), "s-ready-empty")
	full.process.kill()
}

func middle(values []float64) float64 { return slices.Sorted(slices.Values(values))[len(values)/2] }

// box is a gateway with its store and its SENAITE.
type box struct {
	program   string
	lims      *senaitetest.Server
	config    string
	astm, hl7 string
	process   *process
}

func newBox(b *testing.B, program string) *box {
	b.Helper()
	x := &box{program: program, lims: newLIMS(b), astm: freePort(b), hl7: freePort(b)}
	x.set(b, senaitetest.Down)
	directory := b.TempDir()
	x.config = configFile(b, directory, fmt.Sprintf(`
instruments: [{name: lan, astm: {listen: %q}}, {name: hl7, hl7: {listen: %q}}]
spool: {directory: %q, keep_size: 0, keep_days: 0}
admin: {listen: "127.0.0.1:0"}
console: {listen: "127.0.0.1:0"}
destinations: [{name: lims, senaite: {url: %q, username: %q, password: %q, confirm: {enabled: false}}}]
`, x.astm, x.hl7, directory+"/spool", x.lims.URL, senaitetest.Username, senaitetest.Password))
	return x
}

func (x *box) set(b *testing.B, mode senaitetest.Mode) {
	b.Helper()
	if err := x.lims.Set(mode); err != nil {
		b.Fatal(err)
	}
}

// fill stores so many messages of ten instruments, as they would come in.
func (x *box) fill(b *testing.B, messages int) {
	b.Helper()
	text, err := os.ReadFile(x.config)
	if err != nil {
		b.Fatal(err)
	}
	config, err := parseConfig(text, x.config)
	if err != nil {
		b.Fatal(err)
	}
	store, err := spool.Open(b.Context(), config.Spool, spool.Options{Destinations: config.spoolDestinations()})
	if err != nil {
		b.Fatal(err)
	}
	profiles, err := loadProfiles(config, store.Key(), slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	var together []envelope.Envelope
	for n := range messages {
		id := fmt.Sprint("Kept-", n)
		made := profiles.Envelopes(profile.Raw{
			Protocol: envelope.HL7, Text: []byte(hl7Kilobyte(fmt.Sprint("Sender", n%10), id)), Instrument: "hl7", Intake: envelope.Accepted,
		}, time.Now())
		made[0].Clock = envelope.ClockSet
		together = append(together, made...)
		if len(together) == 500 || n == messages-1 {
			if _, err := store.Put(b.Context(), together...); err != nil {
				b.Fatal(err)
			}
			together = together[:0]
		}
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}

// start starts the gateway and returns how long it took to be ready.
func (x *box) start(b *testing.B) time.Duration {
	b.Helper()
	begun := time.Now()
	x.process = launchWords(b, x.program, "run", "--config", x.config)
	eventually(b, "the gateway is ready", func() bool { return strings.Contains(x.process.log.text(), "gateway ready") })
	return time.Since(begun)
}

// busy has the gateway receive and deliver.
func (x *box) busy(b *testing.B, pace time.Duration) {
	b.Helper()
	x.set(b, senaitetest.Up)
	ctx, cancel := context.WithTimeout(b.Context(), busyTime)
	defer cancel()
	var sending sync.WaitGroup
	for n := range 16 {
		t := newHL7Talker(dial(b, x.hl7))
		if n%2 > 0 {
			t = newASTMTalker(dial(b, x.astm))
		}
		sending.Go(func() {
			for ctx.Err() == nil {
				if err := t.send(fmt.Sprint("Busy", n), runNumber.Add(1)); err != nil {
					b.Errorf("connection %d: %v", n, err)
					return
				}
				time.Sleep(pace)
			}
		})
	}
	sending.Wait()
	if len(x.lims.Pushes()) == 0 {
		b.Error("nothing was delivered meanwhile")
	}
}

// highest is the most resident memory that the process has had, in MB.
func (x *box) highest(b *testing.B) (megabytes float64) {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", x.process.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kibibytes float64
		if n, _ := fmt.Sscanf(line, "VmHWM: %g kB", &kibibytes); n == 1 {
			return kibibytes * 1024 / 1e6
		}
	}
	b.Fatal("/proc tells no VmHWM")
	return 0
}
