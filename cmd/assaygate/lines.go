package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
)

// listenerSet are the listeners of a configuration, bound before anything else
// starts: a taken address is told at once, and no instrument meets a gateway
// that cannot take its message yet.
type listenerSet []listening

// listening is one listener with the instruments that share it.
type listening struct {
	net.Listener // nil while it cannot be opened
	address      string
	instruments  []Instrument
	tls          *port.TLS // nil where it has none
}

// key tells it from all others, also in /readyz and in the log.
func (l listening) key() string {
	name := "listener " + l.address
	if strings.HasSuffix(l.address, ":0") {
		return name + " of " + l.instruments[0].Name
	}
	return name
}

func (set listenerSet) close() (err error) {
	for _, l := range set {
		if l.Listener != nil {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}

// listeners are those that the configuration asks for: one for each address that
// instruments listen on, none of them open.
func (c Config) listeners() (set listenerSet) {
	byAddress := map[string]int{}
	for _, i := range c.Instruments {
		address := i.listens()
		if address == "" {
			continue
		}
		at, shared := byAddress[address]
		if !shared || strings.HasSuffix(address, ":0") { // any free port: each its own
			at, set = len(set), append(set, listening{address: address})
			byAddress[address] = at
		}
		set[at].instruments = append(set[at].instruments, i)
	}
	return set
}

// bind opens the listeners, but for those whose TLS files cannot be used: they
// stay closed, and the rest starts. One that cannot be opened is an error at the
// start of the process, and later one that is opened when it can be.
func (g *gateway) bind(ctx context.Context, c Config) (listenerSet, error) {
	set := c.listeners()
	for i := range set {
		err := g.tryListener(ctx, &set[i])
		if err != nil && set[i].usableTLS() && !g.forgiving.Load() {
			return nil, errors.Join(err, set.close())
		}
	}
	return set, nil
}

func (l *listening) usableTLS() bool { return l.tls == nil || l.tls.Check() == nil }

// tryListener opens a listener, or notes and logs why it cannot be opened now.
func (g *gateway) tryListener(ctx context.Context, l *listening) (err error) {
	first := l.instruments[0]
	if l.tls == nil {
		l.tls = g.newTLS(first)
	}
	if !l.usableTLS() {
		err = l.tls.Check()
		if g.doors.keep(l.key(), err, true) {
			g.log.Error("the listener stays closed until its TLS files can be used", "instrument", first.Name, "address", l.address, "error", err)
		}
		return err
	}
	if l.Listener, err = g.listen(ctx, first.Name, l.address); err != nil {
		if g.doors.keep(l.key(), err, false) && g.forgiving.Load() {
			g.log.Error("the listener cannot be opened; trying on", "instrument", first.Name, "address", l.address, "error", err)
		}
		return err
	}
	g.doors.forget(l.key())
	return nil
}

// listen opens a listener and tells its address.
func (g *gateway) listen(ctx context.Context, name, address string) (net.Listener, error) {
	listener, err := port.Listen(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("instrument %s: %w", name, err)
	}
	g.tell(name, listener.Addr())
	return listener, nil
}

// newTLS is the TLS of an instrument's line, nil where it has none. What becomes
// of its files is logged.
func (g *gateway) newTLS(i Instrument) *port.TLS {
	if i.TLS == (port.TLSFiles{}) {
		g.secured.Delete(i.Name)
		return nil
	}
	log := g.log.With("instrument", i.Name)
	secure := port.NewTLS(i.TLS, func(err error) {
		if err != nil {
			log.Error("new TLS files cannot be used; those of before stay in use", "error", err)
			return
		}
		log.Info("new TLS files are in use; open connections keep theirs")
	})
	secure.Clock = g.clock.tls
	g.secured.Store(i.Name, secure)
	return secure
}

// knockAgain is how often a listener that cannot be opened is tried.
const knockAgain = time.Second

// serveListener serves a listener until ctx ends. One that cannot be opened yet
// is opened as soon as it can be.
func (g *gateway) serveListener(ctx context.Context, l listening, service *instrument.Service) error {
	defer g.doors.forget(l.key())
	for l.Listener == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(knockAgain):
		}
		_ = g.tryListener(ctx, &l) // it has said why
	}
	var members []instrument.Instrument
	for _, i := range l.instruments {
		members = append(members, i.instrument())
	}
	members[0].TLS = l.tls
	progress, ended := g.watch("listener of "+members[0].Name, promptDeadline)
	defer ended()
	defer context.AfterFunc(ctx, ended)() // the connections have their grace
	return service.Listen(ctx, l.Listener, g.gate, members, progress)
}

