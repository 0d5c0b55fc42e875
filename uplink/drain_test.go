package uplink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// drain runs a Drainer over what the test puts and returns its error.
func drain(t *testing.T, l *lims, tries int, put []string, check func(b *bench, err error, again func() error)) {
	t.Helper()
	bubble(t, l, func(t *testing.T, b *bench) {
		for _, sample := range put {
			b.put(sample[:1], sample)
		}
		d := NewDrainer(b.spool, l, tries, b.options)
		err := d.Drain(t.Context())
		check(b, err, func() error { return d.Drain(t.Context()) })
	})
}

func answers(kinds map[string]Kind) func(context.Context, envelope.Envelope) error {
	return func(_ context.Context, e envelope.Envelope) error {
		if kind, bad := kinds[e.SampleID]; bad {
			return fail(kind)
		}
		return nil
	}
}

func TestDrain(t *testing.T) {
	t.Run("everything in order", func(t *testing.T) {
		l := &lims{}
		drain(t, l, 3, []string{"a1", "b1", "a2"}, func(b *bench, err error, again func() error) {
			if got := l.took(); err != nil || !slices.Equal(got, []string{"a1", "b1", "a2"}) {
				t.Errorf("%q, %v", got, err)
			}
			b.put("a", "a3")
			if err := again(); err != nil || b.state("a3").State != spool.Delivered {
				t.Errorf("later: %v, %+v", err, b.state("a3"))
			}
		})
	})
	t.Run("one poison does not stop its lane", func(t *testing.T) {
		l := &lims{answer: answers(map[string]Kind{"a2": Refusal, "a3": Invalid})}
		drain(t, l, 3, []string{"a1", "a2", "a3", "a4"}, func(b *bench, err error, _ func() error) {
			if got := l.took(); err != nil || !slices.Equal(got, []string{"a1", "a4"}) {
				t.Errorf("%q, %v", got, err)
			}
			if s := b.state("a2"); s.State != spool.Parked || !strings.HasPrefix(s.Reason, "tried 3 times: ") || len(l.of("a2")) != 3 {
				t.Errorf("a2: %+v after %d attempts", s, len(l.of("a2")))
			}
			if s := b.state("a3"); s.State != spool.Parked || len(l.of("a3")) != 1 {
				t.Errorf("a3: %+v", s)
			}
			if gap := l.of("a2")[1].at.Sub(l.of("a2")[0].at); gap < firstWait {
				t.Errorf("tried again after %s", gap)
			}
		})
	})
	t.Run("poison now and then is not an unwell destination", func(t *testing.T) {
		l := &lims{answer: answers(map[string]Kind{"a1": Refusal, "a2": Refusal, "a4": Refusal, "a5": Refusal})}
		drain(t, l, 1, []string{"a1", "a2", "a3", "a4", "a5", "a6"}, func(_ *bench, err error, _ func() error) {
			if got := l.took(); err != nil || !slices.Equal(got, []string{"a3", "a6"}) {
				t.Errorf("%q, %v", got, err)
			}
		})
	})
	for kind, attempts := range map[Kind]int{Transient: 2, Unknown: 2, Hold: 1, Refusal: 2 * mostRefused} {
		t.Run("unwell, "+string(kind), func(t *testing.T) {
			l := &lims{answer: func(context.Context, envelope.Envelope) error { return fail(kind) }}
			drain(t, l, 2, []string{"a1", "a2", "a3", "a4"}, func(b *bench, err error, again func() error) {
				if err == nil || l.count() != attempts || !strings.Contains(err.Error(), string(kind)) {
					t.Errorf("%d attempts, %v", l.count(), err)
				}
				if s := b.state("a4"); s.State != spool.Pending {
					t.Errorf("a4 is %s", s.State)
				}
				if then := again(); then == nil || l.count() != attempts {
					t.Errorf("later %d attempts, %v", l.count(), then)
				}
			})
		})
	}
	t.Run("a receiver that is not there", func(t *testing.T) {
		l := &lims{scope: func(e envelope.Envelope) string { return e.SampleID[:1] }}
		l.answer = func(_ context.Context, e envelope.Envelope) error {
			if e.SampleID[0] == 'a' {
				return &Failure{Kind: Hold, Scope: "a", Err: errors.New("no consumer a")}
			}
			return nil
		}
		drain(t, l, 3, []string{"a1", "a2", "b1"}, func(b *bench, err error, _ func() error) {
			if got := l.took(); err != nil || !slices.Equal(got, []string{"b1"}) || l.count() != 2 {
				t.Errorf("%q of %d, %v", got, l.count(), err)
			}
			if s := b.state("a2"); s.State != spool.Parked || s.Reason != "no consumer a" {
				t.Errorf("a2: %+v", s)
			}
		})
	})
}

func TestDrainEndsWithItsContext(t *testing.T) {
	l := &lims{answer: func(ctx context.Context, e envelope.Envelope) error {
		if e.SampleID == "a1" {
			time.Sleep(time.Second) // within the grace
			return nil
		}
		return fmt.Errorf("not to be sent")
	}}
	bubble(t, l, func(t *testing.T, b *bench) {
		b.put("a", "a1")
		b.put("a", "a2")
		b.options.Grace = 5 * time.Second
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- NewDrainer(b.spool, l, 3, b.options).Drain(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if a, c := b.state("a1"), b.state("a2"); a.State != spool.Delivered || c.State != spool.Pending || l.count() != 1 {
			t.Errorf("%s and %s after %d attempts", a.State, c.State, l.count())
		}
	})
}
