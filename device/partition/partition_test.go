package partition

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const mib = 1 << 20

// card is a disk in memory. It keeps what was written until it is synced, as a
// card may.
type card struct {
	data    []byte
	pending []write
	groups  [][]write // those that were synced, one group a sync
}

type write struct {
	at   int64
	data []byte
}

func (c *card) ReadAt(p []byte, at int64) (int, error) {
	if at >= int64(len(c.data)) {
		return 0, io.EOF
	}
	return copy(p, c.data[at:]), nil
}

func (c *card) WriteAt(p []byte, at int64) (int, error) {
	c.pending = append(c.pending, write{at, bytes.Clone(p)})
	return copy(c.data[at:], p), nil
}

func (c *card) Sync() error {
	c.groups = append(c.groups, c.pending)
	c.pending = nil
	return nil
}

func (c *card) size() int64 { return int64(len(c.data)) }

// image is the first megabytes of a card as an image makes it, on a card of so
// many MiB: made by sfdisk, which nobody here wrote.
func image(t *testing.T, size int) *card {
	t.Helper()
	if _, err := exec.LookPath("sfdisk"); err != nil {
		t.Skip("*** NOT TESTED: sfdisk is not here: make deps ***")
	}
	path := filepath.Join(t.TempDir(), "card")
	if err := os.WriteFile(path, make([]byte, 24*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	partitions := exec.Command("sfdisk", "--quiet", path)
	partitions.Stdin = strings.NewReader("label: gpt\nstart=4MiB, size=4MiB, name=boot\nstart=8MiB, size=4MiB, name=rootfs-a\nstart=12MiB, size=4MiB, name=rootfs-b\nstart=16MiB, size=7MiB, name=data\n")
	if out, err := partitions.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// As a hybrid one: the first partition, and a protective entry before it.
	copy(data[446:], []byte{0x80, 0, 0, 0, 0x0C, 0, 0, 0, 0, 0x20, 0, 0, 0, 0x20, 0, 0})
	copy(data[462:], []byte{0, 0, 0, 0, 0xEE, 0, 0, 0, 1, 0, 0, 0, 0xFF, 0x1F, 0, 0})
	return &card{data: append(data, make([]byte, (size-24)*mib)...)}
}

func (c *card) read(t *testing.T) *Table {
	t.Helper()
	table, err := Read(c, c.size(), 512)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func (c *card) grown(t *testing.T) *card {
	t.Helper()
	table := c.read(t)
	if _, err := table.Grow(4); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Write(c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestGrow(t *testing.T) {
	c := image(t, 64)
	before, mbr := c.read(t), bytes.Clone(c.data[:512])
	table := c.read(t)
	gained, err := table.Grow(4)
	if err != nil || gained != (63-23)*mib {
		t.Fatalf("gained %d bytes, error %v", gained, err)
	}
	if wrote, err := table.Write(c); err != nil || !wrote {
		t.Fatalf("wrote %v, error %v", wrote, err)
	}
	if !bytes.Equal(c.data[:512], mbr) {
		t.Error("the first sector is another")
	}
	after := c.read(t)
	for n := 1; n <= 5; n++ {
		was, _ := before.Entry(n)
		is, _ := after.Entry(n)
		if n == 4 {
			was.Last = 63*mib/512 - 1
		}
		if is != was {
			t.Errorf("partition %d: %v, want %v", n, is, was)
		}
	}
	copied, err := read(c, 512, c.size()/512-1, c.size()/512-1)
	if err != nil {
		t.Fatalf("the copy at the end: %v", err)
	}
	if !bytes.Equal(copied.entries, after.entries) {
		t.Error("the copy at the end has other entries")
	}
	judge(t, c)

	again := c.read(t)
	if gained, err := again.Grow(4); gained != 0 || err != nil {
		t.Errorf("again: gained %d, error %v", gained, err)
	}
	if wrote, err := again.Write(c); wrote || err != nil {
		t.Errorf("again: wrote %v, error %v", wrote, err)
	}
}

// judge has tools judge the table that know nothing of us.
func judge(t *testing.T, c *card) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "judged")
	if err := os.WriteFile(path, c.data, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sfdisk", "--verify", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No errors detected") {
		t.Errorf("sfdisk: %v: %s", err, out)
	}
	if _, err := exec.LookPath("sgdisk"); err != nil {
		t.Log("*** sgdisk is not here: it judges nothing ***")
		return
	}
	out, err = exec.Command("sgdisk", "--verify", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No problems found") {
		t.Errorf("sgdisk: %v: %s", err, out)
	}
}

// A power cut may leave any of the writes that were not synced, whole, half or not
// at all. Whatever it leaves, the table is read, the other partitions are where
// they were, and the next start brings it to its end.
func TestGrowIsCutOff(t *testing.T) {
	fresh := image(t, 32)
	want := (&card{data: bytes.Clone(fresh.data)}).grown(t)
	cuts := 0
	for done := range len(want.groups) {
		group := want.groups[done]
		ways := 1
		for range group {
			ways *= 3
		}
		for way := range ways {
			c := &card{data: bytes.Clone(fresh.data)}
			for _, whole := range want.groups[:done] {
				for _, w := range whole {
					copy(c.data[w.at:], w.data)
				}
			}
			rest := way
			for _, w := range group {
				copy(c.data[w.at:], w.data[:len(w.data)*(rest%3)/2])
				rest /= 3
			}
			cuts++
			name := fmt.Sprintf("cut in group %d, way %d", done, way)
			table, err := Read(c, c.size(), 512)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			for n := 1; n <= 3; n++ {
				was, _ := fresh.read(t).Entry(n)
				if is, _ := table.Entry(n); is != was {
					t.Errorf("%s: partition %d is %v, want %v", name, n, is, was)
				}
			}
			if c.grown(t); !bytes.Equal(c.data, want.data) {
				t.Errorf("%s: does not come to the same end", name)
			}
		}
	}
	if len(want.groups) != 2 || cuts != 18 {
		t.Errorf("%d groups of writes, %d cuts; want 2 and 18", len(want.groups), cuts)
	}
}

func TestTheCopyMendsTheTable(t *testing.T) {
	c := image(t, 32).grown(t)
	whole := bytes.Clone(c.data)
	for _, at := range []int64{512, 512 + 16, 1024 + 3*128 + 40} {
		c.data[at] ^= 0xFF
		table := c.read(t)
		if wrote, err := table.Write(c); err != nil || !wrote {
			t.Errorf("byte %d: wrote %v, error %v", at, wrote, err)
		}
		if !bytes.Equal(c.data, whole) {
			t.Errorf("byte %d: the table is not mended", at)
		}
	}
}

func TestWhatIsNoTable(t *testing.T) {
	for name, spoil := range map[string]func([]byte){
		"zeros":       func(d []byte) { clear(d) },
		"both tables": func(d []byte) { d[600] = 1; d[1024]++; clear(d[len(d)-512:]) },
	} {
		c := image(t, 24)
		spoil(c.data)
		if _, err := Read(c, c.size(), 512); !errors.Is(err, ErrNone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := image(t, 24)
	if _, err := Read(c, 18*mib, 512); !errors.Is(err, ErrNone) {
		t.Errorf("a card that is smaller than its image: %v", err)
	}
}

func TestGrowOnlyWhereThereIsRoom(t *testing.T) {
	c := image(t, 64)
	table := c.read(t)
	if gained, err := table.Grow(2); gained != 0 || err != nil {
		t.Errorf("one that has a neighbour: gained %d, error %v", gained, err)
	}
	if _, err := table.Grow(5); err == nil {
		t.Error("one that is not there grows")
	}
	tight := image(t, 24)
	tight.data = tight.data[:23*mib+8<<10] // ends before the copy would
	if table, err := Read(tight, tight.size(), 512); err != nil {
		t.Fatal(err)
	} else if _, err := table.Grow(4); err == nil {
		t.Error("a partition that reaches into the copy's place grows")
	}
}

func TestGap(t *testing.T) {
	table := image(t, 24).read(t)
	for at, want := range map[int64]bool{0: false, 1024: false, 34*512 - 1: false, 34 * 512: true, 0x180000: true, 4*mib - 512: true, 4*mib - 511: false, 4 * mib: false, 23*mib + 1: false} {
		if got := table.Gap(at, 512); got != want {
			t.Errorf("gap at %d: %v", at, got)
		}
	}
}
