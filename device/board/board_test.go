package board

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

// tree is a made-up system: files by path, and links where the text
// begins with "-> ".
func tree(t *testing.T, files map[string]string) System {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		var err error
		if len(text) > 3 && text[:3] == "-> " {
			err = os.Symlink(text[3:], path)
		} else {
			err = os.WriteFile(path, []byte(text), 0o600)
		}
		if err != nil {
			t.Skipf("this system has no such files: %v", err)
		}
	}
	return System{
		Proc: filepath.Join(root, "proc"), Sys: filepath.Join(root, "sys"),
		Run: filepath.Join(root, "run"), Var: filepath.Join(root, "var"),
	}
}

const mounts = `21 1 179:2 / / ro,relatime - ext4 /dev/root ro
22 21 0:21 / /proc rw - proc proc rw
30 21 179:3 / /nowhere rw,noatime shared:1 - ext4 /dev/mmcblk0p3 rw,errors=remount-ro
31 21 179:4 / /nowhere/a\040card rw - ext4 /dev/mmcblk0p4 rw,errors=remount-ro,emergency_ro
32 21 0:40 / /nowhere/memory rw - tmpfs none rw
33 21 0:41 / /nowhere/covered rw - tmpfs none rw
34 33 254:0 / /nowhere/covered rw - ext4 /dev/dm-0 ro
`

func card(t *testing.T) System {
	const host = "sys/devices/platform/mmc0/mmc0:0001/"
	const disk = host + "block/mmcblk0/"
	return tree(t, map[string]string{
		"proc/self/mountinfo":                             mounts,
		"sys/dev/block/179:2":                             "-> ../../devices/platform/mmc0/mmc0:0001/block/mmcblk0/mmcblk0p2",
		"sys/dev/block/179:3":                             "-> ../../devices/platform/mmc0/mmc0:0001/block/mmcblk0/mmcblk0p3",
		"sys/dev/block/254:0":                             "-> ../../devices/virtual/block/dm-0",
		disk + "device":                                   "-> ../../../mmc0:0001",
		disk + "mmcblk0p2/partition":                      "2\n",
		disk + "mmcblk0p3/partition":                      "3\n",
		host + "life_time":                                "0x03 0x0b\n",
		host + "pre_eol_info":                             "0x02\n",
		"sys/devices/virtual/block/dm-0/slaves/mmcblk0p3": "-> ../../../../platform/mmc0/mmc0:0001/block/mmcblk0/mmcblk0p3",
		"sys/fs/ext4/mmcblk0p3/errors_count":              "7\n",
		"sys/fs/ext4/mmcblk0p3/last_error_time":           "1767323045\n",
		"sys/fs/ext4/mmcblk0p2/errors_count":              "0\n",
		"sys/fs/ext4/mmcblk0p2/last_error_time":           "0\n",
	})
}

func TestCard(t *testing.T) {
	s := card(t)
	life := map[string]float64{"a": 0.3, "b": 1.1}
	for directory, want := range map[string]Card{
		"/nowhere":            {Device: "mmcblk0p3", Counted: true, Errors: 7, LastError: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Life: life, EndsSoon: true},
		"/nowhere/spool/deep": {Device: "mmcblk0p3", Counted: true, Errors: 7, LastError: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Life: life, EndsSoon: true},
		"/nowhereelse":        {Device: "mmcblk0p2", ReadOnly: true, Counted: true, Life: life, EndsSoon: true},
		"/nowhere/a card/x":   {ReadOnly: true},
		"/nowhere/memory":     {},
		"/nowhere/covered":    {Device: "dm-0", ReadOnly: true, Life: life, EndsSoon: true},
	} {
		if got := s.Card(directory); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v\nwant %+v", directory, got, want)
		}
	}
}

func TestWearThatIsNotTold(t *testing.T) {
	for life, want := range map[string]map[string]float64{
		"":             nil,
		"0x00 0x00\n":  nil,
		"0x01 0x00\n":  {"a": 0.1},
		"nonsense 1\n": {"b": 0.1},
	} {
		device := t.TempDir()
		if err := os.WriteFile(filepath.Join(device, "life_time"), []byte(life), 0o600); err != nil {
			t.Fatal(err)
		}
		var c Card
		c.wear(device)
		if !reflect.DeepEqual(c, Card{Life: want}) {
			t.Errorf("%q: %+v", life, c)
		}
	}
}

func TestNothingIsKnownWithoutTheKernelsFiles(t *testing.T) {
	if got := (System{Proc: t.TempDir(), Sys: t.TempDir()}).Card(t.TempDir()); !reflect.DeepEqual(got, Card{}) {
		t.Errorf("%+v", got)
	}
}

// The running system's own answer must at least be readable: a directory that
// can be written to is on no read-only file system.
func TestThisSystem(t *testing.T) {
	directory := t.TempDir()
	if got := (System{}).Card(directory); got.ReadOnly {
		t.Errorf("%s can be written to, and is %+v", directory, got)
	}
	link := filepath.Join(directory, "link")
	if err := os.Symlink("/proc", link); err != nil {
		t.Skip(err)
	}
	if got := resolve(filepath.Join(link, "none", "of", "it")); got != "/proc/none/of/it" {
		t.Errorf("a path through a link is %s", got)
	}
}
