package port

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A tree is /sys, /dev and /proc of a computer that is made up, as far as serial
// ports go. It is made of files and links, so that the same code reads it.
type tree struct {
	System
	t *testing.T
}

func newTree(t *testing.T) *tree {
	t.Helper()
	root := t.TempDir()
	tr := &tree{t: t, System: System{Sys: root + "/sys", Dev: root + "/dev", Proc: root + "/proc"}}
	for _, dir := range []string{tr.sys("class", "tty"), tr.sys("devices"), tr.dev(), tr.proc()} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return tr
}

func (tr *tree) file(path, text string) {
	tr.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tr.t.Fatal(err)
	}
}

// link makes a link as the kernel does, from its own place on.
func (tr *tree) link(path, target string) {
	tr.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tr.t.Fatal(err)
	}
	relative, err := filepath.Rel(filepath.Dir(path), target)
	if err == nil {
		err = os.Symlink(relative, path)
	}
	if err != nil {
		tr.t.Fatal(err)
	}
}

// tty makes a terminal of the device in a directory.
func (tr *tree) tty(name, device string) {
	tr.t.Helper()
	tr.file(filepath.Join(device, "tty", name, "dev"), "188:0\n")
	tr.link(filepath.Join(device, "tty", name, "device"), device)
	tr.link(tr.sys("class", "tty", name), filepath.Join(device, "tty", name))
	tr.file(tr.dev(name), "")
}

// controllers is where the sockets of the made-up computer begin.
const controllers = "platform/scb/fd500000.pcie/pci0000:00/0000:01:00.0/usb1"

// adapter is what is plugged into a socket.
type adapter struct {
	vendor, product     string
	maker, name, number string
	driver              string
}

// The adapters of the trees.
var (
	ch340   = adapter{"1a86", "7523", "", "USB Serial", "", "ch341"}
	pl2303  = adapter{"067b", "2303", "Prolific Technology Inc.", "USB-Serial Controller", "", "pl2303"}
	ftdi    = adapter{"0403", "6001", "FTDI", "FT232R USB UART", "A50285BI", "ftdi_sio"}
	fourWay = adapter{"0403", "6011", "FTDI", "Quad RS232-HS", "FT4ABCDE", "ftdi_sio"}
	moxa    = adapter{"9710", "7840", "Moschip", "USB-Serial", "", "mos7840"}
	cdc     = adapter{"2e8a", "000a", "Raspberry Pi", "Pico", "E6614C", "cdc_acm"}
)

// plug puts one port of an adapter into a socket such as 1-1.3: at an interface,
// and there at a port. CDC ACM hangs its terminal at the interface itself.
func (tr *tree) plug(tty, socket, iface, port string, a adapter) {
	tr.t.Helper()
	dir := tr.sys("devices", controllers)
	bus, ports, _ := strings.Cut(socket, "-")
	at := ""
	for _, one := range strings.Split(ports, ".") { // each hub holds the next
		at = strings.TrimPrefix(at+"."+one, ".")
		dir = filepath.Join(dir, bus+"-"+at)
	}
	attributes := map[string]string{
		"idVendor": a.vendor, "idProduct": a.product, "manufacturer": a.maker, "product": a.name, "serial": a.number,
	}
	maps.DeleteFunc(attributes, func(_, text string) bool { return text == "" })
	for name, text := range attributes {
		tr.file(filepath.Join(dir, name), text+"\n")
	}
	dir = filepath.Join(dir, socket+":"+iface)
	tr.file(filepath.Join(dir, "bInterfaceNumber"), "0"+strings.TrimPrefix(iface, "1.")+"\n")
	if _, err := os.Lstat(filepath.Join(dir, "driver")); err != nil {
		tr.link(filepath.Join(dir, "driver"), tr.sys("bus", "usb", "drivers", a.driver))
	}
	if a.driver != "cdc_acm" {
		dir = filepath.Join(dir, tty)
		tr.file(filepath.Join(dir, "port_number"), port+"\n")
		tr.link(filepath.Join(dir, "driver"), tr.sys("bus", "usb-serial", "drivers", a.driver))
	}
	tr.tty(tty, dir)
}

// uart makes a UART of the computer, or with type 0 a place for one.
func (tr *tree) uart(tty, device, driver, kind string) {
	tr.t.Helper()
	dir := tr.sys("devices", "platform", device)
	if _, err := os.Lstat(filepath.Join(dir, "driver")); err != nil {
		tr.link(filepath.Join(dir, "driver"), tr.sys("bus", "platform", "drivers", driver))
	}
	// From Linux 6.5 on there are two more devices between.
	ctrl := filepath.Join(dir, device+":0")
	port := filepath.Join(ctrl, device+":0."+strings.TrimLeft(tty, "tyAMS"))
	if _, err := os.Lstat(filepath.Join(ctrl, "driver")); err != nil {
		tr.link(filepath.Join(ctrl, "driver"), tr.sys("bus", "serial-base", "drivers", "ctrl"))
	}
	tr.link(filepath.Join(port, "driver"), tr.sys("bus", "serial-base", "drivers", "port"))
	tr.tty(tty, port)
	tr.file(filepath.Join(port, "tty", tty, "type"), kind+"\n")
}

// terminal makes a terminal without a device: a console, a pseudo terminal.
func (tr *tree) terminal(name string) {
	tr.t.Helper()
	tr.file(tr.sys("devices", "virtual", "tty", name, "dev"), "4:1\n")
	tr.link(tr.sys("class", "tty", name), tr.sys("devices", "virtual", "tty", name))
	tr.file(tr.dev(name), "")
}

// A Raspberry Pi 4 as its firmware leaves it: Bluetooth has the good UART.
func raspberry(t *testing.T) *tree {
	tr := newTree(t)
	for _, name := range []string{"tty0", "tty1", "console", "ptmx"} {
		tr.terminal(name)
	}
	tr.uart("ttyAMA0", "fe201000.serial", "uart-pl011", "32")
	tr.uart("ttyS0", "fe215040.serial", "bcm2835-aux-uart", "1")
	tr.link(tr.dev("serial0"), tr.dev("ttyS0"))
	tr.link(tr.dev("serial1"), tr.dev("ttyAMA0"))
	return tr
}

// A laptop: four places for UARTs and none there.
func laptop(t *testing.T) *tree {
	tr := newTree(t)
	for _, name := range []string{"ttyS0", "ttyS1", "ttyS2", "ttyS3"} {
		tr.uart(name, "serial8250", "serial8250", "0")
	}
	return tr
}
