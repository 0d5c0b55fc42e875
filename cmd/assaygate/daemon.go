package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/health"
	"github.com/assaygate/assaygate/device/instrument"
	"github.com/assaygate/assaygate/device/live"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope/spool"
)

// daemon is what lives as long as the process: log, metrics, health, the admin
// endpoint and the console. Beneath it lives a gateway, for as long as its store
// can be used, and then the next one.
//
// A card that fails ends the gateway, never the process: a restart would mend no
// card, go on for ever, and take away the admin endpoint, which says what is
// wrong. For the same reason /healthz, which feeds the watchdog, stays well
// meanwhile; it is /readyz that fails.
type daemon struct {
	running atomic.Pointer[Config] // the configuration: see config
	log     *slog.Logger
	metrics *metrics
	health  *health.Registry
	gate    *port.Gate
	panel   *port.Panel // of the serial ports
	bound   chan bound  // addresses as they were bound, for the demo and tests; may be nil

	standing    standing // of the store
	noise       *instrument.Noise
	tally       *tally // what checks of lines compare
	checks      checks
	live        live.Hub // what goes over the lines
	board       board.System
	clock       *clock
	face        face
	recent      *recentLog // of its own log; may be nil
	servers     *parts     // the admin endpoint and the console
	console     http.Handler
	fail        func(error) // ends the process, with the reason
	doors       doors       // listeners that are not open
	forgiving   atomic.Bool
	reopenings  chan *reopening
	transitions chan *transition
	ended       chan struct{} // closed when no store is opened any more
	changes     changes       // how the configuration is changed while it runs
	secured     sync.Map      // the *port.TLS of lines, by the name of the instrument, and of servers, by serverName
	own         own           // its certificate
	deniedLog   deniedLog     // of its servers
	errands     errands       // what pages of the console have begun
	updates     updatePlaces  // where the update agent leaves its word
	activity    string        // the socket that tells whether analysers are at work; "": none

	// watching stands for health.Watch in tests; nil otherwise.
	watching func(name string, deadline time.Duration) (progress, ended func())
}

// bound is an address that a listener got.
type bound struct{ name, address string }

func newDaemon(config Config, log *slog.Logger) *daemon {
	d := &daemon{
		log: log, metrics: newMetrics(), health: &health.Registry{}, gate: port.NewGate(port.TotalConnections), panel: &port.Panel{},
		checks: newChecks(), reopenings: make(chan *reopening), transitions: make(chan *transition), ended: make(chan struct{}),
	}
	d.updates = updatePlaces{"/"}
	d.clock = newClock(d.board, log)
	d.clock.remember(config.Spool.Directory)
	d.tally = newTally(d.metrics, d.firstOnLine)
	d.noise = &instrument.Noise{Observer: d.tally, Log: log, Noisy: d.metrics.Noisy}
	d.use(config)
	d.console = d.newConsole()
	return d
}

// config is the configuration that runs now. It is replaced as a whole: what was
// returned does not change.
func (d *daemon) config() Config {
	if c := d.running.Load(); c != nil {
		return *c
	}
	return Config{}
}

// use makes a configuration the one that runs, as far as nothing has to be
// stopped or started for it.
func (d *daemon) use(to Config) {
	var before []inactive
	if from := d.running.Load(); from != nil {
		before = from.inactive()
		d.sayZone(from.Box, to.Box)
		if !reflect.DeepEqual(from.Privacy, to.Privacy) {
			d.live.Clear() // it may hold what an allowlist now keeps out
		}
	}
	d.running.Store(&to)
	d.live.Expect(to.lineNames())
	setLog(d.log, to.Log)
	for _, part := range to.inactive() {
		switch {
		case slices.Contains(before, part):
		case part.Closes != "":
			d.log.Error("not opened: "+part.state(), "part", part.Where, "closed", part.Closes, "what", part.What)
		default:
			d.log.Warn(part.state(), "part", part.Where, "what", part.What)
		}
	}
}

