package health

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

const statusEvery = 5 * time.Second

// Tell keeps the line that `systemctl status` shows up to date until ctx ends:
// what status says, or which part is silent. Status must hold nothing of a
// message. Progress is called every 5 s, unless status does not return.
func (r *Registry) Tell(ctx context.Context, log *slog.Logger, status func() string, progress func()) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	said := ""
	for {
		text := status()
		if err := r.Healthy(); err != nil {
			text = err.Error()
		}
		if text != said {
			r.told.notify(log, "STATUS="+strings.ReplaceAll(text, "\n", " "))
			said = text
		}
		progress()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
