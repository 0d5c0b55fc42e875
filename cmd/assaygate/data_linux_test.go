package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/assaygate/assaygate/device/board"
)

// testCard is a card on a loop device, with the partitions of an image.
type testCard struct {
	t         *testing.T
	loop      string
	run       string // where the state is left
	user      string // whose the configuration is; "" for root
	partition string // for /data
}

// newTestCard makes one of so many MiB, as it comes out of its flashing: it says
// that it is new, and the partition for /data holds what a card may hold.
func newTestCard(t *testing.T, size int) *testCard {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("*** NOT TESTED: cards on loop devices need root ***")
	}
	for _, tool := range []string{"sfdisk", "losetup", "partx", "mke2fs", "e2fsck", "dumpe2fs", "debugfs"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("*** NOT TESTED: %s is not here: make deps ***", tool)
		}
	}
	c := &testCard{t: t, run: t.TempDir()}
	file := filepath.Join(t.TempDir(), "card")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.resize(file, 128)
	partitions := exec.Command("sfdisk", "--quiet", file)
	partitions.Stdin = strings.NewReader("label: gpt\nstart=4MiB, size=4MiB, name=boot\nstart=8MiB, size=16MiB, name=rootfs-a\nstart=24MiB, size=16MiB, name=rootfs-b\nstart=40MiB, size=64MiB, name=data\n")
	if out, err := partitions.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
	c.resize(file, size)
	c.loop = c.attach(file)
	c.partition = c.loop + "p4"
	c.write(c.loop, dataNoteOffset, []byte(dataNoteMark+`{"do":"make"}`+"\n"))
	return c
}

func (c *testCard) resize(file string, size int) {
	c.t.Helper()
	if err := os.Truncate(file, int64(size)<<20); err != nil {
		c.t.Fatal(err)
	}
}

func (c *testCard) attach(file string) (loop string) {
	c.t.Helper()
	out, err := exec.Command("losetup", "--find", "--show", file).Output()
	if err != nil {
		c.t.Skipf("*** NOT TESTED: no loop device: %v ***", err)
	}
	loop = strings.TrimSpace(string(out))
	c.t.Cleanup(func() {
		_ = exec.Command("partx", "--delete", loop).Run()
		if out, err := exec.Command("losetup", "--detach", loop).CombinedOutput(); err != nil {
			c.t.Errorf("losetup: %v: %s", err, out)
		}
	})
	// The kernel keeps what a test that was killed has left of another disk.
	_ = exec.Command("partx", "--delete", loop).Run()
	_ = exec.Command("blockdev", "--setrw", loop).Run()
	c.do("partx", "--add", loop)
	// Without udev the partitions have their names from devtmpfs, or none.
	for n := 1; n <= 4; n++ {
		name := fmt.Sprintf("%sp%d", loop, n)
		var major, minor uint32
		text, err := os.ReadFile("/sys/class/block/" + filepath.Base(name) + "/dev")
		if err == nil {
			_, err = fmt.Sscanf(string(text), "%d:%d", &major, &minor)
		}
		if err != nil {
			c.t.Skipf("*** NOT TESTED: the kernel shows no partitions of loop devices: %v ***", err)
		}
		if there(name) {
			continue
		}
		if err := unix.Mknod(name, unix.S_IFBLK|0o600, int(unix.Mkdev(major, minor))); err != nil {
			c.t.Fatal(err)
		}
		c.t.Cleanup(func() { os.Remove(name) })
	}
	return loop
}

