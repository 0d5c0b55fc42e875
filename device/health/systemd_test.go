//go:build unix

package health

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// manager listens as systemd does.
type manager struct{ conn *net.UnixConn }

func newManager(t *testing.T) manager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_PID", "")
	return manager{conn}
}

// heard returns what has arrived: datagrams over a unix socket are there when
// the sender's write has returned.
func (m manager) heard(t *testing.T) []string {
	t.Helper()
	var states []string
	buffer := make([]byte, 256)
	raw, err := m.conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	for {
		n := -1
		if err := raw.Read(func(fd uintptr) bool {
			n = receive(fd, buffer)
			return true
		}); err != nil {
			t.Fatal(err)
		}
		if n < 0 {
			return states
		}
		states = append(states, string(buffer[:n]))
	}
}

func (m manager) expect(t *testing.T, when string, want ...string) {
	t.Helper()
	if got := strings.Join(m.heard(t), " "); got != strings.Join(want, " ") {
		t.Errorf("%s: systemd heard %q, want %q", when, got, strings.Join(want, " "))
	}
}

func TestRunFeedsTheWatchdogOnlyWhileHealthy(t *testing.T) {
	systemd := newManager(t)
	t.Setenv("WATCHDOG_USEC", "20000000")
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		var journal, stacks bytes.Buffer
		met := r.Expect("spool")
		progress, _ := r.Watch("line xn-550", 15*time.Second)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx, Options{Log: slog.New(slog.NewTextHandler(&journal, nil)), Dump: &stacks}) }()

		synctest.Wait()
		systemd.expect(t, "before ready")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		systemd.expect(t, "while it opens a large store", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=60000000")
		met()
		synctest.Wait()
		systemd.expect(t, "when ready", "READY=1")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		systemd.expect(t, "a quarter of WatchdogSec later", "WATCHDOG=1")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		systemd.expect(t, "at the deadline", "WATCHDOG=1")
		time.Sleep(30 * time.Second) // silent from 15 s on
		synctest.Wait()
		systemd.expect(t, "while a part is silent")
		if n := strings.Count(journal.String(), "line xn-550"); n != 1 {
			t.Errorf("the culprit was named %d times:\n%s", n, &journal)
		}
		if n := strings.Count(stacks.String(), ".(*Registry).Run(...)\n"); n != 1 {
			t.Errorf("this goroutine is %d times in the dump:\n%s", n, &stacks)
		}
		progress()
		time.Sleep(5 * time.Second)
		synctest.Wait()
		systemd.expect(t, "after it moved again", "WATCHDOG=1")
		r.Stopping(slog.New(slog.DiscardHandler))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		systemd.expect(t, "while it stops", "STOPPING=1", "WATCHDOG=1", "EXTEND_TIMEOUT_USEC=60000000")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		systemd.expect(t, "at the end")
		if !strings.Contains(journal.String(), "healthy again") {
			t.Errorf("the recovery is not in the journal:\n%s", &journal)
		}
	})
}

func TestRunWithoutSystemdLogsOnly(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", "")
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		var journal bytes.Buffer
		r.Watch("lims", time.Second)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		if err := r.Run(ctx, Options{Log: slog.New(slog.NewTextHandler(&journal, nil))}); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(journal.String(), "\n"); n != 1 || !strings.Contains(journal.String(), "lims") {
			t.Errorf("want one line that names lims:\n%s", &journal)
		}
	})
}

func TestReloading(t *testing.T) {
	systemd := newManager(t)
	t.Setenv("WATCHDOG_USEC", "")
	log := slog.New(slog.DiscardHandler)
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		met := r.Expect("spool")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx, Options{Log: log}) }()
		r.Reloading(log)()
		systemd.expect(t, "before it is ready")
		met()
		synctest.Wait()
		systemd.expect(t, "when ready", "READY=1")
		reloaded := r.Reloading(log)
		heard := systemd.heard(t)
		if len(heard) != 1 || !regexp.MustCompile(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]*\n$`).MatchString(heard[0]) {
			t.Errorf("systemd heard %q", heard)
		}
		reloaded()
		systemd.expect(t, "when all is read", "READY=1")
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		systemd.expect(t, "at the end", "STOPPING=1")
		r.Stopping(log)
		systemd.expect(t, "said already")
	})
}

func TestStatusLine(t *testing.T) {
	systemd := newManager(t)
	log := slog.New(slog.DiscardHandler)
	synctest.Test(t, func(t *testing.T) {
		var r Registry
		var status atomic.Value
		var turns atomic.Int64
		status.Store("opening the\nstore")
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan bool)
		go func() {
			r.Tell(ctx, log, func() string { return status.Load().(string) }, func() { turns.Add(1) })
			close(done)
		}()
		synctest.Wait()
		systemd.expect(t, "at the beginning", "STATUS=opening the store")
		status.Store("2 of 2 lines up")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		systemd.expect(t, "when it has changed", "STATUS=2 of 2 lines up")
		r.Watch("lims", time.Second)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		systemd.expect(t, "while a part is silent", "STATUS=no progress: lims for 5s (deadline 1s)")
		stop()
		<-done
		if n := turns.Load(); n != 4 {
			t.Errorf("%d reports in 15 s", n)
		}
	})
}

func TestRunRefusesABrokenWatchdogSetting(t *testing.T) {
	t.Setenv("WATCHDOG_USEC", "often")
	var r Registry
	if err := r.Run(t.Context(), Options{Log: slog.New(slog.DiscardHandler)}); err == nil {
		t.Fatal("WATCHDOG_USEC=often was taken")
	}
}

func TestASocketThatIsGoneIsLogged(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "gone"))
	t.Setenv("WATCHDOG_USEC", "")
	var journal bytes.Buffer
	ctx, stop := context.WithCancel(t.Context())
	stop()
	var r Registry
	r.Expect("never")
	if err := r.Run(ctx, Options{Log: slog.New(slog.NewTextHandler(&journal, nil))}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(journal.String(), "notifying systemd") {
		t.Errorf("nothing in the journal:\n%s", &journal)
	}
}

// receive reads one datagram without waiting; -1 where there is none.
func receive(fd uintptr, buffer []byte) int {
	n, _, err := syscall.Recvfrom(int(fd), buffer, syscall.MSG_DONTWAIT)
	if err != nil {
		return -1
	}
	return n
}
