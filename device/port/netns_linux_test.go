package port

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// These tests need a network of their own, in which a cable can be pulled, and
// the time that the kernel takes to find that out. `make test-links` runs them.
const (
	slowTests = "ASSAYGATE_TEST_LINKS"
	inside    = "ASSAYGATE_TEST_INSIDE"
)

// inNetwork runs the test again in a process with a network of its own, and
// reports whether this is that process.
func inNetwork(t *testing.T) bool {
	t.Helper()
	switch {
	case os.Getenv(inside) != "":
		return true
	case os.Getenv(slowTests) == "":
		t.Skipf("takes half a minute and a network of its own: make test-links")
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), inside+"=yes")
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	output, err := command.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
		t.Skipf("*** NOT TESTED: no network namespaces here: %v ***", err)
	}
	if strings.Contains(string(output), "--- SKIP") {
		t.Skipf("*** NOT TESTED: %s ***", output)
	}
	t.Logf("%s", output)
	if err != nil {
		t.Error(err)
	}
	return false
}

// analyser is the other end of a cable: a host of its own.
type analyser struct {
	t  *testing.T
	do chan func()
}

const (
	boxAddress      = "10.99.0.1"
	analyserAddress = "10.99.0.2"
)

// wire makes the analyser's host and joins it to this one.
func wire(t *testing.T) *analyser {
	a := &analyser{t: t, do: make(chan func())}
	ready := make(chan error)
	var thread int
	go func() {
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		thread = unix.Gettid()
		err := unix.Unshare(unix.CLONE_NEWNET)
		ready <- err
		for f := range a.do {
			f()
		}
	}()
	t.Cleanup(func() { close(a.do) })
	if err := <-ready; err != nil {
		t.Skipf("no second network: %v", err)
	}
	if out, err := exec.Command("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", strconv.Itoa(thread)).CombinedOutput(); err != nil {
		t.Skipf("no cable: %v: %s", err, out)
	}
	ip(t, "addr", "add", boxAddress+"/24", "dev", "cable")
	ip(t, "link", "set", "cable", "up")
	ip(t, "link", "set", "lo", "up")
	a.at(func() {
		ip(t, "addr", "add", analyserAddress+"/24", "dev", "cable")
		ip(t, "link", "set", "cable", "up")
	})
	return a
}

func ip(t *testing.T, args ...string) {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Errorf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// at runs f at the analyser.
func (a *analyser) at(f func()) {
	done := make(chan struct{})
	a.do <- func() { defer close(done); f() }
	<-done
}

// The ways in which a cable can be out. Without its address the analyser answers
// nothing, not even who it is; behind a dead switch only packets go missing.
func (a *analyser) cables() map[string][2][]string {
	return map[string][2][]string{
		"no host":     {{"addr", "del", analyserAddress + "/24", "dev", "cable"}, {"addr", "add", analyserAddress + "/24", "dev", "cable"}},
		"no carrier":  {{"link", "set", "cable", "down"}, {"link", "set", "cable", "up"}},
		"dead switch": {{"route", "add", "blackhole", boxAddress + "/32"}, {"route", "del", "blackhole", boxAddress + "/32"}},
	}
}

// A peer that is gone without a word is found within 30 seconds, whether the box
// waits for it or has bytes on their way, and whoever dialled.
func TestHalfOpenIsFoundWithin30Seconds(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	a := wire(t)
	box, err := Listen(t.Context(), boxAddress+":4010")
	if err != nil {
		t.Fatal(err)
	}
	defer box.Close()
	var remote net.Listener
	a.at(func() { remote, err = net.Listen("tcp", analyserAddress+":3001") })
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	lines := map[string]net.Conn{}
	for _, name := range []string{"accepted, waiting", "accepted, answering"} {
		var far net.Conn
		a.at(func() { far, err = net.DialTimeout("tcp", box.Addr().String(), 10*time.Second) })
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
		if lines[name], err = box.Accept(); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"dialled, waiting", "dialled, answering"} {
		if lines[name], err = Dial(t.Context(), remote.Addr().String()); err != nil {
			t.Fatal(err)
		}
		far, err := remote.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer far.Close()
	}
	a.at(func() { ip(t, a.cables()["no host"][0]...) })
	pulled := time.Now()
	found := make(chan string)
	for name, line := range lines {
		defer line.Close()
		go func() {
			if strings.Contains(name, "answering") {
				line.Write([]byte{6})
			}
			line.SetReadDeadline(pulled.Add(40 * time.Second))
			_, err := line.Read(make([]byte, 1))
			if took := time.Since(pulled); took > 30*time.Second || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%s: found after %v: %v", name, took, err)
			}
			found <- name
		}()
	}
	for range lines {
		t.Logf("%s: found after %v", <-found, time.Since(pulled).Round(time.Second/10))
	}
}

// However a cable was out and for how long, a dialled line is up within two
// seconds of its return.
func TestDialledAgainWithin2Seconds(t *testing.T) {
	if !inNetwork(t) {
		return
	}
	a := wire(t)
	var remote net.Listener
	var err error
	a.at(func() { remote, err = net.Listen("tcp", analyserAddress+":3001") })
	if err != nil {
		t.Fatal(err)
	}
	defer remote.Close()
	go func() {
		for {
			if _, err := remote.Accept(); err != nil {
				return
			}
		}
	}()
	ctx, stop := context.WithCancel(t.Context())
	up, lost, ended := make(chan time.Time), make(chan struct{}), make(chan error)
	go func() {
		ended <- Redial(ctx, func(ctx context.Context) (Line, error) {
			return Open(ctx, Settings{Dial: remote.Addr().String()})
		}, func(ctx context.Context, _ Line) {
			up <- time.Now()
			select {
			case <-lost:
			case <-ctx.Done():
			}
		}, nil, nil)
	}()
	<-up
	for name, change := range a.cables() {
		for _, out := range []time.Duration{100 * time.Millisecond, 1700 * time.Millisecond, 4900 * time.Millisecond, 8300 * time.Millisecond} {
			a.at(func() { ip(t, change[0]...) })
			lost <- struct{}{}
			time.Sleep(out)
			a.at(func() { ip(t, change[1]...) })
			back := time.Now()
			took := (<-up).Sub(back)
			t.Logf("%s for %v: up after %v", name, out, took.Round(time.Millisecond))
			if took > 2*time.Second {
				t.Errorf("%s for %v: up after %v", name, out, took)
			}
		}
	}
	stop()
	<-ended
}
