package health

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

const (
	// lookEvery is how often the parts are looked at, and the watchdog is fed, at
	// least.
	lookEvery = 5 * time.Second
	// extension is how much more time systemd gives for starting and stopping,
	// each time that it is asked for it.
	extension = time.Minute
)

// Options is what the process gives to [Registry.Run].
type Options struct {
	Log *slog.Logger
	// Dump gets the stacks of all goroutines when a part has fallen silent, once
	// until all are well again. Nil for none.
	Dump io.Writer
}

// Run speaks for the process to systemd until ctx ends: READY=1 when all that is
// expected is met, WATCHDOG=1 at least three times per WatchdogSec while it is
// healthy. Before it is ready, and after [Registry.Stopping], it asks for more
// time as long as all parts move, for a large store takes its time.
//
// What became silent, and what came back, is logged once per change, with or
// without systemd: a person reads the culprit's name in the journal before the
// restart. Where systemd does not listen nothing is sent, and nothing ends the
// process.
//
// It returns an error only where systemd's own settings cannot be read.
func (r *Registry) Run(ctx context.Context, o Options) error {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	period := lookEvery
	if watchdog > 0 {
		period = min(period, watchdog/3)
	}
	defer r.Stopping(o.Log)
	r.look()
	defer r.watch.Store(nil)

	tick := time.NewTicker(period)
	defer tick.Stop()
	ready := r.readiness.reached()
	var reported incident
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ready:
			ready = nil
			r.told.ready.Store(true)
			r.told.notify(o.Log, daemon.SdNotifyReady)
		case <-tick.C:
			if late := r.look(); late > 0 {
				o.Log.Warn("the process or the machine stood still for a while", "for", late.Round(time.Second).String())
			}
			silent := r.silent()
			if len(silent) == 0 {
				r.feed(o.Log, watchdog > 0)
			}
			reported.report(o, silent)
		}
	}
}

// feed tells systemd that all is well.
func (r *Registry) feed(log *slog.Logger, watchdog bool) {
	if watchdog {
		r.told.notify(log, daemon.SdNotifyWatchdog)
	}
	if !r.told.ready.Load() || r.told.stopping.Load() {
		r.told.notify(log, fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extension.Microseconds()))
	}
}

// Reloading tells systemd that the configuration is being read again; done says
// that this is over, whatever came of it. Before the process is ready both say
// nothing.
func (r *Registry) Reloading(log *slog.Logger) (done func()) {
	if !r.told.ready.Load() {
		return func() {}
	}
	r.told.notify(log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
	return func() { r.told.notify(log, daemon.SdNotifyReady) }
}

// Stopping tells systemd, once, that the process is about to end.
func (r *Registry) Stopping(log *slog.Logger) {
	if !r.told.stopping.Swap(true) {
		r.told.notify(log, daemon.SdNotifyStopping)
	}
}

// told is what systemd was told.
type told struct {
	ready, stopping atomic.Bool
	failing         atomic.Bool
}

// notify sends one state. That it fails is logged once and not returned: systemd
// decides by its own deadline what silence means.
func (t *told) notify(log *slog.Logger, state string) {
	_, err := daemon.SdNotify(false, state)
	if before := t.failing.Swap(err != nil); err != nil && !before {
		log.Warn("notifying systemd", "state", state, "error", err)
	}
}
