package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/board"
)

// cutCard is a card whose power was cut while something was written: its journal is
// still to be brought to its end.
func cutCard(t *testing.T) *testCard {
	t.Helper()
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	c.keep()
	file := filepath.Join(t.TempDir(), "cut")
	c.inside(func(at string) {
		plant(t, at, "spool/newest", "the newest")
		c.do("sync", "-f", at)
		c.do("cp", c.loop, file)
	})
	cut := &testCard{t: t, run: c.run}
	cut.loop = cut.attach(file)
	cut.partition = cut.loop + "p4"
	if about := cut.do("dumpe2fs", "-h", cut.partition); !strings.Contains(about, "needs_recovery") {
		t.Fatalf("nothing is left to be done: %s", about)
	}
	return cut
}

// unreplayed mounts it as assaygate-data-unreplayed.service does.
func (c *testCard) unreplayed(do func(at string)) {
	c.t.Helper()
	at := c.t.TempDir()
	unit, err := os.ReadFile("../../image/rootfs-overlay/usr/lib/systemd/system/assaygate-data-unreplayed.service")
	if err != nil {
		c.t.Fatal(err)
	}
	_, command, _ := strings.Cut(string(unit), "ExecStart=/bin/")
	command, _, _ = strings.Cut(command, "\n")
	words := strings.Fields(strings.NewReplacer("/dev/assaygate/data", c.partition, " /data", " "+at).Replace(command))
	c.do(words[0], words[1:]...)
	defer c.do("umount", at)
	do(at)
}

// A card that has locked itself before its journal came to its end shows what it
// had before.
func TestDataOfALockedCardWithAJournal(t *testing.T) {
	c := cutCard(t)
	mark := filepath.Join(c.run, "assaygate-data", "unreplayed")
	c.do("blockdev", "--setro", c.loop)
	c.do("blockdev", "--setro", c.partition)
	state := c.expect(board.DataReadOnly)
	if !state.Stale || !state.Locked || !there(mark) {
		t.Fatalf("the state is %+v, the mark is there: %v", state, there(mark))
	}
	if text := state.Broken().Error(); !strings.Contains(text, "is read-only, as of before the last power cut") || !strings.HasSuffix(text, "copy what it holds and replace the card") {
		t.Errorf("people are told %q", text)
	}
	if hopeless(state) == nil {
		t.Error("a repair of it is begun")
	}
	c.unreplayed(func(at string) {
		if _, err := os.ReadDir(at); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(filepath.Join(at, "planted"), nil, 0o600); err == nil {
			t.Error("it can be written")
		}
	})
	// Nothing of it was lost: where the card takes writes again, or its copy does.
	c.do("blockdev", "--setrw", c.partition)
	c.do("blockdev", "--setrw", c.loop)
	c.expect(board.DataOK)
	if there(mark) {
		t.Error("the mark is left of the start before")
	}
	c.inside(func(at string) {
		if text, err := os.ReadFile(filepath.Join(at, "spool/newest")); err != nil || string(text) != "the newest" {
			t.Errorf("what the journal held is gone: %v", err)
		}
	})
}

// A journal that is broken is not thrown away by itself: what the rest holds can be
// read, and a person has it repaired.
func TestDataWhoseJournalIsBroken(t *testing.T) {
	c := cutCard(t)
	block, err := strconv.ParseInt(strings.TrimSpace(c.do("sh", "-c", "debugfs -R 'bmap <8> 0' "+c.partition+" 2>/dev/null")), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	c.write(c.partition, block*4096, bytes.Repeat([]byte{0xA5}, 4096))
	state := c.expect(board.DataReadOnly)
	if !state.Stale || state.Locked || !strings.Contains(state.Broken().Error(), "an empty file repair") || hopeless(state) != nil {
		t.Errorf("the state is %+v: %v", state, state.Broken())
	}
	c.unreplayed(func(string) {})
	c.note(cardNote{Do: noteRepair, By: "a stick"})
	if state, _ := c.prepare(); state.Broken() != nil || !c.inside(nil) {
		t.Errorf("after the repair the state is %+v", state)
	}
}
