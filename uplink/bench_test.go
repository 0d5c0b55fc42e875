package uplink

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// lims is a destination that a test scripts.
type lims struct {
	answer func(ctx context.Context, e envelope.Envelope) error
	probe  func() error
	scope  func(e envelope.Envelope) string

	mu       sync.Mutex
	attempts []attempt
	probes   []time.Time
	busy     int
	mostBusy int
}

type attempt struct {
	sample string
	at     time.Time
	err    error
}

func (l *lims) Name() string { return "lims" }

func (l *lims) Scope(e envelope.Envelope) string {
	if l.scope == nil {
		return ""
	}
	return l.scope(e)
}

func (l *lims) Deliver(ctx context.Context, e envelope.Envelope) error {
	at := time.Now()
	l.mu.Lock()
	l.busy++
	l.mostBusy = max(l.mostBusy, l.busy)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.busy--
	}()
	var err error
	if l.answer != nil {
		err = l.answer(ctx, e)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, attempt{e.SampleID, at, err})
	return err
}

func (l *lims) Probe(context.Context) error {
	l.mu.Lock()
	l.probes = append(l.probes, time.Now())
	l.mu.Unlock()
	if l.probe == nil {
		return nil
	}
	return l.probe()
}

// of returns the attempts for one sample.
func (l *lims) of(sample string) []attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []attempt
	for _, a := range l.attempts {
		if a.sample == sample {
			list = append(list, a)
		}
	}
	return list
}

// took returns the samples that were taken, in order.
func (l *lims) took() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []string
	for _, a := range l.attempts {
		if a.err == nil {
			list = append(list, a.sample)
		}
	}
	return list
}

func (l *lims) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.attempts)
}

func fail(kind Kind) error {
	return &Failure{Kind: kind, Err: fmt.Errorf("a failure that is %s", kind)}
}

// bench is a spool with a Run on it.
type bench struct {
	t         *testing.T
	directory string
	spool     *spool.Spool
	lims      *lims
	to        Destination // it, or what stands before it
	options   Options
	log       bytes.Buffer

	mu      sync.Mutex
	results []string
	held    []string
	beats   []time.Time
	ids     int
}

func newBench(t *testing.T, l *lims) *bench {
	t.Helper()
	return openBench(t, l, t.TempDir())
}

// openBench is newBench on a store that may be there already.
func openBench(t *testing.T, l *lims, directory string) *bench {
	t.Helper()
	settings := spool.Defaults()
	settings.Directory = directory
	q, err := spool.Open(t.Context(), settings, spool.Options{Destinations: []spool.Destination{{Name: "lims"}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, directory: directory, spool: q, lims: l, to: l}
	b.options = Options{
		Log: slog.New(slog.NewTextHandler(&b.log, nil)),
		Progress: func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.beats = append(b.beats, time.Now())
		},
		Observer: Observer{
			Attempt: func(result string) { b.results = append(b.results, result) },
			Held:    func(reason string) { b.held = append(b.held, reason) },
		},
	}
	return b
}

// start runs until the returned function is called.
func (b *bench) start() (stop func()) {
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, b.spool, b.to, b.options) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	})
}

// put stores a message of a lane under a sample id.
func (b *bench) put(lane, sample string) {
	b.t.Helper()
	b.putRaw(lane, sample, []byte(sample))
}

func (b *bench) putRaw(lane, sample string, raw []byte) {
	b.t.Helper()
	b.ids++
	id := fmt.Sprintf("%08d-0000-7000-8000-000000000000", b.ids)
	_, err := b.spool.Put(b.t.Context(), envelope.Envelope{
		ID: id, MessageID: id, Protocol: envelope.ASTM, Instrument: "line", Lane: lane,
		ReceivedAt: time.Now().UTC(), Clock: envelope.ClockSet, Digest: sample,
		Intake: envelope.Accepted, Kind: envelope.KindResult, SampleID: sample, Raw: raw,
	})
	if err != nil {
		b.t.Fatal(err)
	}
}

// lastBeat is when progress was last reported.
func (b *bench) lastBeat() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.beats[len(b.beats)-1]
}

// state returns how the sample stands.
func (b *bench) state(sample string) spool.Delivery {
	b.t.Helper()
	list, err := b.spool.List(b.t.Context(), spool.Filter{SampleID: sample})
	if err != nil || len(list) != 1 {
		b.t.Fatalf("sample %s: %d in the list, error %v", sample, len(list), err)
	}
	detail, err := b.spool.Show(b.t.Context(), list[0].ID)
	if err != nil || len(detail.Deliveries) != 1 {
		b.t.Fatalf("sample %s: %v, error %v", sample, detail.Deliveries, err)
	}
	return detail.Deliveries[0]
}

// bubble runs a test in fake time, on a real spool.
func bubble(t *testing.T, l *lims, test func(t *testing.T, b *bench)) {
	t.Helper()
	t.Parallel() // they mostly wait for the disk
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, l)
		test(t, b)
		if err := b.spool.Close(); err != nil {
			t.Error(err)
		}
	})
}

// corrupt changes rows of a store behind its back.
func corrupt(t *testing.T, directory, statement string) {
	t.Helper()
	database, err := sql.Open("sqlite", filepath.Join(directory, "spool.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	if _, err := database.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}