func (c *testCard) do(name string, args ...string) string {
	c.t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func (c *testCard) write(device string, at int64, data []byte) {
	c.t.Helper()
	file, err := os.OpenFile(device, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteAt(data, at)
	}
	if err == nil {
		err = file.Sync()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	file.Close()
}

// note asks the next start for something.
func (c *testCard) note(n cardNote) {
	c.t.Helper()
	sector, err := n.encode()
	if err != nil {
		c.t.Fatal(err)
	}
	c.write(c.loop, dataNoteOffset, sector)
}

// prepare starts the box as far as that goes, and returns the state and whether
// /data would be mounted.
func (c *testCard) prepare() (board.DataState, bool) {
	c.t.Helper()
	var out bytes.Buffer
	status := execute([]string{"data", "prepare", "--device", c.partition, "--runtime", c.run, "--user", cmp.Or(c.user, "root")}, &out, &out)
	c.t.Log(out.String())
	state, err := board.System{Run: c.run}.DataState()
	if err != nil {
		c.t.Fatal(err)
	}
	if at, _ := mountedAt(c.partition); at != "" {
		c.t.Fatalf("it is still mounted at %s", at)
	}
	return state, status == done
}

// expect starts the box, and wants the state.
func (c *testCard) expect(want string, did ...string) board.DataState {
	c.t.Helper()
	state, mounts := c.prepare()
	if state.State != want || mounts != (want != board.DataAbsent) {
		c.t.Fatalf("the state is %q (%s), mounted %v; want %q", state.State, state.Reason, mounts, want)
	}
	for _, part := range did {
		if !slices.ContainsFunc(state.Did, func(line string) bool { return strings.Contains(line, part) }) {
			c.t.Errorf("did %q, want %q among it", state.Did, part)
		}
	}
	if len(did) == 0 && state.Did != nil {
		c.t.Errorf("did %q, want nothing", state.Did)
	}
	if bad := (state.Reason != "") != (state.Broken() != nil); bad {
		c.t.Errorf("reason %q, broken %v", state.Reason, state.Broken())
	}
	return state
}

// inside mounts it as data.mount does, and returns whether it can be written.
func (c *testCard) inside(do func(directory string)) (writable bool) {
	c.t.Helper()
	at := c.t.TempDir()
	c.do("mount", "-t", "ext4", "-o", "noatime,nosuid,nodev,noexec", c.partition, at)
	defer c.do("umount", at)
	if do != nil {
		do(at)
	}
	var info unix.Statfs_t
	if err := unix.Statfs(at, &info); err != nil {
		c.t.Fatal(err)
	}
	return info.Flags&unix.ST_RDONLY == 0
}

// keep puts something on it that must outlive the test.
func (c *testCard) keep() {
	c.t.Helper()
	c.inside(func(at string) {
		plant(c.t, at, "config/assaygate.yaml", "version: 1\n")
		plant(c.t, at, "spool/kept", strings.Repeat("kept", 10000))
	})
}

func (c *testCard) kept() (kept bool) {
	c.t.Helper()
	c.inside(func(at string) {
		text, err := os.ReadFile(filepath.Join(at, "spool/kept"))
		kept = err == nil && string(text) == strings.Repeat("kept", 10000)
	})
	return kept
}

// superblocks are the blocks with one, for a file system of 4 KiB blocks: the
// first has it 1 KiB behind its start.
func (c *testCard) breakSuperblocks(all bool) {
	c.t.Helper()
	junk := bytes.Repeat([]byte{0xA5}, 1024)
	c.write(c.partition, 1024, junk)
	if !all {
		return
	}
	for _, group := range []int64{1, 3, 5, 7, 9, 25, 27} {
		size, err := (&dataDisk{device: c.partition}).size()
		if err != nil {
			c.t.Fatal(err)
		}
		if at := group * 32768 * 4096; at < size {
			c.write(c.partition, at, junk)
		}
	}
}

func (c *testCard) left(name string) map[string]any {
	c.t.Helper()
	var value map[string]any
	c.inside(func(at string) {
		text, err := os.ReadFile(filepath.Join(at, "config", name))
		if err != nil {
			return
		}
		if err := json.Unmarshal(text, &value); err != nil {
			c.t.Error(err)
		}
	})
	return value
}

func buttonAsked() cardNote {
	return cardNote{By: "the reset button", At: time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)}
}

func TestDataOfANewCard(t *testing.T) {
	c := newTestCard(t, 1536)
	c.write(c.partition, 0, bytes.Repeat([]byte("stale "), 200000)) // of the card's last life
	c.expect(board.DataOK, "grown by 1431 MiB", "this card is new")
	about := c.do("dumpe2fs", "-h", c.partition)
	for _, want := range []string{"Remount read-only", "Block count:              382720", "assaygate-data"} {
		if !strings.Contains(about, want) {
			t.Errorf("no %q in\n%s", want, about)
		}
	}
	c.keep()
	c.expect(board.DataOK)
	if !c.kept() {
		t.Error("what was stored is gone")
	}
	c.do("sfdisk", "--verify", c.loop)
}

// The card that a technician has copied to a larger one.
func TestDataOfACardThatWasCopiedToALargerOne(t *testing.T) {
	c := newTestCard(t, 128)
	c.expect(board.DataOK, "grown by 23 MiB", "this card is new")
	c.keep()
	file := filepath.Join(t.TempDir(), "larger")
	c.do("cp", c.loop, file)
	c.resize(file, 3072)
	larger := &testCard{t: t, run: c.run}
	larger.loop = larger.attach(file)
	larger.partition = larger.loop + "p4"
	did := []string{"grown by 2944 MiB", "the file system was grown by"}
	if !mayGrow(t) {
		t.Log("*** NOT TESTED: to grow a file system needs CAP_SYS_RESOURCE ***")
		did = did[:1]
	}
	larger.expect(board.DataOK, did...)
	if !larger.kept() {
		t.Error("what was stored is gone")
	}
	larger.expect(board.DataOK)
	larger.do("e2fsck", "-fn", larger.partition)
}

// mayGrow reports whether the kernel would grow a file system for us: root in a
// container may lack the capability.
func mayGrow(t *testing.T) bool {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "CapEff:")
	effective, err := strconv.ParseUint(strings.Fields(after)[0], 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return effective&(1<<unix.CAP_SYS_RESOURCE) != 0
}

// What begins with zeros, or with anything, and has no file system, is a broken
// card and never a new one.
func TestDataIsNeverMadeWithoutANote(t *testing.T) {
	for name, spoil := range map[string]func(c *testCard){
		"superblock":       func(c *testCard) { c.breakSuperblocks(false) },
		"every superblock": func(c *testCard) { c.breakSuperblocks(true) },
		"zeros":            func(c *testCard) { c.write(c.partition, 0, make([]byte, 4<<20)) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCard(t, 512)
			c.expect(board.DataOK, "grown", "new")
			c.keep()
			spoil(c)
			before := c.sum()
			state := c.expect(board.DataAbsent)
			if !strings.Contains(state.Reason, "no sound file system") {
				t.Errorf("the reason is %q", state.Reason)
			}
			if c.sum() != before {
				t.Error("something was written to it")
			}
		})
	}
}

