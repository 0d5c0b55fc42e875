package port

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Device is a serial port that is there now: a USB adapter's, or one of the
// computer itself.
type Device struct {
	// Path is what is opened: /dev/ttyUSB0, COM3.
	Path string `json:"path"`
	// Name is what to write into a configuration: of a USB adapter `usb:` and the
	// socket that it is plugged into, of a Raspberry Pi's pins /dev/serial0, else
	// the path.
	Name string `json:"name"`
	// Aliases are further names of the same port that Lookup and the system know,
	// the path left out.
	Aliases []string `json:"aliases"`
	// Driver is the kernel's, such as ftdi_sio.
	Driver string `json:"driver"`
	// Console says that the kernel writes its messages to the port.
	Console bool `json:"console"`
	// USB says what the adapter is; nil where the port is none of USB.
	USB *USB `json:"usb"`
}

// USB is what a USB adapter says of itself, and where it is plugged in.
type USB struct {
	// Socket is the kernel's bus-port path: 1-1.3 is bus 1, there port 1, and of
	// the hub in it port 3. "" where the system does not tell it.
	Socket string `json:"socket"`
	// Interface is configuration and interface, such as 1.0; an adapter with
	// several ports has one for each, or several ports in one.
	Interface string `json:"interface"`
	// Port counts the ports of one interface from 0.
	Port int `json:"port"`

	VendorID     string `json:"vendor_id"` // four hex digits
	ProductID    string `json:"product_id"`
	Manufacturer string `json:"manufacturer"`
	Product      string `json:"product"`
	SerialNumber string `json:"serial_number"` // "": the adapter has none
}

// String names the port for a person, with its device.
func (d Device) String() string {
	text := d.Name
	if d.Name != d.Path {
		text += " (" + d.Path
		if maker := d.Maker(); maker != "" {
			text += ", " + maker
		}
		text += ")"
	}
	return text
}

// Maker is what is known of who made the adapter, "" where nothing is.
func (d Device) Maker() string {
	if d.USB == nil {
		return ""
	}
	text := strings.TrimSpace(d.USB.Manufacturer + " " + d.USB.Product)
	if text == "" && d.USB.VendorID != "" {
		text = d.USB.VendorID + ":" + d.USB.ProductID
	}
	return text
}

// places are the ways to say which port of an adapter is meant, behind its
// socket or its number: nothing, the interface, the port in that.
func (u USB) places() []string {
	if u.Interface == "" {
		return []string{""}
	}
	return []string{"", ":" + u.Interface, ":" + u.Interface + ":" + strconv.Itoa(u.Port)}
}

// called reports whether a stable name is one of this port.
func (d Device) called(name string) bool {
	if d.USB == nil {
		return false
	}
	for _, place := range d.USB.places() {
		if d.USB.Socket != "" && name == "usb:"+d.USB.Socket+place || d.USB.SerialNumber != "" && name == "serial:"+d.USB.SerialNumber+place {
			return true
		}
	}
	return false
}

// christen gives each port its name, the shortest that is its alone, and lists
// the others. A number that two adapters share is no alias of either.
func christen(devices []Device) {
	alone := func(name string) bool {
		n := 0
		for _, d := range devices {
			if d.called(name) {
				n++
			}
		}
		return n == 1
	}
	for i := range devices {
		d := &devices[i]
		d.Name = d.Path
		if d.USB == nil {
			d.takePinsName()
			continue
		}
		var names []string
		add := func(kind, of string) {
			for _, place := range d.USB.places() {
				if name := kind + of + place; of != "" && alone(name) {
					names = append(names, name)
					return
				}
			}
		}
		add("usb:", d.USB.Socket)
		add("serial:", d.USB.SerialNumber)
		if len(names) > 0 {
			d.Name = names[0]
			d.Aliases = append(names[1:], d.Aliases...)
		}
	}
}

// takePinsName names the UART on the pins of a Raspberry Pi as its system does:
// which of the two that is depends on the model and its settings.
func (d *Device) takePinsName() {
	for i, alias := range d.Aliases {
		if strings.HasPrefix(filepath.Base(alias), "serial") {
			d.Name, d.Aliases = alias, slices.Delete(d.Aliases, i, i+1)
			return
		}
	}
}

// notThere is the error of a name that no port has now.
type notThere struct{ text string }

func (e notThere) Error() string        { return e.text }
func (e notThere) Is(target error) bool { return target == fs.ErrNotExist }

// find returns the port that a stable name means. A name that several ports have
// is refused: it would be another one after the next start.
func find(devices []Device, name string) (Device, error) {
	var found []Device
	for _, d := range devices {
		if d.called(name) {
			found = append(found, d)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return Device{}, fmt.Errorf("serial port %s: %d ports have this name; take one of %s", name, len(found), listed(found))
	case len(devices) == 0:
		return Device{}, notThere{fmt.Sprintf("serial port %s: nothing is there of this name, and no other serial port is either", name)}
	}
	return Device{}, notThere{fmt.Sprintf("serial port %s: nothing is there of this name; there are %s", name, listed(devices))}
}

// mostListed is how many ports an error names.
const mostListed = 8

func listed(devices []Device) string {
	var names []string
	for i, d := range devices {
		if i == mostListed {
			names = append(names, "and more")
			break
		}
		names = append(names, d.String())
	}
	return strings.Join(names, ", ")
}
