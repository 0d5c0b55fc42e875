package main

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/port"
)

// consoleCommission is what the console's page of that name shows and does.
func (d *daemon) consoleCommission() console.Commission {
	return console.Commission{
		Lines: d.checkedLines, Destinations: d.checkedDestinations, Look: d.lookAtCheck,
		Begin: d.beginCheckOf, Sent: d.sentInCheck, Box: d.reportFacts,
	}
}

// checkedLines are the instruments that can be checked.
func (d *daemon) checkedLines() (list []console.CheckedLine) {
	for _, i := range d.config().Instruments {
		list = append(list, console.CheckedLine{Name: i.Name, Protocol: string(i.protocol()), Line: i.describeLine()})
	}
	return list
}

// checkedDestinations are where messages go, a LIMS before a directory.
func (d *daemon) checkedDestinations() (list []string) {
	files := []string{}
	for _, one := range d.config().live() {
		if one.SENAITE != nil {
			list = append(list, one.Name)
		} else {
			files = append(files, one.Name)
		}
	}
	return append(list, files...)
}

// lookAtCheck tells how a check stands.
func (d *daemon) lookAtCheck(ctx context.Context, of console.CheckOf) (console.Check, bool) {
	c := d.config()
	at := slices.IndexFunc(c.Instruments, func(i Instrument) bool { return i.Name == of.Instrument })
	if at < 0 {
		return console.Check{}, false
	}
	i, key := c.Instruments[at], checkOf{of.Person, of.Instrument}
	f := d.facts(ctx, key, i, of.Destination)
	layers := commission.Judge(f)
	concluded := commission.Conclude(layers)
	now := d.checks.look(key, func() check { return d.beginCheck(ctx, i.Name) })
	view := console.Check{
		Instrument: i.Name, Destination: of.Destination, Begun: now.begun, Sent: !now.sent.IsZero(),
		Conclusion: console.Conclusion{Verdict: string(concluded.Verdict), Text: concluded.Text, Do: concluded.Do},
		Help:       commission.Help(d.setupOf(i, f)), Settings: d.checkSettings(i, f),
	}
	if f.Newest != nil {
		view.Message = f.Newest.ID
	}
	for _, l := range layers {
		view.Layers = append(view.Layers, console.Layer{
			Key: string(l.Key), Title: l.Title, Verdict: string(l.Verdict), Seen: l.Seen, Detail: l.Detail, Do: l.Do,
		})
	}
	return view, true
}

// setupOf is what is to be set at the analyser.
func (d *daemon) setupOf(i Instrument, f commission.Facts) commission.Setup {
	s := commission.Setup{Line: f.Line, Language: f.Language, Secure: i.TLS != (port.TLSFiles{}), Model: d.tally.line(i.Name).model}
	switch f.Line {
	case commission.Serial:
		s.Format, s.Flow = describeFormat(*i.Serial), i.Serial.WithDefaults().Flow
	case commission.Listener:
		host, number, _ := net.SplitHostPort(i.listens())
		if s.Port, s.Addresses = number, []string{host}; host == "" || host == "::" || host == "0.0.0.0" {
			s.Addresses = ownAddresses()
		}
	case commission.Dialled:
		s.Port = f.Reach.Address
	}
	return s
}

// mostAddresses is how many addresses of the box are named.
const mostAddresses = 4

// ownAddresses are those at which the box can be reached from elsewhere.
func ownAddresses() (list []string) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range addresses {
		network, is := a.(*net.IPNet)
		if is && network.IP.IsGlobalUnicast() && len(list) < mostAddresses {
			list = append(list, network.IP.String())
		}
	}
	return list
}

// checkSettings are the settings that a report tells.
func (d *daemon) checkSettings(i Instrument, f commission.Facts) []console.Fact {
	facts := []console.Fact{
		{Name: "Instrument", Value: i.Name},
		{Name: "Line", Value: i.describeLine()},
		{Name: "Protocol", Value: string(f.Language)},
		{Name: "Profile", Value: cmp.Or(i.Profile, "recognised from each message")},
	}
	add := func(name, value string) { facts = append(facts, console.Fact{Name: name, Value: value}) }
	if i.Serial != nil {
		add("Speed and format", describeFormat(*i.Serial))
		add("Flow control", i.Serial.WithDefaults().Flow)
	} else {
		add("TLS", map[bool]string{true: "yes", false: "no"}[i.TLS != (port.TLSFiles{})])
	}
	if i.listens() != "" {
		add("Allowed from", cmp.Or(networkNames(i.AllowFrom), "any network"))
	}
	if len(f.Shared) > 0 {
		add("Shares its line with", strings.Join(f.Shared, ", "))
	}
	add("Character set", cmp.Or(i.Charset, "auto"))
	add("Time zone", cmp.Or(i.Timezone, "not known"))
	add("Destination", cmp.Or(f.LIMS.Name, "none"))
	if f.LIMS.Kind != commission.NoLIMS {
		add("Address of the destination", cmp.Or(f.LIMS.Probe.Where, "not known"))
	}
	if f.LIMS.Kind == commission.SENAITE {
		add("Consumer", f.LIMS.Consumers)
	}
	return facts
}

// reportFacts are those of the box that a report tells.
func (d *daemon) reportFacts() []console.Fact {
	return append([]console.Fact{{Name: "Box", Value: d.config().Box.Name}}, d.boxFacts()...)
}