// tell passes a bound address on to who asked for it, as long as they listen.
func (d *daemon) tell(name string, address net.Addr) {
	d.log.Info("listening", "for", name, "address", address.String())
	select {
	case d.bound <- bound{name, address.String()}:
	default:
	}
}

// lineMade is what of the configuration a line is made of.
type lineMade struct {
	instruments []Instrument
	service     serviceMade
}

// opened are the instruments whose lines the box opens itself.
func (c Config) opened() (list []Instrument) {
	for _, i := range c.Instruments {
		if _, opens := i.opens(); opens {
			list = append(list, i)
		}
	}
	return list
}

// lineNames are the names of the instruments of each line, first those that share a
// listener, in its order.
func (c Config) lineNames() (list [][]string) {
	for _, l := range c.listeners() {
		var names []string
		for _, i := range l.instruments {
			names = append(names, i.Name)
		}
		list = append(list, names)
	}
	for _, i := range c.opened() {
		list = append(list, []string{i.Name})
	}
	return list
}

func (i Instrument) lineName() string { return "line " + i.Name }

// linesMade are the lines that the configuration asks for, and what they are made
// of.
func (c Config) linesMade(service serviceMade) map[string]any {
	list := map[string]any{}
	for _, l := range c.listeners() {
		list[l.key()] = lineMade{l.instruments, service}
	}
	for _, i := range c.opened() {
		list[i.lineName()] = lineMade{[]Instrument{i}, service}
	}
	return list
}

// startLines starts every line that does not run yet, listeners as they are in
// the set.
func (g *gateway) startLines(c Config, set listenerSet) {
	service := g.service
	for _, l := range set {
		for _, i := range l.instruments {
			g.metrics.expect(i.Name, i.protocol())
			g.tally.speaks(i.Name, i.protocol(), service.Profiles.Title(i.Profile))
		}
		g.lines.start(l.key(), lineMade{l.instruments, g.made}, func(ctx context.Context) {
			if err := g.serveListener(ctx, l, service); err != nil {
				g.fail(err)
			}
		})
	}
	for _, i := range c.opened() {
		if made := (lineMade{[]Instrument{i}, g.made}); !g.lines.is(i.lineName(), made) {
			g.startLine(i, made)
		}
	}
}

// startLine opens one line, again and again.
func (g *gateway) startLine(i Instrument, made lineMade) {
	settings, _ := i.opens()
	settings.TLS, settings.Panel = g.newTLS(i), g.panel
	member := i.member(g.service.Profiles)
	g.metrics.expect(i.Name, envelope.Protocol(member.Settings.Protocol))
	g.tally.speaks(i.Name, envelope.Protocol(member.Settings.Protocol), g.service.Profiles.Title(i.Profile))
	run := g.service.Dial
	if settings.Serial != nil {
		run = g.service.Serial
		for _, kind := range []string{"parity", "framing", "overrun", "break"} {
			g.metrics.serial.WithLabelValues(i.Name, kind)
		}
	}
	g.lines.start(i.lineName(), made, func(ctx context.Context) {
		progress, ended := g.watch(i.lineName(), lineDeadline)
		defer ended()
		err := run(ctx, member, settings, progress)
		switch {
		case errors.Is(err, port.ErrNotActive):
			g.log.Error("line is not started", "instrument", i.Name, "error", err)
		case err != nil:
			g.fail(fmt.Errorf("instrument %s: %w", i.Name, err))
		}
	})
}

// member is the instrument at the end of a line that the box opens. Where the
// file does not say what it speaks on a serial line, its profile does; where it
// says a maker's own format, the profile tells an Emerald's line from one for
// packets, which is one for ASTM.
func (i Instrument) member(profiles *profile.Set) instrument.Instrument {
	member := i.instrument()
	protocol, known := profiles.Protocol(i.Profile)
	if known && i.Serial != nil && (i.Protocol == "" || i.Protocol == string(envelope.Vendor)) {
		member.Settings.Protocol = string(protocol)
	}
	return member
}
