package uplink

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// TestPossiblyRepeated has attempts fail in several ways: what was delivered
// after one without an answer says so, whatever came in between.
func TestPossiblyRepeated(t *testing.T) {
	script := map[string][]Kind{
		"plain":   nil,
		"refused": {Transient, Refusal},
		"unknown": {Unknown},
		"mixed":   {Unknown, Transient, Hold},
		"poison":  {Unknown, Invalid},
	}
	l := &lims{}
	l.answer = func(_ context.Context, e envelope.Envelope) error {
		if n := len(l.of(e.SampleID)); n < len(script[e.SampleID]) {
			return fail(script[e.SampleID][n])
		}
		return nil
	}
	bubble(t, l, func(t *testing.T, b *bench) {
		for sample := range script {
			b.put(sample, sample)
		}
		stop := b.start()
		time.Sleep(2 * time.Second)
		stop()
		stop = b.start() // nothing of it is in memory only
		time.Sleep(time.Hour)
		stop()
		for sample, want := range map[string]string{"plain": "", "refused": "", "unknown": repeated, "mixed": repeated} {
			if s := b.state(sample); s.State != spool.Delivered || s.Reason != want {
				t.Errorf("%s: %+v", sample, s)
			}
		}
		if s := b.state("poison"); s.State != spool.Parked || !strings.HasSuffix(s.Reason, hadMaybe) {
			t.Errorf("poison: %+v", s)
		}
	})
}

// TestPossiblyRepeatedAfterAKill copies the store while a message is on its
// way, which is what a killed process leaves: nothing is written of the attempt.
func TestPossiblyRepeatedAfterAKill(t *testing.T) {
	release := make(chan struct{})
	l := &lims{answer: func(_ context.Context, e envelope.Envelope) error {
		<-release
		return nil
	}}
	copied := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		release = make(chan struct{})
		b := newBench(t, l)
		b.put("a", "on its way")
		b.put("a", "behind it")
		stop := b.start()
		synctest.Wait()
		if err := os.CopyFS(copied, os.DirFS(b.directory)); err != nil {
			t.Fatal(err)
		}
		close(release)
		stop()
		if s := b.state("on its way"); s.State != spool.Delivered || s.Reason != "" {
			t.Errorf("where it was not killed: %+v", s)
		}
		if err := b.spool.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Stat(filepath.Join(copied, "spool.db-wal")); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		b := openBench(t, &lims{}, copied)
		b.ids = 2 // those are taken
		for range 2 {
			stop := b.start()
			synctest.Wait()
			stop()
			b.put("a", "after it")
		}
		for sample, want := range map[string]string{"on its way": repeated, "behind it": ""} {
			if s := b.state(sample); s.State != spool.Delivered || s.Reason != want {
				t.Errorf("%s: %+v", sample, s)
			}
		}
		if err := b.spool.Close(); err != nil {
			t.Error(err)
		}
	})
}
