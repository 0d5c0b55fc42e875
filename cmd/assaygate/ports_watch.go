package main

import "context"

// watchPorts tells the lines of serial ports that come, until ctx ends.
func (d *daemon) watchPorts(ctx context.Context) {
	if err := d.panel.Watch(ctx); err != nil {
		d.log.Warn("a serial port that comes back is found a moment later than it could be", "error", err)
	}
}
