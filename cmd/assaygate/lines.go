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
// moves: the longest wait between two tries, and one try.
const lineDeadline = 2 * time.Minute

// listenerSet are the listeners of a configuration, bound before anything else
// starts: a taken address is told at once, and no instrument meets a gateway
// that cannot take its message yet.
type listenerSet []listening

// listening is one listener with the instruments that share it.
type listening struct {
	net.Listener
	members []instrument.Instrument
}

func (set listenerSet) close() (err error) {
	for _, l := range set {
		err = errors.Join(err, l.Close())
	}
	return err
}

// bind opens one listener for each address that instruments listen on.
func (g *gateway) bind(ctx context.Context) (set listenerSet, err error) {
	byAddress := map[string]int{}
	var conditions []func()
	for _, i := range g.config.Instruments {
		address := i.listens()
		if address == "" || g.keptClosed(i) {
			continue
		}
		g.metrics.expect(i.Name, i.protocol())
		at, shared := byAddress[address]
		if !shared || strings.HasSuffix(address, ":0") { // any free port: each its own
			conditions = append(conditions, g.health.Expect("listener "+address))
			listener, err := port.Listen(ctx, address)
			if err != nil {
				return nil, errors.Join(fmt.Errorf("instrument %s: %w", i.Name, err), set.close())
			}
			at, set = len(set), append(set, listening{Listener: listener})
			byAddress[address] = at
			g.tell(i.Name, listener.Addr())
		}
		set[at].members = append(set[at].members, i.instrument())
	}
	for _, met := range conditions {
		met()
	}
	return set, nil
}

// tell passes a bound address on to who asked for it.
func (g *gateway) tell(name string, address net.Addr) {
	g.log.Info("listening", "for", name, "address", address.String())
	if g.bound != nil {
		g.bound <- bound{name, address.String()}
	}
}

// startLines serves every line until ctx ends.
func (g *gateway) startLines(ctx context.Context, running *sync.WaitGroup, set listenerSet, fail func(error)) {
	for _, l := range set {
		running.Go(func() {
			if err := g.service.Listen(ctx, l, g.gate, l.members); err != nil {
				fail(err)
			}
		})
	}
	for _, i := range g.config.Instruments {
		settings, opened := i.opens()
		if !opened || g.keptClosed(i) {
			continue
		}
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

// keptClosed reports whether the instrument's line may not be opened: a part of
// its protection is not active in this version.
func (g *gateway) keptClosed(i Instrument) bool {
	for _, part := range g.inactive {
		if part.Closes == i.Name {
			return true
		}
	}
	return false
}
