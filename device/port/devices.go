package port

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// System is where the files of a Linux kernel are. Its zero value is the running
// one.
type System struct {
	Sys  string // "": /sys
	Dev  string // "": /dev
	Proc string // "": /proc
}

// Devices lists the serial ports that are there now, in the order of their names.
// What only looks like one is left out: the kernel's places for UARTs that the
// computer does not have, consoles, pseudo terminals.
func (s System) Devices() ([]Device, error) {
	entries, err := os.ReadDir(s.sys("class", "tty"))
	if err != nil {
		return nil, fmt.Errorf("list serial ports: %w", err)
	}
	aliases := s.aliases()
	devices := []Device{}
	for _, entry := range entries {
		d, is := s.device(entry.Name())
		if !is {
			continue
		}
		d.Aliases = append([]string{}, aliases[d.Path]...)
		devices = append(devices, d)
	}
	christen(devices)
	slices.SortFunc(devices, func(a, b Device) int {
		return cmp.Or(cmp.Compare(len(a.Path), len(b.Path)), cmp.Compare(a.Path, b.Path))
	})
	return devices, nil
}

// Lookup is a Resolver over this system's devices.
func (s System) Lookup(name string) (string, error) {
	if !stableName(name) {
		return name, nil
	}
	devices, err := s.Devices()
	if err != nil {
		return "", err
	}
	d, err := find(devices, name)
	return d.Path, err
}

// device describes one terminal, false where it is no serial port.
func (s System) device(name string) (Device, bool) {
	class := s.sys("class", "tty", name)
	// Made of software: most of them, and this is asked twice a second while a
	// line waits for its adapter.
	if link, err := os.Readlink(class); err != nil || strings.Contains(link, "/devices/virtual/") {
		return Device{}, false
	}
	beneath, err := filepath.EvalSymlinks(filepath.Join(class, "device"))
	if err != nil {
		return Device{}, false
	}
	consoles := strings.Fields(attribute(s.sys("class", "tty", "console"), "active"))
	d := Device{Path: s.dev(name), Console: slices.Contains(consoles, name)}
	if _, err := os.Lstat(d.Path); err != nil {
		return Device{}, false // a container may see all of /sys and little of /dev
	}
	if d.USB = s.usb(beneath, &d.Driver); d.USB != nil {
		return d, true
	}
	// Only UARTs have a type; 0 is a place without a chip.
	if kind := attribute(class, "type"); kind == "" || kind == "0" {
		return Device{}, false
	}
	d.Driver = s.driver(beneath)
	return d, true
}

// usb looks for the USB interface that a device belongs to, nil where there is
// none, and for the adapter that has the interface.
func (s System) usb(beneath string, driver *string) *USB {
	for dir := beneath; s.within(dir); dir = filepath.Dir(dir) {
		if attribute(dir, "bInterfaceNumber") == "" {
			continue
		}
		adapter := filepath.Dir(dir)
		_, number, _ := strings.Cut(filepath.Base(dir), ":")
		u := &USB{
			Socket: filepath.Base(adapter), Interface: number,
			VendorID: attribute(adapter, "idVendor"), ProductID: attribute(adapter, "idProduct"),
			Manufacturer: attribute(adapter, "manufacturer"), Product: attribute(adapter, "product"),
			SerialNumber: attribute(adapter, "serial"),
		}
		u.Port, _ = strconv.Atoi(attribute(beneath, "port_number")) // CDC ACM has none: its only port is 0
		if link, err := os.Readlink(filepath.Join(dir, "driver")); err == nil {
			*driver = filepath.Base(link)
		}
		return u
	}
	return nil
}

// driver is that of a UART. Between it and the terminal newer kernels have two
// devices of their own, with the drivers `port` and `ctrl`.
func (s System) driver(beneath string) string {
	for dir := beneath; s.within(dir); dir = filepath.Dir(dir) {
		link, err := os.Readlink(filepath.Join(dir, "driver"))
		if name := filepath.Base(link); err == nil && name != "port" && name != "ctrl" {
			return name
		}
	}
	return ""
}

// within reports whether a directory is one of a device.
func (s System) within(dir string) bool {
	root, err := filepath.EvalSymlinks(s.sys("devices"))
	return err == nil && strings.HasPrefix(dir, root+string(filepath.Separator))
}

// aliases are the links in /dev, such as serial0 on a Raspberry Pi or those of
// own udev rules, by the device that they lead to.
func (s System) aliases() map[string][]string {
	found := map[string][]string{}
	entries, _ := os.ReadDir(s.dev())
	for _, entry := range entries {
		link := s.dev(entry.Name())
		if entry.Type()&os.ModeSymlink == 0 {
			continue
		}
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(filepath.Base(target), "tty") {
			path := s.dev(filepath.Base(target))
			found[path] = append(found[path], link)
		}
	}
	return found
}

func (s System) sys(parts ...string) string  { return below(s.Sys, "/sys", parts) }
func (s System) dev(parts ...string) string  { return below(s.Dev, "/dev", parts) }
func (s System) proc(parts ...string) string { return below(s.Proc, "/proc", parts) }

func below(root, usual string, parts []string) string {
	return filepath.Join(append([]string{cmp.Or(root, usual)}, parts...)...)
}

// attribute is the text of a file in /sys, "" where there is none. An adapter
// says what it likes of itself, and a terminal must not act on it.
func attribute(directory, name string) string {
	text, _ := os.ReadFile(filepath.Join(directory, name))
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, string(text)))
}
