// Package board knows what the computer says of itself: its number and its name,
// whether its clock can be trusted, and how its card fares.
//
// Everything is read from files of the running system at the time of asking, so
// it costs little and waits for no card. Where a system does not have them,
// nothing is known, and that is said by what is left out.
package board

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// System is where the kernel's files are. Its zero value is the running one.
type System struct {
	Proc string // "": /proc
	Sys  string // "": /sys
	Run  string // "": /run
	Var  string // "": /var
	Dev  string // "": /dev

	DataFile string // "": the image's

	SetKernel func(time.Time) error // nil: the running system's clock
}

// Card is what the kernel tells of the file system of a directory and of the
// card beneath it. What is not told has its zero value.
type Card struct {
	Device   string // of the kernel, such as mmcblk0p3; "": nothing is known
	ReadOnly bool   // nothing can be written, whatever it was mounted as

	Counted   bool // the file system counts its errors, as ext4 does
	Errors    uint64
	LastError time.Time

	// Life is how much of its life an eMMC has used, in steps of 0.1, by the kind
	// of its cells, "a" and "b"; above 1 it is past its end.
	Life map[string]float64
	// EndsSoon: an eMMC has used 8 or 9 tenths of its spare blocks, or more.
	EndsSoon bool
}

// Card looks at the file system that holds the directory, or will where it is
// still to be made.
func (s System) Card(directory string) Card {
	m, found := s.mountOf(resolve(directory))
	if !found {
		return Card{}
	}
	card := Card{ReadOnly: m.readOnly()}
	device, err := os.Readlink(s.sys("dev", "block", m.number))
	if err != nil {
		return card // of memory, of the network, or of several devices
	}
	card.Device = filepath.Base(device)
	errors := s.sys("fs", "ext4", card.Device)
	if n, err := strconv.ParseUint(read(errors, "errors_count"), 10, 64); err == nil {
		card.Counted, card.Errors = true, n
	}
	if at, err := strconv.ParseInt(read(errors, "last_error_time"), 10, 64); err == nil && at > 0 {
		card.LastError = time.Unix(at, 0).UTC()
	}
	card.wear(s.disk(filepath.Join(s.sys("dev", "block"), device)))
	return card
}

// disk is the device file of the disk that a partition is on. Of an encrypted or
// verified device it is that of the first one beneath.
func (s System) disk(device string) string {
	if beneath, _ := filepath.Glob(filepath.Join(device, "slaves", "*")); len(beneath) > 0 {
		if device, err := filepath.EvalSymlinks(beneath[0]); err == nil {
			return s.disk(device)
		}
	}
	if _, err := os.Stat(filepath.Join(device, "partition")); err == nil {
		device = filepath.Dir(device)
	}
	return filepath.Join(device, "device")
}

// wear reads what an eMMC says of its wear, JESD84-B51 7.4.31 to 7.4.33: two
// bytes in tenths, 0 for not known, 11 for past the end; and 1, 2 or 3 for the
// state of the spare blocks.
func (c *Card) wear(device string) {
	for i, text := range strings.Fields(read(device, "life_time")) {
		n, err := strconv.ParseUint(text, 0, 8)
		if err != nil || n == 0 || i > 1 {
			continue
		}
		if c.Life == nil {
			c.Life = map[string]float64{}
		}
		c.Life[string(rune('a'+i))] = float64(n) / 10
	}
	spare, err := strconv.ParseUint(read(device, "pre_eol_info"), 0, 8)
	c.EndsSoon = err == nil && (spare == 2 || spare == 3)
}

func (s System) sys(parts ...string) string { return s.under(s.Sys, "/sys", parts...) }

// under is a path below root, or below the running system's own.
func (System) under(root, own string, parts ...string) string {
	if root == "" {
		root = own
	}
	return filepath.Join(append([]string{root}, parts...)...)
}

// read returns a file's only line, "" where there is none.
func read(directory, name string) string {
	text, _ := os.ReadFile(filepath.Join(directory, name)) // what is not told is not known
	return strings.TrimSpace(string(text))
}

// resolve follows links in a path, as far as it exists.
func resolve(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return "/"
	}
	rest := ""
	for {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return filepath.Join(real, rest)
		}
		above := filepath.Dir(path)
		if above == path {
			return path
		}
		path, rest = above, filepath.Join(filepath.Base(path), rest)
	}
}
