package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope/spool"
)

// identity says which box this is, and how to reach it.
func (s *sticks) identity(ctx context.Context) []string {
	c := s.d.config()
	serial := s.d.board.Serial()
	if serial == "" {
		serial = "(none)"
	}
	lines := []string{
		"Name: " + c.Box.Name,
		"Serial number: " + serial,
		"Version: " + version,
		"Public key of the box: " + s.publicKey(ctx),
	}
	lines = append(lines, s.ownerLine())
	if clockSet() {
		lines = append(lines, "Time of this report: "+shownMoment(time.Now()))
	} else {
		lines = append(lines, "Time of this report: the box does not know the time yet.")
	}
	if onImage(boardData) {
		lines = append(lines, "Name in the network: "+s.d.board.Hostname()+".local")
	}
	lines = append(lines, addressLines()...)
	for _, part := range c.inactive() {
		if part.Closes == consoleServer {
			return append(lines, "Console: not open, because of what is to be noted above", s.fingerprintLine())
		}
	}
	return append(lines, consoleLine(c.Console), s.fingerprintLine())
}

// fingerprintLine says by what a person knows the box when a browser doubts it.
func (s *sticks) fingerprintLine() string {
	print, err := s.d.fingerprint()
	if err != nil {
		print = "not known: " + err.Error()
	}
	return "Fingerprint (SHA-256) of the console's certificate, to compare with what the browser shows: " + print
}

// consoleLine says where the console is.
func consoleLine(c console.Settings) string {
	host, port, err := net.SplitHostPort(c.Listen)
	scheme := "http"
	if c.Secure() {
		scheme = "https"
	}
	switch {
	case err != nil:
		return "Console: off"
	case c.Loopback():
		return "Console: " + scheme + "://" + c.Listen + "/ on the box itself only"
	case host == "" || host == "0.0.0.0" || host == "::":
		return "Console: " + scheme + "://ADDRESS:" + port + "/ with an address of this box, see above"
	}
	return "Console: " + scheme + "://" + c.Listen + "/"
}

// ownerLine says who may change the box. It may have got its owner just now.
func (s *sticks) ownerLine() string {
	switch key, err := s.owns.of(s.d.config()); {
	case err != nil:
		return "Owner: in doubt, so no stick is taken: " + err.Error()
	case key == nil:
		return "Owner: none. This box takes any stick, signed or not."
	default:
		return "Owner: " + owner.FormatKey(key) + ". This box takes only sticks that are signed by it."
	}
}

// publicKey is that of the box; its store keeps it.
func (s *sticks) publicKey(ctx context.Context) string {
	g, _ := s.d.standing.now()
	if g == nil {
		return "not known while the store is closed"
	}
	if key := g.store.Identity(); key != nil {
		return spool.FormatKey(key)
	}
	return "none"
}

// addressLines lists the network interfaces with what a person asks for.
func addressLines() (lines []string) {
	all, err := net.Interfaces()
	if err != nil {
		return []string{"Network: not known: " + err.Error()}
	}
	for _, one := range all {
		if one.Flags&net.FlagLoopback != 0 || len(one.HardwareAddr) == 0 {
			continue
		}
		text := "Network " + one.Name + ": "
		addresses, _ := one.Addrs() // none where it went away
		var shown []string
		for _, address := range addresses {
			shown = append(shown, address.String())
		}
		switch {
		case one.Flags&net.FlagUp == 0:
			text += "switched off"
		case len(shown) == 0:
			text += "no address"
		default:
			text += list(shown)
		}
		lines = append(lines, text+", MAC "+one.HardwareAddr.String())
	}
	return lines
}

// instruments says how the lines are.
func (s *sticks) instruments() (lines []string) {
	for _, one := range s.d.config().Instruments {
		state := s.d.metrics.state(one.Name)
		text := one.Name + ": " + one.describeLine() + ", "
		switch {
		case !state.up:
			text += "NOT OPEN"
			if one.Serial != nil {
				if _, err := s.d.panel.Lookup(one.Serial.Port); err != nil {
					text += " (" + err.Error() + ")"
				}
			}
		case one.Serial != nil:
			text += "open"
		default:
			text += "open, " + count(state.connections, "connection")
		}
		text += fmt.Sprintf(", %s since the start", count(int(state.messages), "message"))
		if !state.last.IsZero() && clockSet() {
			text += ", the last at " + shownMoment(state.last)
		}
		if state.noisy {
			text += "; most of what comes in is noise: check speed, framing and cable"
		}
		lines = append(lines, text)
	}
	if lines == nil {
		lines = []string{"none"}
	}
	return lines
}

// destinations says how delivery is, and which of them are not well.
func (s *sticks) destinations(ctx context.Context) (lines, waiting []string) {
	states := map[string]spool.DestinationStatus{}
	g, away := s.d.standing.now()
	if g != nil {
		status, err := g.store.Status(ctx)
		if err != nil {
			away = err
		}
		for _, one := range status.Destinations {
			states[one.Name] = one
		}
	}
	if away != nil {
		lines = append(lines, away.Error())
	}
	for _, one := range s.d.config().Destinations {
		text := one.Name + ": "
		if one.SENAITE != nil {
			text += one.binding()
		} else {
			text += "files in " + one.Capture.Directory
		}
		if one.Staging {
			text += ", for staging: gets only what is replayed to it"
		}
		if state, known := states[one.Name]; known {
			text += fmt.Sprintf(", %d delivered, %d waiting", state.Delivered, state.Pending)
			unreached := state.Pending > 0 && s.d.face.unreached(one.Name)
			if unreached {
				text += "; NOT REACHED: look at its address, at the network and at the LIMS"
			}
			if state.Parked > 0 || state.Held != "" || unreached {
				waiting = append(waiting, one.Name)
			}
			if state.Parked > 0 {
				text += fmt.Sprintf(", %d PARKED for a person to decide", state.Parked)
			}
			if state.Held != "" {
				text += "; HELD: " + state.Held
			}
		}
		lines = append(lines, text)
	}
	if lines == nil {
		lines = []string{"none: nothing is delivered anywhere"}
	}
	return lines, waiting
}

// portLines lists the serial ports by the names to write into a configuration.
func (d *daemon) portLines() (lines []string) {
	devices, err := d.panel.Devices()
	if err != nil {
		return []string{"cannot be listed: " + err.Error()}
	}
	for _, one := range devices {
		lines = append(lines, one.String())
	}
	if lines == nil {
		lines = []string{"none"}
	}
	return lines
}
