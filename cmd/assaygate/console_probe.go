package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/device/probe"
)

// probing is one port that a person has listened to.
type probing struct {
	ends time.Time

	mu     sync.Mutex
	stop   context.CancelFunc // nil before it has begun
	unseen *time.Timer        // stops it where nobody asks how it goes
	heard  []string
	modem  func() (port.ModemLines, error) // nil while the port is not open
	found  *proposal                       // nil while it goes on
}

// mostHeard is how many lines are kept of what was heard.
const mostHeard = 100

var errProbes = errors.New("the port is listened to already")

// newProbe makes room for one more. The caller holds e.mu.
func (e *errands) newProbe(name string) (*probing, error) {
	if old := e.probes[name]; old != nil && old.goesOn() {
		return nil, errProbes
	}
	delete(e.probes, name)
	for other, one := range e.probes {
		if len(e.probes) >= mostProbes && !one.goesOn() {
			delete(e.probes, other)
		}
	}
	if len(e.probes) >= mostProbes {
		return nil, fmt.Errorf("%d ports are listened to already; end one of these", mostProbes)
	}
	if e.probes == nil {
		e.probes = map[string]*probing{}
	}
	p := &probing{ends: time.Now().Add(longestProbe)}
	e.probes[name] = p
	return p, nil
}

func (p *probing) goesOn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.found == nil
}

// listen listens until it is sure, until the time is over, or nobody looks.
func (p *probing) listen(ctx context.Context, system port.System, device port.Device) {
	ctx, stop := context.WithDeadline(ctx, p.ends)
	defer stop()
	p.mu.Lock()
	p.stop, p.unseen = stop, time.AfterFunc(unseenProbe, stop)
	p.mu.Unlock()
	defer p.unseen.Stop()
	found := probeOne(ctx, system, device, p.told, p.opened)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.found, p.modem = &found, nil
}

func (p *probing) told(step probe.Step) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.heard = append(p.heard, describeStep(step)); len(p.heard) > mostHeard {
		p.heard = slices.Delete(p.heard, 0, 1)
	}
}

func (p *probing) opened(modem func() (port.ModemLines, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.modem = modem
}

// endProbe ends listening to a port; what is known by then stays.
func (d *daemon) endProbe(name string) {
	if p := d.errands.probe(name); p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.stop != nil {
			p.stop()
		}
	}
}

func (e *errands) probe(name string) *probing {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.probes[name]
}

// probing tells how listening to a port goes, false where nobody has begun it.
func (d *daemon) probing(name string) (console.Probing, bool) {
	p := d.errands.probe(name)
	if p == nil {
		return console.Probing{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unseen != nil {
		p.unseen.Reset(unseenProbe)
	}
	state := console.Probing{Port: name, Running: p.found == nil, Heard: slices.Clone(p.heard)}
	if p.found == nil {
		state.Left = max(0, time.Until(p.ends))
		state.LeftFor = state.Left.Round(time.Second).String()
		if p.modem != nil {
			if m, err := p.modem(); err == nil {
				state.Modem = shownLines(m)
			}
		}
		return state, true
	}
	state.Failed, state.YAML = p.found.words()
	if state.Failed == "" {
		state.Found = fmt.Sprintf("%s, %s", p.found.Verdict.Setting, sureWords(p.found.Verdict.Sure))
		if also := p.found.Verdict.Also; len(also) > 0 {
			state.Found += ". What came would be the same with " + strings.Join(also, ", ") + ": look which of them the analyser is set to"
		}
	}
	return state, true
}

// words are why nothing was found, or the lines of the configuration.
func (p proposal) words() (failed, yaml string) {
	switch {
	case p.err != nil:
		return p.err.Error(), ""
	case p.Verdict.Sure == probe.Unknown:
		return errNothing(p.Verdict).Error(), ""
	}
	return "", p.YAML
}
