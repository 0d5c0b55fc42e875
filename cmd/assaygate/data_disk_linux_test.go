package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/assaygate/assaygate/device/board"
)

// swallowing is a card that says of each write that it was done, and keeps none:
// what is written goes to one disk, what is read back comes from another.
func (c *testCard) swallowing() *dataDisk {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "as-it-was")
	c.do("cp", c.loop, file)
	other := (&testCard{t: c.t}).attach(file)
	disk, err := openDataDisk(c.partition)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { disk.close() })
	// The same file under the other one's name.
	fd, err := unix.Dup(int(disk.disk.Fd()))
	if err == nil {
		err = disk.close()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	disk.disk = os.NewFile(uintptr(fd), other)
	return disk
}

func TestNoteThatTheCardDoesNotKeep(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	c.note(cardNote{Do: noteMake})
	disk := c.swallowing()
	if err := disk.setNote(cardNote{}); !errors.Is(err, errSwallowed) {
		t.Errorf("a note that stays is said to be gone: %v", err)
	}
	p := &preparing{disk: disk}
	state := p.settled(board.DataState{State: board.DataOK, At: "/data"})
	if state.State != board.DataAbsent || !strings.HasSuffix(state.Broken().Error(), "does not keep it; copy what it holds and replace the card") {
		t.Errorf("something would be stored beneath an old note: %+v", state)
	}
	super, err := (&preparing{dataPrepare: dataPrepare{Device: c.partition}}).superblock()
	if err != nil {
		t.Fatal(err)
	}
	c.write(c.loop, dataMadeOffset, make([]byte, dataNoteSize))
	if err := c.swallowing().setMade(super); !errors.Is(err, errSwallowed) {
		t.Errorf("a mark that is not there is said to be: %v", err)
	}
}

// What the kernel remembers of a card is not what the card has.
func TestNoteIsReadBackFromTheCard(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	disk, err := openDataDisk(c.partition)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.close()
	if err := disk.setNote(buttonAskedFor(noteRepair)); err != nil {
		t.Fatal(err)
	}
	backing := strings.TrimSpace(c.do("losetup", "--noheadings", "--output", "BACK-FILE", c.loop))
	c.write(backing, dataNoteOffset, make([]byte, dataNoteSize)) // behind the kernel's back
	if n, err := disk.note(); err != nil || n.Do != noteRepair {
		t.Skipf("*** NOT TESTED: this kernel keeps nothing of a loop device: %+v, %v ***", n, err)
	}
	if is, err := readDirect(c.loop, dataNoteOffset, dataNoteSize); err != nil || strings.Trim(string(is), "\x00") != "" {
		t.Errorf("read back is %q, %v", is, err)
	}
}

func buttonAskedFor(do string) cardNote {
	n := buttonAsked()
	n.Do = do
	return n
}
