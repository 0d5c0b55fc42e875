package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/device/port"
)

// lineFacts are those of the line itself. first is the first one of the instruments
// that share it, and line what is counted of that.
func (d *daemon) lineFacts(f *commission.Facts, c check, i Instrument, first string, line lineTally) {
	switch {
	case i.Serial != nil:
		f.Line = commission.Serial
		d.serialFacts(f, c, i, line)
	case i.listens() != "":
		f.Line = commission.Listener
		d.listenerFacts(f, c, i, first, line)
	default:
		f.Line = commission.Dialled
		settings, _ := i.opens()
		f.Reach = reachOf(settings.Dial, d.metrics.state(i.Name).up, line.shut)
	}
}

// serialFacts are those of port, modem lines and driver.
func (d *daemon) serialFacts(f *commission.Facts, c check, i Instrument, line lineTally) {
	f.Port = d.portFacts(i, line.shut)
	count := func(kind string) commission.Count { return c.since(line, i.Name, serialPrefix+kind) }
	f.Damage = commission.Damage{
		Parity: count("parity"), Framing: count("framing"), Overrun: count("overrun"), Break: count("break"),
		Settings: describeFormat(*i.Serial),
	}
	f.Modem.HandshakeByModem, f.Modem.HandshakeByLetters = i.Serial.Flow == "rtscts", i.Serial.Flow == "xonxoff"
	held := d.held(func(h port.Held) bool { return h.Owner == i.Name })
	if held == nil {
		return
	}
	if m, err := held.Modem(); err == nil {
		f.Modem.Known, f.Modem.CTS, f.Modem.DSR, f.Modem.DCD, f.Modem.RI = true, m.CTS, m.DSR, m.DCD, m.RI
	}
	_, err := held.Errors()
	f.Damage.Known = err == nil
}

// held is the first of the open ports that is one, nil for none.
func (d *daemon) held(is func(port.Held) bool) *port.Held {
	list := d.panel.Held()
	if at := slices.IndexFunc(list, is); at >= 0 {
		return &list[at]
	}
	return nil
}

// portFacts are those of the port. It is not opened for them.
func (d *daemon) portFacts(i Instrument, shut error) commission.Port {
	p := commission.Port{Name: i.Serial.Port}
	if held := d.held(func(h port.Held) bool { return h.Owner == i.Name }); held != nil {
		p.Open, p.Path = true, held.Path
		return p
	}
	if devices, err := d.panel.Devices(); err == nil {
		for _, one := range devices {
			p.There = append(p.There, one.Name)
		}
	}
	path, err := d.panel.Lookup(i.Serial.Port)
	if err == nil {
		_, err = os.Stat(path)
	} else if !errors.Is(err, fs.ErrNotExist) {
		p.Ambiguous = true
		return p
	}
	if p.Absent = errors.Is(err, fs.ErrNotExist); p.Absent {
		return p
	}
	p.Path, p.Denied = path, errors.Is(shut, fs.ErrPermission)
	if shut != nil {
		p.Why = shut.Error()
	}
	p.UsedBy = d.portUsers(path)
	return p
}

// portUsers says who has a device open, "" for nobody that is known.
func (d *daemon) portUsers(path string) string {
	if other := d.held(func(h port.Held) bool { return sameFile(h.Path, path) }); other != nil {
		return "the line of " + other.Owner
	}
	users, _, err := d.panel.System.Users(path)
	if err != nil {
		return ""
	}
	var names []string
	for _, u := range users {
		names = append(names, u.String())
	}
	return strings.Join(names, ", ")
}

// describeFormat writes speed and format as they are written on analysers.
func describeFormat(s port.Serial) string {
	s = s.WithDefaults()
	parity := map[string]string{"even": "E", "odd": "O"}[s.Parity]
	if parity == "" {
		parity = "N"
	}
	return fmt.Sprintf("%d %d%s%d", s.Baud, s.DataBits, parity, s.StopBits)
}

// listenerFacts are those of a listener, which is that of first.
func (d *daemon) listenerFacts(f *commission.Facts, c check, i Instrument, first string, line lineTally) {
	f.Address = commission.Address{Address: i.listens(), Open: d.metrics.state(i.Name).up}
	for _, l := range d.config().listeners() {
		if slices.ContainsFunc(l.instruments, func(one Instrument) bool { return one.Name == i.Name }) {
			f.Address.Why, f.Address.Files = d.doors.why(l.key()), d.doors.excuses(l.key())
		}
	}
	f.Connections = commission.Connections{
		Open: d.metrics.state(first).connections, Made: c.since(line, first, countConnections).All,
		Origin: c.since(line, first, refusedPrefix+string(port.RefusedOrigin)),
		TLS:    c.since(line, first, refusedPrefix+"tls"), Secure: i.TLS != (port.TLSFiles{}),
		Networks: networkNames(i.AllowFrom),
	}
	why := ""
	for _, limit := range []port.Refusal{port.RefusedConnections, port.RefusedAddress, port.RefusedTotal, port.MadeRoom} {
		one := c.since(line, first, refusedPrefix+string(limit))
		f.Connections.Crowded.All += one.All
		f.Connections.Crowded.Now += one.Now
		if one.Now > 0 {
			why = line.refused[string(limit)]
		}
	}
	switch {
	case f.Connections.TLS.Now > 0:
		why = line.refused["tls"]
	case f.Connections.Origin.Now > 0:
		why = line.refused[string(port.RefusedOrigin)]
	}
	f.Connections.Why = why
}

func networkNames(list []Network) string {
	var names []string
	for _, one := range list {
		names = append(names, one.String())
	}
	return strings.Join(names, ", ")
}

// reachOf says why an analyser is not connected.
func reachOf(address string, up bool, shut error) commission.Reach {
	r := commission.Reach{Address: address, Up: up}
	if up || shut == nil {
		return r
	}
	r.Why = shut.Error()
	var handshake *port.HandshakeError
	var name *net.DNSError
	var network net.Error
	switch {
	case errors.As(shut, &handshake):
		r.Problem = commission.NoTLS
	case errors.As(shut, &name):
		r.Problem = commission.NoName
	case errors.Is(shut, syscall.ECONNREFUSED):
		r.Problem = commission.NoService
	case errors.Is(shut, syscall.EHOSTUNREACH), errors.Is(shut, syscall.ENETUNREACH), errors.Is(shut, context.DeadlineExceeded),
		errors.As(shut, &network) && network.Timeout():
		r.Problem = commission.NoAnswer
	default:
		r.Problem = commission.Lost
	}
	return r
}
