package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// ownMounts is set in a process that may mount: what it mounts is seen by nobody
// else and is gone with it.
const ownMounts = "ASSAYGATE_TEST_OWN_MOUNTS"

// inOwnMounts reports whether this process may mount. Where not, it runs the test
// once more in one that may.
func inOwnMounts(t *testing.T) bool {
	t.Helper()
	if os.Getenv(ownMounts) != "" {
		return true
	}
	again := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=4m")
	again.Env = append(os.Environ(), ownMounts+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	again.Stdout, again.Stderr = &out, &out
	switch err := again.Run(); {
	case errors.Is(err, syscall.EPERM):
		t.Skip("NOT TESTED: a card that fails; mounting needs root")
	case err != nil:
		t.Fatalf("%v\n%s", err, &out)
	case strings.Contains(out.String(), "--- SKIP"):
		t.Skipf("NOT TESTED: %s", &out)
	case !strings.Contains(out.String(), "--- PASS: "+t.Name()):
		t.Fatalf("it has not run:\n%s", &out)
	}
	t.Logf("%s", &out)
	return false
}

// memory mounts a file system in memory of some bytes.
func memory(t *testing.T, size int) string {
	t.Helper()
	at := t.TempDir()
	if err := unix.Mount("none", at, "tmpfs", 0, fmt.Sprint("size=", size)); err != nil {
		t.Skipf("no file system in memory: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) }) // the process ends soon
	return at
}

// fill takes all room that is left in a directory, and returns what gives it back.
func fill(t *testing.T, directory string) (empty func()) {
	t.Helper()
	name := filepath.Join(directory, "filler")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err := file.Write(block); err != nil {
			block = block[:len(block)/2]
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Error(err)
		}
	}
}

// ext4 is a file system of its own in a file, as on a card.
type ext4 struct {
	t         *testing.T
	image, at string
}

func newExt4(t *testing.T, directory string) *ext4 {
	t.Helper()
	e := &ext4{t: t, image: filepath.Join(directory, "card"), at: filepath.Join(t.TempDir(), "mounted")}
	if err := os.Mkdir(e.at, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(e.image, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", e.image).CombinedOutput(); err != nil {
		t.Skipf("no ext4 here: %v %s", err, out)
	}
	e.solid()
	if err := e.mount(); err != nil {
		t.Skipf("no loop device here: %v", err)
	}
	t.Cleanup(func() { unix.Unmount(e.at, unix.MNT_DETACH) }) // it may not be mounted
	return e
}

// solid writes the image once more: mkfs leaves holes where there are zeros, and
// losesNewData must only meet those of free blocks.
func (e *ext4) solid() {
	e.t.Helper()
	image, err := os.ReadFile(e.image)
	if err == nil {
		err = os.WriteFile(e.image, image, 0o600)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

func (e *ext4) mount() error {
	out, err := exec.Command("mount", "-o", "loop,errors=remount-ro", e.image, e.at).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// breaks has the kernel meet an error on it, so that it becomes read-only.
func (e *ext4) breaks(device string) {
	e.t.Helper()
	if err := os.WriteFile("/sys/fs/ext4/"+device+"/trigger_fs_error", []byte("1"), 0); err != nil {
		e.t.Skipf("this kernel makes no errors of ext4: %v", err)
	}
}

// losesNewData has every write fail that goes to a block which is free now, and
// no other: the file system's own data are safe, as on a card with bad blocks. It
// takes all room around the image, after what is free in it was given back.
func (e *ext4) losesNewData() (again func()) {
	e.t.Helper()
	if out, err := exec.Command("fstrim", e.at).CombinedOutput(); err != nil {
		e.t.Skipf("free blocks cannot be given back: %v %s", err, out)
	}
	return fill(e.t, filepath.Dir(e.image))
}

// explain shows, where the test fails, what the gateway and the kernel said.
func (r *running) explain() {
	r.t.Cleanup(func() {
		if !r.t.Failed() {
			return
		}
		for line := range strings.Lines(r.log.text()) {
			if !strings.Contains(line, `"level":"INFO"`) {
				r.t.Log(strings.TrimSpace(line))
			}
		}
		mounted, _ := os.ReadFile("/proc/self/mountinfo") // only for a person
		r.t.Logf("%s", mounted)
	})
}

// repair unmounts it, which fails while anything of it is open, and checks it.
func (e *ext4) repair() {
	e.t.Helper()
	eventually(e.t, "nothing of the broken file system is in use", func() bool { return unix.Unmount(e.at, 0) == nil })
	e.check()
}

// check puts right what contradicts itself.
func (e *ext4) check() {
	e.t.Helper()
	out, err := exec.Command("e2fsck", "-f", "-y", e.image).CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &exit) || exit.ExitCode() > 1) { // 1: errors were corrected
		e.t.Fatalf("%v: %s", err, out)
	}
}