func (c *testCard) sum() string { return c.do("sha256sum", c.partition) }

func TestDataThatIsRepairedAtEachStart(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	c.keep()
	// The inode counts one link too many, and says so.
	c.do("debugfs", "-w", "-R", "set_inode_field /spool/kept block_count 3", c.partition)
	c.do("debugfs", "-w", "-R", "set_super_value state 2", c.partition) // with errors
	c.expect(board.DataRepaired)
	if !c.kept() || !c.inside(nil) {
		t.Error("it cannot be used")
	}
	c.expect(board.DataOK)
}

// plantDamage makes damage that e2fsck -p leaves to a person.
func (c *testCard) plantDamage() {
	c.t.Helper()
	c.do("debugfs", "-w", "-R", "clri /spool", c.partition)
	c.do("debugfs", "-w", "-R", "set_super_value state 2", c.partition)
}

func TestDataThatIsOnlyRead(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	c.keep()
	c.plantDamage()
	state := c.expect(board.DataReadOnly)
	if !strings.Contains(state.Reason, "damaged") {
		t.Errorf("the reason is %q", state.Reason)
	}
	if c.inside(nil) {
		t.Error("it can be written")
	}
	if err := os.WriteFile(c.partition, []byte("x"), 0o600); err == nil {
		t.Error("the partition can be written by whoever may")
	}
	c.expect(board.DataReadOnly)

	c.note(cardNote{Do: noteRepair, By: "a stick"})
	state = c.expect(board.DataRepaired, "repaired by force, as a stick asked")
	if state.Asked != noteRepair || c.left(resetFile) != nil || !c.inside(nil) {
		t.Errorf("asked %q, reset %v", state.Asked, c.left(resetFile))
	}
	c.expect(board.DataOK)
}

