//go:build unix

package spool

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

// pruneForEver stores messages and delivers all but every fifth of them, which
// it prints, while everything that is finished is removed at once.
func pruneForEver(dir string) {
	die := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	ctx := context.Background()
	s, err := Open(ctx, Settings{Directory: dir}, Options{Destinations: []Destination{lims}})
	die(err)
	go func() {
		for {
			more, err := s.pruneOldest(ctx, pruneRows, "a test")
			die(err)
			if !more {
				s.retention.finished.begin()
				time.Sleep(time.Millisecond)
			}
			die(s.giveBack(ctx, 0))
			die(s.writer.fold(ctx))
		}
	}()
	for i := 0; ; i++ {
		e := message("a", fmt.Sprint(i, rand.Uint64()))
		seq, err := s.Put(ctx, e)
		die(err)
		if i%5 == 0 {
			fmt.Printf("ack %s %x\n", e.ID, sha256.Sum256(e.Raw))
			continue
		}
		die(s.Delivered(ctx, "lims", seq, ""))
	}
}

// TestKilledWhilePruning kills the process again and again: what is unfinished
// is there, and of every message that is not, the audit trail knows.
func TestKilledWhilePruning(t *testing.T) {
	dir := settings(t)
	acknowledged := map[string]string{}
	for range 6 {
		child := itself()
		child.Env = append(os.Environ(), pruneDirectory+"="+dir.Directory)
		out, err := child.StdoutPipe()
		do(t, err, child.Start())
		lines := bufio.NewScanner(out)
		stop := 10 + rand.IntN(40)
		for n := 0; lines.Scan(); n++ {
			var id, digest string
			if _, err := fmt.Sscanf(lines.Text(), "ack %s %s", &id, &digest); err != nil {
				if n < stop {
					t.Fatalf("the child says %q", lines.Text())
				}
				continue // the last line may be cut
			}
			acknowledged[id] = digest
			if n == stop {
				do(t, child.Process.Kill())
			}
		}
		_ = child.Wait() // it was killed
	}
	s := open(t, dir, lims)
	for id, digest := range acknowledged {
		raw, err := s.Raw(t.Context(), id)
		if err != nil {
			t.Fatalf("an unfinished message is gone: %v", err)
		}
		if have := fmt.Sprintf("%x", sha256.Sum256(raw)); have != digest {
			t.Errorf("an unfinished message has other bytes")
		}
	}
	status, err := s.Status(t.Context())
	do(t, err)
	if pruned := status.LastSequence - uint64(status.Messages); pruned < uint64(len(acknowledged)) {
		t.Errorf("only %d of %d messages were removed", pruned, status.LastSequence)
	}
	t.Logf("%d unfinished messages are there, of %d", len(acknowledged), status.LastSequence)
	wantClean(t, s)
}
