package board

import (
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Serial is the number by which this box is told apart from all others: what the
// device tree says (a Raspberry Pi's is burnt into its processor), else what a
// PC's firmware says, else the address of the first network interface that is
// built in, as twelve hex digits. It is "" where there is none of them. It has
// letters, digits and punctuation of ASCII only.
func (s System) Serial() string {
	for _, text := range []string{
		read(s.sys("firmware", "devicetree", "base"), "serial-number"),
		read(s.sys("class", "dmi", "id"), "product_serial"), // for root only, on most systems
	} {
		if serial := visible(text); meaningful(serial) {
			return serial
		}
	}
	for _, port := range s.physical() {
		if mac, err := net.ParseMAC(read(s.sys("class", "net", port), "address")); err == nil && len(mac) == 6 && meaningful(mac.String()) {
			return hex.EncodeToString(mac)
		}
	}
	return ""
}

// Hostname is what the box calls itself on the network when nobody has said
// otherwise: assaygate-SERIAL, a valid label of DNS. Characters that a label
// cannot have become hyphens; of a number that is too long the end is kept,
// which differs from box to box.
func (s System) Hostname() string {
	const name, longest = "assaygate-", 63 // RFC 1035 2.3.4
	label := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, s.Serial())
	if most := longest - len(name); len(label) > most {
		label = label[len(label)-most:]
	}
	return strings.TrimSuffix(name+strings.Trim(label, "-"), "-")
}

// visible leaves what can be printed in ASCII: firmware ends its texts with
// zeros, and pads them.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		if r > ' ' && r <= '~' {
			return r
		}
		return -1
	}, text)
}

// meaningful reports whether a maker has filled the number in. What stands there
// otherwise is the same on every board of its kind.
func meaningful(serial string) bool {
	switch strings.ToLower(serial) {
	case "none", "notspecified", "notapplicable", "notavailable", "n/a", "unknown", "defaultstring",
		"tobefilledbyo.e.m.", "systemserialnumber", "serialnumber", "123456789", "0123456789", "1234567890":
		return false
	}
	return strings.Trim(serial, "0:.-xX") != ""
}

// physical lists the network interfaces that have hardware, by name: those on
// USB last, for an adapter can be another one tomorrow.
func (s System) physical() []string {
	devices, _ := filepath.Glob(s.sys("class", "net", "*", "device"))
	var builtIn, onUSB []string
	for _, device := range devices {
		name := filepath.Base(filepath.Dir(device))
		if bus, err := os.Readlink(filepath.Join(device, "subsystem")); err == nil && filepath.Base(bus) == "usb" {
			onUSB = append(onUSB, name)
			continue
		}
		builtIn = append(builtIn, name)
	}
	return slices.Concat(builtIn, onUSB)
}