func TestDataOfAResetThatRepairs(t *testing.T) {
	for name, spoil := range map[string]func(c *testCard){
		"nothing": func(*testCard) {}, "damage": func(c *testCard) { c.plantDamage() }, "superblock": func(c *testCard) { c.breakSuperblocks(false) },
	} {
		t.Run(name, func(t *testing.T) {
			c := newTestCard(t, 512)
			c.expect(board.DataOK, "grown", "new")
			c.keep()
			spoil(c)
			n := buttonAsked()
			n.Do, n.Signed = noteReset, true
			c.note(n)
			state, mounts := c.prepare()
			if state.Broken() != nil || !mounts || state.Asked != noteReset {
				t.Fatalf("the state is %+v", state)
			}
			left := c.left(resetFile)
			if left["by"] != "the reset button" || left["signed"] != true || left["at"] != "2026-11-27T12:00:00Z" {
				t.Errorf("the gateway gets %v", left)
			}
			if name != "damage" && !c.kept() {
				t.Error("what could be kept is gone")
			}
			c.expect(board.DataOK) // and no second time
		})
	}
}

func TestDataOfAResetThatMakesAnew(t *testing.T) {
	c := newTestCard(t, 512)
	c.expect(board.DataOK, "grown", "new")
	c.keep()
	c.breakSuperblocks(true)
	n := buttonAsked()
	n.Do = noteReset
	c.note(n)
	c.expect(board.DataOK, "made anew, as the reset button asked: what was on it is lost")
	if last := c.left(lastResetFile); last["anew"] != true || last["by"] != "the reset button" {
		t.Errorf("the box remembers %v", last)
	}
	if c.left(resetFile) != nil {
		t.Error("a box that is as new is to be reset")
	}
	c.expect(board.DataOK)
}

// A start that is cut off while it makes the file system is brought to its end by
// the next one.
func TestDataIsMadeAgainAfterACut(t *testing.T) {
	c := newTestCard(t, 512)
	c.write(c.partition, 0, bytes.Repeat([]byte{0xA5}, 1<<20))
	bin := t.TempDir()
	plantTool(t, bin, "mke2fs", "kill -KILL $PPID\nkill -KILL $$\n")
	command := exec.Command(os.Args[0], "data", "prepare", "--device", c.partition, "--runtime", c.run, "--user", "root")
	command.Env = append(os.Environ(), asMain+"=1", "PATH="+bin+":"+os.Getenv("PATH"))
	if err := command.Run(); err == nil {
		t.Fatal("it was not cut off")
	}
	state, err := board.System{Run: c.run}.DataState()
	if err != nil || state.State != board.DataAbsent || !strings.Contains(state.Reason, "did not come to an end") {
		t.Errorf("the state after the cut is %+v, error %v", state, err)
	}
	c.expect(board.DataOK, "this card is new")
}

// A file system that cannot be made is tried again, and said.
func TestDataThatCannotBeMade(t *testing.T) {
	c := newTestCard(t, 256)
	bin := t.TempDir()
	plantTool(t, bin, "mke2fs", "echo no; exit 1\n")
	path := os.Getenv("PATH")
	t.Setenv("PATH", bin+":"+path)
	state := c.expect(board.DataAbsent, "grown")
	if !strings.Contains(state.Reason, "no file system can be made") {
		t.Errorf("the reason is %q", state.Reason)
	}
	t.Setenv("PATH", path)
	c.expect(board.DataOK, "this card is new")
}

// A repair that did not end leads to nothing worse, and is tried again.
func TestDataWhoseRepairDoesNotEnd(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	c.keep()
	n := buttonAsked()
	n.Do = noteReset
	c.note(n)
	bin := t.TempDir()
	plantTool(t, bin, "e2fsck", "kill -KILL $$\n")
	path := os.Getenv("PATH")
	t.Setenv("PATH", bin+":"+path)
	c.expect(board.DataReadOnly)
	t.Setenv("PATH", path)
	c.expect(board.DataOK, "the box is reset")
	if !c.kept() {
		t.Error("what was stored is gone")
	}
}

func TestDataThatIsFull(t *testing.T) {
	c := newTestCard(t, 128)
	c.expect(board.DataOK, "grown", "new")
	c.keep()
	c.inside(func(at string) {
		full, err := os.Create(filepath.Join(at, "spool/full"))
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		for chunk := make([]byte, 1<<20); err == nil; _, err = full.Write(chunk) {
		}
	})
	n := buttonAsked()
	n.Do = noteReset
	c.note(n)
	state, _ := c.prepare()
	if state.Broken() != nil || !c.kept() {
		t.Errorf("the state is %+v", state)
	}
}

