package port

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
)

// shown is a device in one line: its name, device and aliases.
func (tr *tree) shown() (list []string) {
	tr.t.Helper()
	devices, err := tr.Devices()
	if err != nil {
		tr.t.Fatal(err)
	}
	for _, d := range devices {
		line := append([]string{d.Name, d.Path, d.Driver}, d.Aliases...)
		list = append(list, strings.ReplaceAll(strings.Join(line, " "), tr.Dev, "/dev"))
	}
	return list
}

func TestDevices(t *testing.T) {
	for name, test := range map[string]struct {
		tree func(*testing.T) *tree
		plug func(*tree)
		want []string
	}{
		"a laptop has no UART": {laptop, func(*tree) {}, nil},
		"a Raspberry Pi 4": {raspberry, func(*tree) {}, []string{
			"/dev/serial0 /dev/ttyS0 bcm2835-aux-uart",
			"/dev/serial1 /dev/ttyAMA0 uart-pl011",
		}},
		"adapters without a number": {laptop, func(tr *tree) {
			tr.plug("ttyUSB0", "1-1.3", "1.0", "0", ch340)
			tr.plug("ttyUSB1", "1-1.4", "1.0", "0", ch340)
			tr.plug("ttyUSB2", "1-1.1", "1.0", "0", pl2303)
		}, []string{
			"usb:1-1.3 /dev/ttyUSB0 ch341",
			"usb:1-1.4 /dev/ttyUSB1 ch341",
			"usb:1-1.1 /dev/ttyUSB2 pl2303",
		}},
		"a number of its own": {laptop, func(tr *tree) {
			tr.plug("ttyUSB0", "1-1.3", "1.0", "0", ftdi)
		}, []string{"usb:1-1.3 /dev/ttyUSB0 ftdi_sio serial:A50285BI"}},
		"a number twice": {laptop, func(tr *tree) {
			tr.plug("ttyUSB0", "1-1.3", "1.0", "0", ftdi)
			tr.plug("ttyUSB1", "1-1.4", "1.0", "0", ftdi)
		}, []string{"usb:1-1.3 /dev/ttyUSB0 ftdi_sio", "usb:1-1.4 /dev/ttyUSB1 ftdi_sio"}},
		"four ports, each an interface": {laptop, func(tr *tree) {
			for i, tty := range []string{"ttyUSB0", "ttyUSB1", "ttyUSB2", "ttyUSB3"} {
				tr.plug(tty, "1-1.2", "1."+string(rune('0'+i)), "0", fourWay)
			}
		}, []string{
			"usb:1-1.2:1.0 /dev/ttyUSB0 ftdi_sio serial:FT4ABCDE:1.0",
			"usb:1-1.2:1.1 /dev/ttyUSB1 ftdi_sio serial:FT4ABCDE:1.1",
			"usb:1-1.2:1.2 /dev/ttyUSB2 ftdi_sio serial:FT4ABCDE:1.2",
			"usb:1-1.2:1.3 /dev/ttyUSB3 ftdi_sio serial:FT4ABCDE:1.3",
		}},
		"four ports in one interface": {laptop, func(tr *tree) {
			tr.plug("ttyUSB0", "1-1.2", "1.0", "0", moxa)
			tr.plug("ttyUSB1", "1-1.2", "1.0", "1", moxa)
		}, []string{"usb:1-1.2:1.0:0 /dev/ttyUSB0 mos7840", "usb:1-1.2:1.0:1 /dev/ttyUSB1 mos7840"}},
		"CDC ACM, and a hub behind a hub": {laptop, func(tr *tree) {
			tr.plug("ttyACM0", "1-1.3.2", "1.0", "", cdc)
			tr.plug("ttyACM10", "1-1.3.2.4", "1.0", "", cdc)
			tr.plug("ttyACM9", "1-1.3", "1.0", "", ch340)
		}, []string{
			"usb:1-1.3.2 /dev/ttyACM0 cdc_acm", "usb:1-1.3 /dev/ttyACM9 ch341", "usb:1-1.3.2.4 /dev/ttyACM10 cdc_acm",
		}},
		"what a container does not have in /dev": {laptop, func(tr *tree) {
			tr.plug("ttyUSB0", "1-1.3", "1.0", "0", ftdi)
			os.Remove(tr.dev("ttyUSB0"))
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tr := test.tree(t)
			test.plug(tr)
			if got := tr.shown(); !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

func TestDevicesTellWhatTheAdapterIs(t *testing.T) {
	tr := raspberry(t)
	tr.file(tr.sys("devices", "virtual", "tty", "console", "active"), "tty0 ttyS0\n")
	tr.plug("ttyUSB0", "1-1.3", "1.0", "0", adapter{"0403", "6001", "FTDI\x1b[2J", "FT232R", "A50285BI", "ftdi_sio"})
	devices, err := tr.Devices()
	if err != nil {
		t.Fatal(err)
	}
	want := USB{
		Socket: "1-1.3", Interface: "1.0", VendorID: "0403", ProductID: "6001",
		Manufacturer: "FTDI [2J", Product: "FT232R", SerialNumber: "A50285BI",
	}
	if at := slices.IndexFunc(devices, func(d Device) bool { return d.USB != nil }); at < 0 || *devices[at].USB != want {
		t.Errorf("got %+v", devices)
	}
	for _, d := range devices {
		if d.Console != (d.Path == tr.dev("ttyS0")) {
			t.Errorf("the console: %+v", d)
		}
	}
	if _, err := (System{Sys: t.TempDir()}).Devices(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without /sys: %v", err)
	}
}

// The whole of a name counts, never its beginning: a hub is no adapter.
func TestLookup(t *testing.T) {
	tr := raspberry(t)
	tr.plug("ttyUSB7", "1-1.3.2", "1.0", "0", ftdi)
	tr.plug("ttyUSB0", "1-1.4", "1.0", "0", ch340)
	tr.plug("ttyUSB1", "1-1.2", "1.0", "0", fourWay)
	tr.plug("ttyUSB2", "1-1.2", "1.1", "0", fourWay)
	tr.plug("ttyUSB3", "1-1.1", "1.0", "0", moxa)
	tr.plug("ttyUSB4", "1-1.1", "1.0", "1", moxa)
	for name, want := range map[string]string{
		"usb:1-1.3.2": "ttyUSB7", "usb:1-1.3.2:1.0": "ttyUSB7", "serial:A50285BI": "ttyUSB7", "serial:A50285BI:1.0": "ttyUSB7",
		"usb:1-1.4": "ttyUSB0", "usb:1-1.2:1.1": "ttyUSB2", "serial:FT4ABCDE:1.0": "ttyUSB1", "usb:1-1.1:1.0:1": "ttyUSB4",
		"/dev/ttyUSB99": "",
	} {
		if want = tr.dev(want); !strings.Contains(name, "/") {
			if path, err := tr.Lookup(name); err != nil || path != want {
				t.Errorf("%s is %s, %v; want %s", name, path, err, want)
			}
		} else if path, err := tr.Lookup(name); err != nil || path != name {
			t.Errorf("%s is %s, %v", name, path, err)
		}
	}
	for _, name := range []string{"usb:1-1.3", "usb:1-1", "usb:1-1.4.1", "usb:1-1.2:1.4", "serial:A50285B", "serial:", "usb:", "serial:a50285bi"} {
		_, err := tr.Lookup(name)
		if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name+": nothing is there of this name; there are ") ||
			!strings.Contains(err.Error(), "usb:1-1.4 ("+tr.dev("ttyUSB0")+", USB Serial)") || !strings.Contains(err.Error(), tr.dev("ttyS0")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, candidates := range map[string][]string{
		"usb:1-1.2":       {"usb:1-1.2:1.0 (", "usb:1-1.2:1.1 ("},
		"serial:FT4ABCDE": {"usb:1-1.2:1.0 (", "usb:1-1.2:1.1 ("},
		"usb:1-1.1":       {"usb:1-1.1:1.0:0 (", "usb:1-1.1:1.0:1 ("},
		"usb:1-1.1:1.0":   {"usb:1-1.1:1.0:0 (", "usb:1-1.1:1.0:1 ("},
	} {
		_, err := tr.Lookup(name)
		if err == nil || errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name+": 2 ports have this name; take one of ") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, candidate := range candidates {
			if !strings.Contains(err.Error(), candidate) {
				t.Errorf("%s: %v does not name %s", name, err, candidate)
			}
		}
	}
	tr = laptop(t)
	if _, err := tr.Lookup("usb:1-1"); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "no other serial port") {
		t.Errorf("where there is none: %v", err)
	}
}

// Two adapters of one number are told apart by their sockets, also when one of
// them comes later: the number that was good is refused from then on.
func TestLookupOfANumberThatIsThereTwice(t *testing.T) {
	tr := laptop(t)
	tr.plug("ttyUSB0", "1-1.3", "1.0", "0", ftdi)
	if path, err := tr.Lookup("serial:A50285BI"); err != nil || path != tr.dev("ttyUSB0") {
		t.Errorf("%s, %v", path, err)
	}
	tr.plug("ttyUSB1", "1-1.4", "1.0", "0", ftdi)
	_, err := tr.Lookup("serial:A50285BI")
	if err == nil || !strings.Contains(err.Error(), "take one of usb:1-1.3 (") || !strings.Contains(err.Error(), "usb:1-1.4 (") {
		t.Errorf("error %v", err)
	}
}

// What an error names keeps within bounds, however many ports there are.
func TestLookupNamesAFew(t *testing.T) {
	tr := laptop(t)
	for i := range 12 {
		tr.plug("ttyUSB"+string(rune('A'+i)), "1-1."+string(rune('1'+i)), "1.0", "0", ch340)
	}
	if _, err := tr.Lookup("usb:9"); !strings.HasSuffix(err.Error(), ", and more") || strings.Count(err.Error(), "ttyUSB") != mostListed {
		t.Errorf("error %v", err)
	}
}
