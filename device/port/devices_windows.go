package port

import (
	"errors"
	"fmt"
	"strings"

	"go.bug.st/serial/enumerator"
)

// Devices lists the serial ports that are there now. Windows does not tell it in
// which socket an adapter is.
func Devices() ([]Device, error) {
	ports, err := enumerator.GetDetailedPortsList()
	if err != nil {
		return nil, fmt.Errorf("list serial ports: %w", err)
	}
	devices := []Device{}
	for _, p := range ports {
		d := Device{Path: p.Name, Aliases: []string{}}
		if p.IsUSB {
			d.USB = &USB{
				VendorID: strings.ToLower(p.VID), ProductID: strings.ToLower(p.PID),
				Manufacturer: p.Manufacturer, Product: p.Product, SerialNumber: p.SerialNumber,
			}
		}
		devices = append(devices, d)
	}
	christen(devices)
	return devices, nil
}

// Lookup is the Resolver that Open uses where it is given none. For `usb:...` its
// error wraps ErrNotActive.
func Lookup(name string) (path string, err error) {
	if !stableName(name) {
		return name, nil
	}
	if strings.HasPrefix(name, "usb:") {
		return "", fmt.Errorf("serial port %s: sockets are not told on this system, and this kind of name is %w; name the port, e.g. COM3", name, ErrNotActive)
	}
	devices, err := Devices()
	if err != nil {
		return "", err
	}
	d, err := find(devices, name)
	return d.Path, err
}

// Users returns errors.ErrUnsupported: this system does not tell.
func (s System) Users(string) (list []Process, complete bool, err error) {
	return nil, false, errors.ErrUnsupported
}
