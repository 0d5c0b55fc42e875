package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope/spool"
)

const (
	// longestProbe bounds how long a page listens to a port, and unseenProbe how
	// long it goes on where nobody looks.
	longestProbe = 10 * time.Minute
	unseenProbe  = 45 * time.Second
	mostProbes   = 8
)

// setupPorts lists the serial ports for a page.
func (d *daemon) setupPorts(ctx context.Context) ([]console.SetupPort, error) {
	ports, err := d.ports(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]console.SetupPort, 0, len(ports))
	for _, p := range ports {
		shown := console.SetupPort{
			Name: p.Name, Path: p.Path, Also: p.Aliases, Adapter: p.describe(), Driver: p.Driver, Use: p.use(),
			ModemText: p.ModemUnknown, NoProbe: p.noProbe(),
		}
		if p.Modem != nil {
			shown.Lines = shownLines(*p.Modem)
			if p.Modem.Dead() {
				shown.ModemText = deadLines
			}
		}
		if state, is := d.probing(p.Name); is && state.Running {
			shown.Lines, shown.ModemText, shown.Use = state.Modem, "", "the search for its settings"
		}
		list = append(list, shown)
	}
	return list, nil
}

// noProbe is why nobody may listen to a port now, "" where somebody may.
func (p portEntry) noProbe() string {
	switch {
	case p.Console:
		return "it is the system's console"
	case p.OpenFor != "":
		return "the gateway has it open for " + p.OpenFor
	case len(p.Instruments) > 0:
		return "the configuration gives it to " + p.Instruments[0] + ", which may open it at any moment; take it out there first"
	case len(p.UsedBy) > 0:
		return fmt.Sprintf("%s has it open", p.UsedBy[0])
	}
	return ""
}

func shownLines(m port.ModemLines) (list []console.ModemLine) {
	for _, one := range modemLines(m) {
		list = append(list, console.ModemLine{Name: one.name, On: one.on})
	}
	return list
}

// beginProbe begins to listen to a port. One at which that is done already goes on.
func (d *daemon) beginProbe(name, who string) error {
	entries, err := d.ports(context.Background())
	if err != nil {
		return err
	}
	i := slices.IndexFunc(entries, func(p portEntry) bool { return p.Name == name })
	if i < 0 {
		return fmt.Errorf("there is no port %s any more; look whether its adapter is plugged in", name)
	}
	if why := entries[i].noProbe(); why != "" {
		if state, is := d.probing(name); !is || !state.Running {
			return fmt.Errorf("%s cannot be listened to: %s", name, why)
		}
	}
	var p *probing
	err = d.errands.begin(func() (err error) {
		p, err = d.errands.newProbe(name)
		return err
	}, func(ctx context.Context) { p.listen(ctx, d.panel.System, entries[i].Device) })
	if err == nil {
		d.noteAct(context.Background(), spool.PortProbed, who, name)
	}
	if errors.Is(err, errProbes) {
		return nil
	}
	return err
}
