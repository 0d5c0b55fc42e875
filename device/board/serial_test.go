package board

import (
	"regexp"
	"strings"
	"testing"
)

const (
	deviceTree = "sys/firmware/devicetree/base/serial-number"
	dmi        = "sys/class/dmi/id/product_serial"
)

// interfaces are two built-in ones, one on USB that comes before them by name,
// and a bridge.
func interfaces(more map[string]string) map[string]string {
	files := map[string]string{
		"sys/bus/usb/none":                      "",
		"sys/bus/pci/none":                      "",
		"sys/devices/usb/subsystem":             "-> ../../bus/usb",
		"sys/devices/pci0/subsystem":            "-> ../../bus/pci",
		"sys/devices/pci1/subsystem":            "-> ../../bus/pci",
		"sys/class/net/docker0/address":         "02:42:ac:00:00:01\n",
		"sys/class/net/enx001122334455/device":  "-> ../../../devices/usb",
		"sys/class/net/enx001122334455/address": "00:11:22:33:44:55\n",
		"sys/class/net/eth0/device":             "-> ../../../devices/pci0",
		"sys/class/net/eth0/address":            "DC:A6:32:01:02:03\n",
		"sys/class/net/eth1/device":             "-> ../../../devices/pci1",
		"sys/class/net/eth1/address":            "dc:a6:32:01:02:04\n",
	}
	for name, text := range more {
		files[name] = text
	}
	return files
}

func TestSerial(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a Raspberry Pi":                        {interfaces(map[string]string{deviceTree: "10000000a1b2c3d4\x00", dmi: "S1\n"}), "10000000a1b2c3d4"},
		"a PC":                                  {interfaces(map[string]string{dmi: "PF-3 X9\n"}), "PF-3X9"},
		"a PC whose maker left it out":          {interfaces(map[string]string{dmi: "To be filled by O.E.M.\n"}), "dca632010203"},
		"a PC with a default":                   {interfaces(map[string]string{dmi: "Default string\n"}), "dca632010203"},
		"a device tree of zeros":                {interfaces(map[string]string{deviceTree: "0000000000000000\x00"}), "dca632010203"},
		"only interfaces":                       {interfaces(nil), "dca632010203"},
		"an interface without an address":       {interfaces(map[string]string{"sys/class/net/eth0/address": "00:00:00:00:00:00\n"}), "dca632010204"},
		"an interface that is not Ethernet":     {interfaces(map[string]string{"sys/class/net/eth0/address": "80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:0b:84:f5\n"}), "dca632010204"},
		"only an interface on USB":              {map[string]string{"sys/bus/usb/none": "", "sys/devices/usb/subsystem": "-> ../../bus/usb", "sys/class/net/eth0/device": "-> ../../../devices/usb", "sys/class/net/eth0/address": "00:11:22:33:44:55\n"}, "001122334455"},
		"only a bridge":                         {map[string]string{"sys/class/net/docker0/address": "02:42:ac:00:00:01\n"}, ""},
		"nothing":                               {nil, ""},
		"what would disturb a line of a report": {map[string]string{deviceTree: "A1\n\x1b[31m\u202e\x00"}, "A1[31m"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tree(t, test.files).Serial(); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
}

func TestHostname(t *testing.T) {
	for serial, want := range map[string]string{
		"":                            "assaygate",
		"10000000A1B2C3D4":            "assaygate-10000000a1b2c3d4",
		"PF_3/X9.":                    "assaygate-pf-3-x9",
		"--7--":                       "assaygate-7",
		"../..":                       "assaygate",
		strings.Repeat("7", 60) + "x": "assaygate-" + strings.Repeat("7", 52) + "x",
	} {
		if got := tree(t, map[string]string{deviceTree: serial}).Hostname(); got != want {
			t.Errorf("%q: %s, want %s", serial, got, want)
		}
	}
}

// Whatever a board says of itself, the name can be used.
func FuzzHostname(f *testing.F) {
	for _, serial := range []string{"", "10000000a1b2c3d4\x00", "İ-ß", strings.Repeat("-", 70) + "9"} {
		f.Add(serial)
	}
	label := regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	printable := regexp.MustCompile(`^[!-~]*$`)
	f.Fuzz(func(t *testing.T, serial string) {
		s := tree(t, map[string]string{deviceTree: serial})
		if got := s.Hostname(); !label.MatchString(got) {
			t.Errorf("%q gives the name %q", serial, got)
		}
		if got := s.Serial(); !printable.MatchString(got) {
			t.Errorf("%q gives the number %q", serial, got)
		}
	})
}
