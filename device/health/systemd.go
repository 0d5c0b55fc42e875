package health

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Run speaks for the process to systemd until ctx ends: READY=1 when all
// that is expected is met, WATCHDOG=1 twice per WatchdogSec while it is healthy, and
// STOPPING=1 at the end. What became silent, and what came back, is logged once
// per change, with or without systemd: a person reads the culprit's name in the
// journal before the restart. Where systemd does not listen nothing is sent.
//
// It returns an error only where systemd's own settings cannot be read.
func (r *Registry) Run(ctx context.Context, log *slog.Logger) error {
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return fmt.Errorf("watchdog: %w", err)
	}
	// Without a watchdog the parts are still looked at, for the log.
	period := 5 * time.Second
	if watchdog > 0 {
		period = watchdog / 2
	}
	defer notify(log, daemon.SdNotifyStopping)

	tick := time.NewTicker(period)
	defer tick.Stop()
	ready := r.readiness()
	var silent bool
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ready:
			ready = nil
			notify(log, daemon.SdNotifyReady)
		case <-tick.C:
			err := r.Healthy()
			if err == nil && watchdog > 0 {
				notify(log, daemon.SdNotifyWatchdog)
			}
			switch {
			case err != nil && !silent:
				log.Error("unhealthy", "error", err)
			case err == nil && silent:
				log.Info("healthy again")
			}
			silent = err != nil
		}
	}
}

// notify sends one state. A failure is logged and not returned: systemd decides
// by its own deadline what silence means.
func notify(log *slog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn("notifying systemd", "state", state, "error", err)
	}
}
