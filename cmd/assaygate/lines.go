package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
)

// lineDeadline is within how long a serial or dialled line must report that it
// moves: the longest that one try to open it may take, with finding its address
// and a TLS handshake, and much room.
const lineDeadline = 2 * time.Minute

// listenerSet are the listeners of a configuration, bound before anything else
// starts: a taken address is told at once, and no instrument meets a gateway
// that cannot take its message yet.
type listenerSet []listening

// listening is one listener with the instruments that share it.
type listening struct {
	net.Listener // nil while its TLS files cannot be used
	address      string
	members      []instrument.Instrument
}

func (set listenerSet) close() (err error) {
	for _, l := range set {
		if l.Listener != nil {
			err = errors.Join(err, l.Close())
		}
	}
	return err
}

// bind opens one listener for each address that instruments listen on, but for
// those whose TLS files cannot be used: they stay closed, and the rest starts.
func (g *gateway) bind(ctx context.Context) (set listenerSet, err error) {
	byAddress := map[string]int{}
	var conditions []func()
	for _, i := range g.config.Instruments {
		address := i.listens()
		if address == "" {
			continue
		}
		g.metrics.expect(i.Name, i.protocol())
		member := i.instrument()
		at, shared := byAddress[address]
		if !shared || strings.HasSuffix(address, ":0") { // any free port: each its own
			l := listening{address: address}
			if member.TLS = g.newTLS(i); member.TLS != nil && member.TLS.Check() != nil {
				g.log.Error("the listener stays closed until its TLS files can be used", "instrument", i.Name, "address", address, "error", member.TLS.Check())
			} else {
				conditions = append(conditions, g.health.Expect("listener "+address))
				if l.Listener, err = g.listen(ctx, i.Name, address); err != nil {
					return nil, errors.Join(err, set.close())
				}
			}
			at, set = len(set), append(set, l)
			byAddress[address] = at
		}
		set[at].members = append(set[at].members, member)
	}
	for _, met := range conditions {
		met()
	}
	return set, nil
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
		return nil
	}
	log := g.log.With("instrument", i.Name)
	return port.NewTLS(i.TLS, func(err error) {
		if err != nil {
			log.Error("new TLS files cannot be used; those of before stay in use", "error", err)
			return
		}
		log.Info("new TLS files are in use; open connections keep theirs")
	})
}

// lookForFiles is how often the TLS files of a closed listener are looked for.
const lookForFiles = time.Second

// serveListener serves a listener until ctx ends. One whose TLS files cannot be
// used is opened as soon as they can.
func (g *gateway) serveListener(ctx context.Context, l listening) error {
	first := l.members[0]
	for l.Listener == nil {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(lookForFiles):
		}
		if first.TLS.Check() != nil {
			continue
		}
		var err error
		if l.Listener, err = g.listen(ctx, first.Name, l.address); err != nil {
			return err
		}
	}
	return g.service.Listen(ctx, l, g.gate, l.members)
}

// tell passes a bound address on to who asked for it, as long as they listen.
func (d *daemon) tell(name string, address net.Addr) {
	d.log.Info("listening", "for", name, "address", address.String())
	select {
	case d.bound <- bound{name, address.String()}:
	default:
	}
}

// startLines serves every line until ctx ends.
func (g *gateway) startLines(ctx context.Context, running *sync.WaitGroup, set listenerSet, fail func(error)) {
	for _, l := range set {
		running.Go(func() {
			if err := g.serveListener(ctx, l); err != nil {
				fail(err)
			}
		})
	}
	for _, i := range g.config.Instruments {
		settings, opened := i.opens()
		if !opened {
			continue
		}
		settings.TLS = g.newTLS(i)
		g.metrics.expect(i.Name, envelope.Protocol(i.member(g.service.Profiles).Settings.Protocol))
		progress := g.health.Register("line "+i.Name, lineDeadline)
		run := g.service.Dial
		if settings.Serial != nil {
			run = g.service.Serial
			for _, kind := range []string{"parity", "framing", "overrun", "break"} {
				g.metrics.serial.WithLabelValues(i.Name, kind)
			}
		}
		running.Go(func() {
			defer g.health.Remove("line " + i.Name)
			err := run(ctx, i.member(g.service.Profiles), settings, progress)
			switch {
			case errors.Is(err, port.ErrNotActive):
				g.log.Error("line is not started", "instrument", i.Name, "error", err)
			case err != nil:
				fail(fmt.Errorf("instrument %s: %w", i.Name, err))
			}
		})
	}
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
