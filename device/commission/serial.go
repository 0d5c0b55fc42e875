package commission

import (
	"fmt"
	"strings"
)

const (
	portTitle   = "Serial port"
	modemTitle  = "Cable (modem lines)"
	formatTitle = "Speed and format"
)

// port: is there exactly one port of that name, and has the line it?
func (f Facts) port() Layer {
	p := f.Port
	is := func(v Verdict, do, seen string, args ...any) Layer {
		return layer(PortLayer, portTitle, v, fmt.Sprintf(seen, args...), do)
	}
	switch {
	case p.Open:
		return is(OK, "", "%s is open%s.", p.Name, p.device())
	case p.Absent:
		return is(Fault, "Plug the adapter into the socket that the configuration names, or set serial.port to one of those that are there.",
			"No port %s is there. %s", p.Name, p.there())
	case p.Ambiguous:
		return is(Fault, "Set serial.port to a name that only one adapter has: that of its USB socket (usb:...), which Serial ports, on the page Setup, lists.",
			"Several ports are called %s. %s", p.Name, p.there())
	case p.UsedBy != "":
		return is(Fault, "End that program, or give the line another port.", "%s is in use by %s.", p.Name, p.UsedBy)
	case p.Denied:
		return is(Fault, "Add the user of the service to the group dialout, and start it again.", "The box may not open %s%s.", p.Name, p.device())
	case p.Why != "":
		return is(Fault, "Unplug the adapter and plug it in again; if that does not help, try another one, which shows whether it is broken.",
			"%s cannot be opened: %s.", p.Name, strings.TrimSuffix(p.Why, "."))
	}
	return is(NotKnown, "", "%s is being opened.", p.Name)
}

// device is the device behind a stable name.
func (p Port) device() string {
	if p.Path == "" || p.Path == p.Name {
		return ""
	}
	return " (" + p.Path + ")"
}

func (p Port) there() string {
	if len(p.There) == 0 {
		return "The box has no serial port at all now."
	}
	return "There are: " + strings.Join(p.There, ", ") + "."
}

const lookAtCable = "Look whether the analyser is on, whether the cable is in the right socket, and whether it crosses transmit and receive (a null modem) where it has to. " +
	"A cable of three wires carries none of these lines; then only bytes can tell."

// modem: does the other side hold any modem line on? A cable of three wires has
// none, so that all of them off is a fault only where nothing comes either.
func (f Facts) modem() Layer {
	m := f.Modem
	is := func(v Verdict, seen, do string) Layer { return layer(ModemLayer, modemTitle, v, seen, do) }
	if !m.Known {
		return is(NotKnown, "Not known here: the port does not tell its modem lines.", "")
	}
	on, off := m.names()
	dead := len(on) == 0
	switch {
	case m.HandshakeByModem && !m.CTS:
		return is(Fault, "CTS is off, and flow: rtscts lets the box send only while it is on.",
			"Use a cable that carries RTS and CTS, crossed; or set flow: none on both sides.")
	case dead && (f.Traffic.Received > 0 || f.came()):
		return is(OK, "No modem line is on, but bytes come: the cable has three wires.", "")
	case dead && f.due():
		return is(Fault, "Nothing comes from the other side: no modem line is on.", lookAtCable)
	case dead:
		return is(Waiting, "No modem line is on. That may be the cable, or an analyser that is off.", "Have the analyser send. "+lookAtCable)
	}
	seen := "On: " + strings.Join(on, ", ") + "."
	if len(off) > 0 {
		seen += " Off: " + strings.Join(off, ", ") + "."
	}
	return is(OK, seen, "")
}

// names lists the lines that are on, and those that are off.
func (m Modem) names() (on, off []string) {
	for _, line := range []struct {
		name string
		on   bool
	}{{"CTS", m.CTS}, {"DSR", m.DSR}, {"DCD", m.DCD}} {
		if line.on {
			on = append(on, line.name)
		} else {
			off = append(off, line.name)
		}
	}
	if m.RI { // nobody misses it where it is off
		on = append(on, "RI")
	}
	return on, off
}

// fewOdd is how many odd bytes the switching on of an analyser may make.
const fewOdd = 3

// format: do the bytes arrive as they were sent?
func (f Facts) format() Layer {
	d, t := f.Damage, f.Traffic
	is := func(v Verdict, seen, do string) Layer { return layer(FormatLayer, formatTitle, v, seen, do) }
	set := ""
	if d.Settings != "" {
		set = " The box has " + d.Settings + "."
	}
	sameSettings := "Set the same speed, data bits, parity and stop bits on both sides." + set + " " + searched +
		" If they are the same: look at cable, plugs and ground."
	switch {
	case d.Framing.Now+d.Parity.Now > 0:
		return is(Fault, "Bytes arrive damaged: "+d.counted(Count.now)+".", sameSettings)
	case d.Overrun.Now > 0:
		return is(Fault, "The box could not take bytes fast enough: "+d.counted(Count.now)+".",
			"Set flow control on both sides to the same (flow: rtscts with a full cable), or a lower speed.")
	case f.Whole == 0 && t.Odd >= fewOdd && 4*t.Odd >= t.Received:
		return is(Fault, fmt.Sprintf("%d of %d bytes are none that an analyser sends.", t.Odd, t.Received), sameSettings)
	case d.Known && d.sum(Count.all) > 0 && f.came():
		return is(OK, "A message came undamaged; before it: "+d.counted(Count.all)+".", "")
	case f.came():
		return is(OK, "A message came undamaged."+set, "")
	case !d.Known:
		return is(NotKnown, "Not known here: the driver of the port counts no errors."+set, "")
	case t.Received == 0:
		return is(Waiting, "Nothing came that could be damaged."+set, f.send())
	case d.Break.Now > 0:
		return is(OK, "No byte is damaged. "+d.counted(Count.now)+": an analyser that is switched off makes such.", "")
	}
	return is(OK, "No byte is damaged."+set, "")
}

func (c Count) now() int { return c.Now }
func (c Count) all() int { return c.All }

func (d Damage) sum(of func(Count) int) int {
	return of(d.Parity) + of(d.Framing) + of(d.Overrun) + of(d.Break)
}

// counted lists what was counted.
func (d Damage) counted(of func(Count) int) string {
	var list []string
	for _, kind := range []struct {
		name string
		n    int
	}{{"framing errors", of(d.Framing)}, {"parity errors", of(d.Parity)}, {"overruns", of(d.Overrun)}, {"breaks", of(d.Break)}} {
		if kind.n > 0 {
			list = append(list, fmt.Sprintf("%s: %d", kind.name, kind.n))
		}
	}
	return strings.Join(list, ", ")
}
