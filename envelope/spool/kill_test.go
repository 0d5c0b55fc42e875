//go:build unix

package spool

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These variables turn the test binary into the process that is killed, or
// whose files may not grow beyond a size.
const (
	killDirectory  = "SPOOL_TEST_KILL"
	limitDirectory = "SPOOL_TEST_LIMIT"
	pruneDirectory = "SPOOL_TEST_PRUNE"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDirectory); dir != "" {
		putForEver(dir)
	}
	if dir := os.Getenv(importDirectory); dir != "" {
		importAndOpen(dir)
	}
	if dir := os.Getenv(limitDirectory); dir != "" {
		putUnderALimit(dir)
	}
	if dir := os.Getenv(pruneDirectory); dir != "" {
		pruneForEver(dir)
	}
	os.Exit(m.Run())
}

// putForEver stores messages from four goroutines and prints each id and digest
// of bytes once Put returned.
func putForEver(dir string) {
	s, err := Open(context.Background(), Settings{Directory: dir}, Options{Destinations: []Destination{lims}})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var wait sync.WaitGroup
	for p := range 4 {
		wait.Go(func() {
			for i := 0; ; i++ {
				e := message(fmt.Sprint("lane ", p), strings.Repeat(fmt.Sprint(i, " "), 1+i%300))
				if _, err := s.Put(context.Background(), e); err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				fmt.Printf("ack %s %x\n", e.ID, sha256.Sum256(e.Raw))
			}
		})
	}
	wait.Wait()
}

func TestKilledProcessLosesNothing(t *testing.T) {
	dir := settings(t)
	acknowledged := map[string]string{}
	for range 20 {
		child := itself()
		child.Env = append(os.Environ(), killDirectory+"="+dir.Directory)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		stop := 1 + rand.IntN(60)
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
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = child.Wait() // it was killed
	}
	s := open(t, dir, lims)
	for id, digest := range acknowledged {
		raw, err := s.Raw(t.Context(), id)
		if err != nil {
			t.Fatalf("an acknowledged message is gone: %v", err)
		}
		if have := fmt.Sprintf("%x", sha256.Sum256(raw)); have != digest {
			t.Errorf("an acknowledged message has other bytes")
		}
	}
	t.Logf("%d acknowledged messages are there", len(acknowledged))
	wantClean(t, s)
}

// putUnderALimit stores messages until the kernel lets the WAL grow no further,
// which SQLite sees as an error of the card.
func putUnderALimit(dir string) {
	signal.Ignore(unix.SIGXFSZ)
	s, err := Open(context.Background(), Settings{Directory: dir}, Options{Destinations: []Destination{lims}})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	limit := unix.Rlimit{Cur: 200 << 10, Max: 200 << 10}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	for i := 0; ; i++ {
		e := message("a", fmt.Sprint(i))
		if _, err := s.Put(context.Background(), e); err != nil {
			select {
			case <-s.Failed():
				fmt.Println("failed", s.Err())
			case <-time.After(10 * time.Second):
				fmt.Println("error", err)
			}
			os.Exit(0)
		}
		fmt.Println("ack", e.ID)
	}
}

func TestFailingCardClosesTheStore(t *testing.T) {
	dir := settings(t)
	child := itself()
	child.Env = append(os.Environ(), limitDirectory+"="+dir.Directory)
	out, err := child.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[len(lines)-1]
	if !strings.HasPrefix(last, "failed committing:") || len(lines) < 5 {
		t.Errorf("after %d lines the child says %q", len(lines), last)
	}
	s := open(t, dir, lims)
	for _, line := range lines[:len(lines)-1] {
		if _, err := s.Raw(t.Context(), strings.TrimPrefix(line, "ack ")); err != nil {
			t.Errorf("an acknowledged message is gone: %v", err)
		}
	}
	wantClean(t, s)
}

// itself starts this test binary again; TEST_EXEC is what runs it where the
// kernel cannot (make test-arm).
func itself() *exec.Cmd {
	words := append(strings.Fields(os.Getenv("TEST_EXEC")), os.Args[0])
	return exec.Command(words[0], words[1:]...)
}
