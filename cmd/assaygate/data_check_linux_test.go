package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/board"
)

// e2fsck -p would take the names of these away, and say so to nobody.
func TestDataWhoseRepairTakesFilesAway(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	c.keep()
	c.do("debugfs", "-w", "-R", "clri /spool/kept", c.partition)
	c.do("debugfs", "-w", "-R", "set_super_value state 2", c.partition) // with errors
	for range 2 {
		state := c.expect(board.DataReadOnly)
		if !strings.Contains(state.Reason, "Entry 'kept' in /spool") || !strings.Contains(state.Broken().Error(), "an empty file repair") {
			t.Errorf("the state is %+v", state)
		}
		if names := c.do("debugfs", "-R", "ls -p /spool", c.partition); !strings.Contains(names, "/kept/") {
			t.Errorf("the name is gone: %s", names)
		}
	}
	c.note(cardNote{Do: noteRepair, By: "a stick"})
	state := c.expect(board.DataRepaired, "repaired by force, as a stick asked", "took damaged files")
	if len(state.Told) != 1 || !strings.Contains(state.Told[0], "Entry 'kept' in /spool") {
		t.Errorf("told is %q", state.Told)
	}
	c.expect(board.DataOK)
}

// A power cut is nothing for a person, whatever was going on.
func TestDataAfterAPowerCut(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	file := filepath.Join(t.TempDir(), "cut")
	c.inside(func(at string) {
		plant(t, at, "spool/kept", strings.Repeat("kept", 10000))
		orphan, err := os.Create(filepath.Join(at, "orphan"))
		if err != nil {
			t.Fatal(err)
		}
		defer orphan.Close()
		if _, err := orphan.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		os.Remove(orphan.Name())
		c.do("sync", "-f", at)
		c.do("cp", c.loop, file)
	})
	cut := &testCard{t: t, run: c.run}
	cut.loop = cut.attach(file)
	cut.partition = cut.loop + "p4"
	if about := cut.do("dumpe2fs", "-h", cut.partition); !strings.Contains(about, "needs_recovery") || !strings.Contains(about, "First orphan inode") {
		t.Fatalf("nothing is left to be done: %s", about)
	}
	cut.expect(board.DataOK)
	if !cut.kept() || !cut.inside(nil) {
		t.Error("it cannot be used")
	}
	cut.do("e2fsck", "-fn", cut.partition)
	cut.expect(board.DataOK)
}

func TestWhatARepairTakesAway(t *testing.T) {
	for said, want := range map[string]string{
		"assaygate-data contains a file system with errors, check forced.\nPass 1: Checking inodes, blocks, and sizes\nInode 13 ref count is 3, should be 1.  Fix? no\n\nassaygate-data: 17/16384 files (5.9% non-contiguous), 2071/16384 blocks": "",
		"Block bitmap differences:  +(2066--2068)\nFix? no\nFree inodes count wrong for group #0 (16367, counted=16368).\nFix? no":                                                                                                                "",
		"Deleted inode 13 has zero dtime.  Fix? no":                                                               "",
		"Pass 2: Checking directory structure\nEntry 'f3' in /spool (12) has deleted/unused inode 15.  Clear? no": "Entry 'f3' in /spool (12) has deleted/unused inode 15.",
		"Unattached inode 13\nConnect to /lost+found? no":                                                         "Unattached inode 13",
		"Superblock has an invalid journal (inode 8).\nClear? no":                                                 "Superblock has an invalid journal (inode 8).",
		"words of a later version":                                                                                "words of a later version",
	} {
		if is := firstHarm(said); is != want {
			t.Errorf("%q: %q, want %q", said, is, want)
		}
	}
}

// What keeps a request from being left is no reason to lose a sound file system.
func TestDataOfAResetThatCannotBeLeft(t *testing.T) {
	use := func(at string) {
		for n := 0; os.WriteFile(filepath.Join(at, "spool", strconv.Itoa(n)), nil, 0o600) == nil; n++ {
		}
	}
	for name, one := range map[string]struct {
		spoil func(at string)
		state string
		told  int
	}{
		"a file": {func(at string) { plant(t, at, "config", "no directory") }, board.DataOK, 1},
		"a link": {func(at string) { _ = os.Symlink("/nowhere", filepath.Join(at, "config")) }, board.DataOK, 1},
		"no inode": {func(at string) {
			plant(t, at, "config/assaygate.yaml", "version: 1\n")
			plant(t, at, "log/errors.log", "of old")
			use(at)
		}, board.DataOK, 0},
		"no inode at all": {use, board.DataReadOnly, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCard(t, 128)
			c.expect(board.DataOK, "grown", "new")
			c.inside(func(at string) {
				plant(t, at, "spool/kept", strings.Repeat("kept", 10000))
				one.spoil(at)
			})
			n := buttonAsked()
			n.Do = noteReset
			c.note(n)
			state, _ := c.prepare()
			if !c.kept() {
				t.Fatalf("what was stored is gone: %+v", state)
			}
			if state.State != one.state || len(state.Told) != one.told || (c.left(resetFile)["by"] == "the reset button") != (state.Broken() == nil) {
				t.Errorf("the state is %+v, the gateway gets %v", state, c.left(resetFile))
			}
		})
	}
}

// Nor is a moment in which nobody is known, or a repair that is cut off.
func TestDataOfAResetAtABadMoment(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	c.keep()
	n := buttonAsked()
	n.Do = noteReset
	c.note(n)
	c.user = "nobody-known"
	c.expect(board.DataReadOnly)
	c.user = ""
	c.expect(board.DataOK, "the box is reset")
	if !c.kept() {
		t.Error("what was stored is gone")
	}
	c.note(cardNote{Do: noteRepair, By: "a stick"})
	bin := t.TempDir()
	plantTool(t, bin, "e2fsck", "kill -KILL $$\n")
	path := os.Getenv("PATH")
	t.Setenv("PATH", bin+":"+path)
	c.expect(board.DataReadOnly)
	t.Setenv("PATH", path)
	c.expect(board.DataOK, "repaired by force")
}

// A card that gives back the sector of its first start loses nothing by that. One
// that is flashed anew is made anew.
func TestDataWithAnOldNote(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	c.keep()
	c.note(cardNote{Do: noteMake})
	if state := c.expect(board.DataOK, "was not made anew"); !c.kept() || len(state.Told) != 1 {
		t.Errorf("what was stored is gone: %+v", state)
	}
	c.expect(board.DataOK)
	c.note(cardNote{Do: noteMake})
	c.write(c.loop, dataMadeOffset, make([]byte, dataNoteSize))
	c.expect(board.DataOK, "this card is new")
	if c.kept() {
		t.Error("it is not made anew")
	}
}
