package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/signal"
	"strings"
	"syscall"

	"github.com/assaygate/assaygate/device/port"
)

// portsCommand is the serial ports, for a person.
type portsCommand struct {
	List  portsList  `cmd:"" default:"withargs" hidden:"" help:"List the serial ports. Example: assaygate ports --json"`
	Probe portsProbe `cmd:"" help:"Find the settings of a line by listening to it. Example: assaygate ports probe usb:1-1.3"`
}

// portsList lists the ports.
type portsList struct {
	JSON   bool   `name:"json" help:"Print JSON."`
	Config string `help:"The configuration whose instruments are looked for." placeholder:"FILE" type:"path"`
	Data   string `help:"The data directory of the gateway that may be running." placeholder:"DIR"`
	Modem  bool   `help:"Read the modem lines also of ports that other users' programs may have open. It raises DTR and RTS for a moment."`
}

// Help implements kong.HelpProvider.
func (portsList) Help() string { return portsHelp }

// Help implements kong.HelpProvider.
func (portsCommand) Help() string { return portsHelp }

const portsHelp = "Example: assaygate ports --json\n\nLists the serial ports with the names that stay, who made the adapter, who uses the port and its modem lines. " +
	"A port that is in use is not touched: the gateway tells of its own ones. One that nobody uses is opened for a moment, which raises DTR and RTS."

// Run implements a kong command.
func (c *portsList) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	devices, err := port.Devices()
	if err != nil {
		return err
	}
	view := portsView{devices: devices, lookup: port.Lookup, peek: port.PeekModem, always: c.Modem}
	config, _, err := loadConfig(flags{Config: c.Config})
	switch {
	case err == nil:
		view.instruments = config.Instruments
	case c.Config != "":
		return err
	default:
		fmt.Fprintln(s.err, "note: which instruments use the ports is not known, the configuration cannot be read; see assaygate check", systemConfig)
	}
	directory := config.Spool.Directory
	if c.Data != "" {
		directory = storeIn(c.Data)
	}
	if socket := controlSocket(directory); directory != "" && answers(socket) {
		if view.gateway, err = askPorts(ctx, socket); err != nil {
			fmt.Fprintln(s.err, "note: the gateway does not tell what it uses:", err)
		}
	}
	list := view.list(ctx)
	for _, absent := range view.absent() {
		fmt.Fprintln(s.err, "note:", absent)
	}
	if c.JSON {
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("", "  ")
		return encoder.Encode(list)
	}
	return writePorts(s.out, list)
}

// deadLines is what to look at where no modem line is on.
const deadLines = "nothing comes from the other side: look at cable, null-modem and gender (a cable of three wires carries none of these lines)"

// writePorts writes the ports for a person.
func writePorts(out io.Writer, list []portEntry) error {
	var text strings.Builder
	if len(list) == 0 {
		text.WriteString("no serial ports\n")
	}
	for _, p := range list {
		fmt.Fprintln(&text, cell(p.Name))
		row := func(what, value string) {
			if value != "" {
				fmt.Fprintf(&text, "  %-9s %s\n", what, cell(value))
			}
		}
		if p.Name != p.Path {
			row("device", p.Path)
		}
		row("also", strings.Join(p.Aliases, ", "))
		row("adapter", p.describe())
		row("driver", p.Driver)
		row("used by", p.use())
		row("modem", p.modem())
	}
	_, err := io.WriteString(out, text.String())
	return err
}

// describe is the adapter with its numbers.
func (p portEntry) describe() string {
	if p.USB == nil {
		return ""
	}
	parts := []string{p.Maker()}
	if numbers := p.USB.VendorID + ":" + p.USB.ProductID; parts[0] != numbers {
		parts = append(parts, numbers)
	}
	if p.USB.SerialNumber == "" {
		parts = append(parts, "no serial number")
	} else {
		parts = append(parts, "serial number "+p.USB.SerialNumber)
	}
	return strings.Join(parts, ", ")
}

// use says who has the port.
func (p portEntry) use() string {
	var users []string
	switch {
	case p.OpenFor != "":
		users = append(users, "the gateway, for "+p.OpenFor)
	case len(p.Instruments) > 0:
		users = append(users, strings.Join(p.Instruments, ", ")+" by the configuration; not open now")
	}
	for _, process := range p.UsedBy {
		users = append(users, process.String())
	}
	if p.Console {
		users = append(users, "the system's console: take console= out of the kernel's command line before an instrument is connected")
	}
	return strings.Join(users, ", ")
}

// modem is the state of the modem lines in words.
func (p portEntry) modem() string {
	if p.Modem == nil {
		return p.ModemUnknown
	}
	var lines []string
	for _, line := range modemLines(*p.Modem) {
		state := "off"
		if line.on {
			state = "on"
		}
		lines = append(lines, line.name+" "+state)
	}
	text := strings.Join(lines, ", ")
	if p.Modem.Dead() {
		text += "; " + deadLines
	}
	return text
}

type modemLine struct {
	name string
	on   bool
}

func modemLines(m port.ModemLines) []modemLine {
	return []modemLine{{"CTS", m.CTS}, {"DSR", m.DSR}, {"DCD", m.DCD}, {"RI", m.RI}}
}