// run serves until ctx ends. The first opening of the store tells what waiting
// cannot mend: that another process has it, that a newer release wrote it, that
// an address is taken; it ends the process with the reason. Where the card is at
// fault, or has lost a store, and later whatever it is, opening is tried again
// without end. Listeners
// are then opened as soon as they can be: forgiving says so.
func (d *daemon) run(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	over := sync.OnceFunc(func() { close(d.ended) })
	defer over()
	begun := d.health.Expect("spool")
	d.health.Require(d.storeTrouble)
	d.health.Require(d.doors.ready)
	defer d.startHealth(ctx, func(err error) { stop(err) })()
	d.metrics.registry.MustRegister(newStoreMetrics(d), d.ownedMetric(), updateMetrics{d}, modemMetrics{d.openModems})

	first, err := d.open(ctx)
	if err != nil && storeCause(err) == causeGateway {
		return err // it names what it is about
	}
	defer d.log.Info("stopped")
	var beside sync.WaitGroup
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	d.servers, d.fail = newParts(serving), func(err error) { stop(err) }
	defer func() {
		over() // first: what is waited for may itself wait for a store
		stopServing()
		beside.Wait()
		d.servers.wait()
	}()
	if _, _, err := d.ownCertificate(); err != nil {
		// Where a server needs it, that says so again and stays closed.
		d.log.Warn("the box has no certificate of its own", "error", err)
	}
	if err := d.startServers(serving, d.fail); err != nil {
		return errors.Join(err, first.close())
	}
	d.forgiving.Store(true)
	d.serveActivity(serving, &beside, d.activity)
	beside.Go(func() { d.noise.Run(serving) })
	beside.Go(func() { d.watchCard(serving) })
	beside.Go(func() { d.watchPorts(serving) })
	beside.Go(func() { d.watchConfig(serving) })
	beside.Go(func() { d.watchSticks(serving) })
	beside.Go(func() { d.errands.run(serving) })
	beside.Go(func() { d.showFace(serving) })
	beside.Go(func() { d.checks.prober.run(serving) })
	return d.goOn(ctx, first, err, begun)
}

// goOn runs gateways, one after the other, until ctx ends or something fails that
// is not the store. It begins with the first one, or with why that could not be
// opened, and calls begun once it has said which.
func (d *daemon) goOn(ctx context.Context, g *gateway, lost error, begun func()) error {
	var pause pause
	for {
		var asked *reopening
		if lost == nil {
			start := time.Now()
			asked, lost = g.run(ctx, begun)
			if ctx.Err() != nil || lost != nil && asked == nil && !errors.As(lost, &lostStore{}) {
				asked.answer(spool.ErrClosed)
				return lost
			}
			pause.after(time.Since(start))
		}
		if lost != nil {
			d.lose(lost)
			begun()
		}
		if lost != nil && asked == nil {
			asked = d.wait(ctx, pause.next())
		}
		if ctx.Err() != nil {
			asked.answer(spool.ErrClosed)
			return cause(ctx)
		}
		asked.prepare()
		g, lost = d.open(ctx)
		asked.answer(lost)
	}
}

// cause is why ctx ended, nil where it was told to.
func cause(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// pause is how long to wait before the store is opened again.
type pause struct{ last time.Duration }

const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// next is twice as long as the last one.
func (p *pause) next() time.Duration {
	p.last = min(max(2*p.last, firstPause), longestPause)
	return p.last
}

// after notes how long a store has held. One that fails soon again, as it does
// where reading works and writing does not, does not begin anew.
func (p *pause) after(held time.Duration) {
	if held > 2*longestPause {
		p.last = 0
	}
}

// wait returns when the time is over, when ctx ends, when there is another
// configuration, or when somebody asks for the store to be opened, which it then
// returns.
func (d *daemon) wait(ctx context.Context, duration time.Duration) *reopening {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case asked := <-d.reopenings:
		return asked
	case t := <-d.transitions:
		d.useWithServers(t.to)
		t.done <- nil
	}
	return nil
}
