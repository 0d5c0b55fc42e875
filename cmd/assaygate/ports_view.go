package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/assaygate/assaygate/device/port"
)

// portEntry is one serial port as `assaygate ports --json` shows it.
type portEntry struct {
	port.Device
	// Instruments are those whose configuration names the port.
	Instruments []string `json:"instruments"`
	// OpenFor is the instrument for which the running gateway has it open.
	OpenFor string `json:"open_for"`
	// UsedBy are other processes that have it open, as far as they may be known.
	UsedBy []port.Process `json:"used_by"`
	// Modem are its modem lines; nil where they are not known, for the reason in
	// ModemUnknown.
	Modem        *port.ModemLines `json:"modem"`
	ModemUnknown string           `json:"modem_unknown"`
}

// portsView is what the list of ports is made from.
type portsView struct {
	devices     []port.Device
	instruments []Instrument
	lookup      port.Resolver
	gateway     gatewayPorts
	system      port.System // who has a port open
	// peek reads the modem lines of a port that nobody uses; nil: none is opened.
	peek func(ctx context.Context, path string) (port.ModemLines, error)
	// always peeks too where it is not sure that nobody uses a port.
	always bool
}

// list describes every port. It touches none that is known to be in use.
func (v portsView) list(ctx context.Context) []portEntry {
	entries := []portEntry{}
	for _, d := range v.devices {
		e := portEntry{Device: d, Instruments: v.named(d.Path), UsedBy: []port.Process{}}
		held := v.gateway.holder(d.Path)
		if held != nil {
			e.OpenFor = held.Instrument
		}
		users, sure, err := v.system.Users(d.Path)
		for _, u := range users {
			if u.ID != v.gateway.PID {
				e.UsedBy = append(e.UsedBy, u)
			}
		}
		e.Modem, e.ModemUnknown = v.modem(ctx, d, held, len(users) > 0, sure, err)
		entries = append(entries, e)
	}
	return entries
}

// modem reads the modem lines, or says why not.
func (v portsView) modem(ctx context.Context, d port.Device, held *heldPort, used, sure bool, err error) (*port.ModemLines, string) {
	switch {
	case held != nil && held.Modem == nil:
		return nil, "the driver does not tell"
	case held != nil:
		return held.Modem, ""
	case used || d.Console:
		return nil, "not looked at: the port is in use"
	case v.peek == nil:
		return nil, "not looked at: the port is not open"
	case err != nil && !v.always:
		return nil, "not looked at: who uses the port is not told here; look with --modem"
	case !sure && !v.always:
		return nil, "not looked at: other users' programs may have the port open, and would notice; look as root, or with --modem"
	}
	m, err := v.peek(ctx, d.Path)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil, "the driver does not tell"
	case err != nil:
		return nil, err.Error()
	}
	return &m, ""
}

// named lists the instruments whose configuration names the device.
func (v portsView) named(path string) []string {
	names := []string{}
	for _, i := range v.instruments {
		if i.Serial == nil {
			continue
		}
		if found, err := v.lookup(i.Serial.Port); err == nil && sameFile(found, path) {
			names = append(names, i.Name)
		}
	}
	return names
}

// absent says of which instruments the port is not there, or not the only one of
// its name.
func (v portsView) absent() (list []string) {
	for _, i := range v.instruments {
		if i.Serial == nil {
			continue
		}
		path, err := v.lookup(i.Serial.Port)
		switch {
		case err != nil:
			list = append(list, fmt.Sprintf("instrument %s: %v", i.Name, err))
		case !slices.ContainsFunc(v.devices, func(d port.Device) bool { return sameFile(path, d.Path) }):
			list = append(list, fmt.Sprintf("instrument %s: %s is no serial port that is there", i.Name, i.Serial.Port))
		}
	}
	return list
}

// sameFile reports whether two paths lead to one file.
func sameFile(a, b string) bool {
	if a == b {
		return true
	}
	a, errA := filepath.EvalSymlinks(a)
	b, errB := filepath.EvalSymlinks(b)
	return errA == nil && errB == nil && a == b
}
