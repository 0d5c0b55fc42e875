package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stickDisk makes a disk with a file system. Here it is ext4: not every kernel that
// tests run on has that of sticks.
func stickDisk(t *testing.T) (device string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 4<<20); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"mkfs.ext4", "-q", "-m", "0", file}, {"losetup", "--find", "--show", file}} {
		out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
		if err != nil {
			t.Skipf("no disk: %s: %v: %s", args[0], err, out)
		}
		device = strings.TrimSpace(string(out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	return device
}

// sandbox is a process that has its own view of the mounts, as systemd makes it
// for the gateway: everything read-only but the directory of the stick, and
// what root mounts there later comes in by itself.
type sandbox struct {
	t       *testing.T
	ask     io.Writer
	answers *bufio.Reader
}

func newSandbox(t *testing.T, directory string) *sandbox {
	t.Helper()
	command := exec.Command("unshare", "--mount", "--propagation", "slave", "sh", "-c", `
		mount --rbind "$1" "$1" && mount -o remount,bind,ro / || exit 1
		echo ready
		while read -r what; do
			case $what in
			write) if (echo x > "$1/stick/written") 2>/dev/null; then echo yes; else echo no; fi ;;
			flags) grep " $1/stick " /proc/self/mountinfo | tail -n 1; echo . ;;
			esac
		done`, "sh", directory)
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	command.Stderr = os.Stderr
	ask, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Skipf("no sandbox: %v", err)
	}
	t.Cleanup(func() {
		ask.Close()
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	})
	s := &sandbox{t, ask, bufio.NewReader(out)}
	if s.line() != "ready" {
		t.Fatal("the sandbox did not start")
	}
	return s
}

func (s *sandbox) line() string {
	line, err := s.answers.ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func (s *sandbox) writes() bool {
	fmt.Fprintln(s.ask, "write")
	return s.line() == "yes"
}

func (s *sandbox) flags() string {
	fmt.Fprintln(s.ask, "flags")
	flags := s.line()
	if flags != "." {
		s.line()
	}
	return flags
}

// stickPlace is a directory as /run/assaygate, from which mounts spread.
func stickPlace(t *testing.T) (directory, at string) {
	t.Helper()
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		t.Skipf("mounts cannot spread: %v", err)
	}
	directory = t.TempDir()
	at = filepath.Join(directory, "stick")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	return directory, at
}

var testFormats = []stickFormat{{name: "no-such-system"}, {name: "ext4"}}

// TestStickInASandbox shows that a sandbox reads and writes a stick as it is
// made writable, whether it was there before the stick or came after it.
func TestStickInASandbox(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	device := stickDisk(t)
	directory, at := stickPlace(t)
	sandboxes := []*sandbox{newSandbox(t, directory)}
	if format, err := mountStick(device, at, testFormats); err != nil || format != "ext4" {
		t.Fatalf("mounted as %q: %v", format, err)
	}
	sandboxes = append(sandboxes, newSandbox(t, directory))
	everyone := func(when string, want bool) {
		t.Helper()
		for i, s := range sandboxes {
			if s.writes() != want {
				t.Errorf("%s: sandbox %d can write: %v", when, i, !want)
			}
		}
	}
	everyone("a stick is mounted", false)
	for i, s := range sandboxes {
		flags := s.flags()
		for _, want := range []string{"nosuid", "nodev", "noexec", " ro"} {
			if !strings.Contains(flags, want) {
				t.Errorf("sandbox %d: not %s: %s", i, want, flags)
			}
		}
	}

	var said bytes.Buffer
	request := filepath.Join(directory, "request")
	for range 2 {
		if err := os.WriteFile(request, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- stickWritable{At: at, Request: request}.Run(&streams{out: &said}) }()
		for end := time.Now().Add(time.Minute); !sandboxes[0].writes(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the stick did not become writable")
			}
		}
		everyone("asked for", true)
		held, err := os.Create(filepath.Join(at, "held"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(request); err != nil {
			t.Fatal(err)
		}
		if err := held.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		everyone("given back", false)
	}
	if err := (stickWritable{At: at, Request: request}).Run(&streams{out: &said}); err != nil {
		t.Errorf("a request that is gone: %v", err)
	}
	if err := (stickUnmount{Device: "/dev/other", At: at}).Run(&streams{out: &said}); err != nil || sandboxes[0].flags() == "." {
		t.Errorf("another stick that is pulled takes this one with it: %v", err)
	}
	if err := (stickUnmount{Device: device, At: at}).Run(&streams{out: &said}); err != nil {
		t.Error(err)
	}
	for i, s := range sandboxes {
		if flags := s.flags(); flags != "." {
			t.Errorf("sandbox %d still has %s", i, flags)
		}
	}
}

// TestStickIsRefused leaves alone a second stick, the box's own disks, and what
// is no disk.
func TestStickIsRefused(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	first, second := stickDisk(t), stickDisk(t)
	_, at := stickPlace(t)
	refused := func(device, want string) {
		t.Helper()
		if _, err := mountStick(device, at, testFormats); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: says %v, not %q", device, err, want)
		}
	}
	refused(at, "is not a disk")
	refused(filepath.Join(at, "none"), "no such file")
	own := t.TempDir()
	if err := mountAs(second, own, testFormats[1]); err != nil {
		t.Fatal(err)
	}
	refused(second, "the box uses that disk for "+own)
	if err := unix.Unmount(own, 0); err != nil {
		t.Fatal(err)
	}
	if _, err := mountStick(first, at, testFormats[:1]); err == nil || !strings.Contains(err.Error(), "format it as FAT32: as no-such-system: this system cannot read it") {
		t.Errorf("says %v", err)
	}
	if _, err := mountStick(first, at, testFormats); err != nil {
		t.Fatal(err)
	}
	refused(second, first+" is in already")
	if err := remountStick(t.TempDir(), "rw"); !errors.Is(err, errNoStick) {
		t.Errorf("a place without a stick: %v", err)
	}
}

// TestTwoSticksAtOnce has one of two that come at the same moment, as the
// partitions of one stick do, and is free again when they are pulled.
func TestTwoSticksAtOnce(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	devices := []string{stickDisk(t), stickDisk(t)}
	_, at := stickPlace(t)
	for range 20 {
		errs := make(chan error, len(devices))
		for _, device := range devices {
			go func() {
				_, err := mountStick(device, at, testFormats)
				errs <- err
			}()
		}
		if one, other := <-errs, <-errs; (one == nil) == (other == nil) {
			t.Fatalf("mounted with %v and %v", one, other)
		}
		for _, device := range devices {
			if err := (stickUnmount{Device: device, At: at}).Run(&streams{out: io.Discard}); err != nil {
				t.Error(err)
			}
		}
		mounts, err := mountTable()
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range mounts {
			if one.at == at {
				t.Fatalf("%s is still there", one.source)
			}
		}
	}
}

// TestStickShowsItsReleases shows the update agent what it may read of a stick, and
// that only for reading; it goes with the stick.
func TestStickShowsItsReleases(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	device := stickDisk(t)
	_, at := stickPlace(t)
	if _, err := mountStick(device, at, testFormats); err != nil {
		t.Fatal(err)
	}
	shared := filepath.Join(t.TempDir(), "shared")
	if err := showReleases(at, shared); err != nil {
		t.Errorf("a stick without releases: %v", err)
	}
	if err := remountStick(at, "rw"); err != nil {
		t.Fatal(err)
	}
	for _, name := range releaseFolders() {
		for _, folder := range []string{filepath.Join(at, name), filepath.Join(shared, name)} {
			if err := os.MkdirAll(folder, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(at, name, "file"), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := showReleases(at, shared); err != nil {
		t.Fatal(err)
	}
	for _, name := range releaseFolders() {
		if text, err := os.ReadFile(filepath.Join(shared, name, "file")); err != nil || string(text) != name {
			t.Errorf("%s: %q, %v", name, text, err)
		}
		if err := os.WriteFile(filepath.Join(shared, name, "file"), nil, 0o644); !errors.Is(err, unix.EROFS) {
			t.Errorf("%s can be written to: %v", name, err)
		}
	}
	if err := (stickUnmount{Device: device, At: at, Shared: shared}).Run(&streams{out: io.Discard}); err != nil {
		t.Error(err)
	}
	for _, name := range releaseFolders() {
		if _, err := os.Stat(filepath.Join(shared, name, "file")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
}