func TestDataOfACardThatTakesNoWrites(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	c.keep()
	c.do("blockdev", "--setro", c.loop)
	state := c.expect(board.DataReadOnly)
	if !strings.Contains(state.Reason, "takes no writes") {
		t.Errorf("the reason is %q", state.Reason)
	}
	c.do("blockdev", "--setrw", c.loop)
	c.expect(board.DataOK)
}

func TestDataThatIsNotThere(t *testing.T) {
	c := newTestCard(t, 256)
	names := t.TempDir()
	for name, part := range map[string]string{"rootfs-a": "p2", "data": "p4"} {
		if err := os.Symlink(c.loop+part, filepath.Join(names, name)); err != nil {
			t.Fatal(err)
		}
	}
	c.partition = filepath.Join(names, "data")
	c.expect(board.DataOK, "grown", "new")
	wants := func(gone bool, want string) {
		t.Helper()
		state := c.expect(board.DataAbsent)
		if state.Gone != gone || state.Late == gone || !strings.Contains(state.Broken().Error(), want) {
			t.Errorf("the state is %+v: %v", state, state.Broken())
		}
	}
	os.Remove(c.partition) // udev has not come to it, or the card does not answer: nobody may flash it for that
	wants(false, "switch the box off and on")
	os.Remove(filepath.Join(names, "rootfs-a"))
	wants(false, "switch the box off and on")
	if err := os.Symlink(c.loop+"p2", filepath.Join(names, "rootfs-a")); err != nil {
		t.Fatal(err)
	}
	c.do("sfdisk", "--quiet", "--no-reread", "--force", "--no-tell-kernel", "--part-label", c.loop, "4", "another")
	wants(true, "flash the card anew")
}

func TestDataRequest(t *testing.T) {
	c := newTestCard(t, 256)
	c.expect(board.DataOK, "grown", "new")
	bin := t.TempDir()
	plantTool(t, bin, "systemctl", `echo "$@" >>`+filepath.Join(bin, "said")+"\n")
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	system := board.System{Run: c.run}
	ask := func(text string) int {
		plant(t, filepath.Dir(system.DataRequest()), filepath.Base(system.DataRequest()), text)
		var out bytes.Buffer
		status := execute([]string{"data", "request", "--device", c.partition, "--runtime", c.run}, &out, &out)
		t.Log(out.String())
		if there(system.DataRequest()) {
			t.Error("the request is still there")
		}
		return status
	}
	noted := func() cardNote {
		disk, err := openDataDisk(c.partition)
		if err != nil {
			t.Fatal(err)
		}
		defer disk.close()
		n, err := disk.note()
		if err != nil {
			t.Error(err)
		}
		return n
	}
	for _, bad := range []string{"", "{}", `{"do":"make"}`, `{"do":"reset"`, strings.Repeat("x", 5000)} {
		if status := ask(bad); status != failed || noted() != (cardNote{}) {
			t.Errorf("%.20q: status %d, note %+v", bad, status, noted())
		}
		if state, _ := system.DataState(); !strings.Contains(state.Refused, "could not be begun") {
			t.Errorf("%.20q: nobody is told: %+v", bad, state)
		}
	}
	if there(filepath.Join(bin, "said")) {
		t.Fatal("the box starts anew for nothing")
	}
	by := strings.Repeat("long ", 100) + "\nname"
	text, _ := json.Marshal(cardNote{Do: noteRepair, By: by, Reset: true})
	if status := ask(string(text)); status != done {
		t.Fatalf("status %d", status)
	}
	if n := noted(); n.Do != noteRepair || n.Reset || len(n.By) > mostBy {
		t.Errorf("noted is %+v", n)
	}
	if said, _ := os.ReadFile(filepath.Join(bin, "said")); string(said) != "--no-block reboot\n" {
		t.Errorf("systemctl was told %q", said)
	}
	c.expect(board.DataOK, "repaired by force")
}

// plantTool puts a program into a directory that stands for another.
func plantTool(t *testing.T, directory, name, script string) {
	t.Helper()
	path := filepath.Join(directory, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}
