package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// supportSources are those of a bundle that the gateway writes itself, as to a
// stick.
func (d *daemon) supportSources() supportSources {
	admin := &http.Client{Transport: api.InProcess(adminHandler(d.health, d.metrics))}
	return supportSources{
		version: version, board: d.board, updates: d.updates, directories: d.config().directories(), log: d.recent.read,
		config: func() ([]byte, string, error) {
			path, err := d.changes.source.file(systemConfig)
			if err != nil {
				return nil, "", err
			}
			return readConfigFile(path)
		},
		metrics: func(ctx context.Context) ([]byte, error) {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://admin/metrics", nil)
			if err != nil {
				return nil, err
			}
			response, err := admin.Do(request)
			if err != nil {
				return nil, err
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				return nil, fmt.Errorf("the counters cannot be read: %s", response.Status)
			}
			return io.ReadAll(io.LimitReader(response.Body, maxSupportPart))
		},
		ports: func(ctx context.Context) (any, error) { return d.ports(ctx) },
		status: func(ctx context.Context) (spool.Status, error) {
			g, away := d.standing.now()
			if g == nil {
				return spool.Status{}, away
			}
			return g.store.Status(ctx)
		},
	}
}
