package main

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/uplink"
)

const (
	// facePart is what the lights are called in the health of the gateway.
	facePart = "lights"
	// staleFace is the age at which what is known of the store counts for nothing:
	// whoever asks it hangs.
	staleFace = time.Minute
	// unreachableAfter is how long deliveries must fail until that is shown: a LIMS
	// that is restarted is no outage.
	unreachableAfter = 30 * time.Second
	// longestUpdate is how long the update agent's word may hide that a person is
	// needed, and how long there must be none until it may again. A release is installed
	// and judged in minutes, and the agent is not trusted.
	longestUpdate = time.Hour
)

// face is what the lights have to say. Its zero value is ready to use.
type face struct {
	mu       sync.Mutex
	failing  map[string]time.Time // by destination: since when nothing was delivered
	stick    configdrive.Status
	updating bool
	updates  time.Time   // since when the box is being updated, shorter pauses than longestUpdate included
	paused   time.Time   // since when it is not
	state    board.State // as it was looked at last
	looked   time.Time
}

// attempted notes what came of a delivery.
func (f *face) attempted(destination, result string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch result {
	case string(uplink.Transient), string(uplink.Unknown):
		if f.failing == nil {
			f.failing = map[string]time.Time{}
		}
		if _, known := f.failing[destination]; !known {
			f.failing[destination] = time.Now()
		}
	default: // it was reached, whatever it said
		delete(f.failing, destination)
	}
}

// unreached reports whether a destination has not been reached for a while.
func (f *face) unreached(destination string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	since, failing := f.failing[destination]
	return failing && time.Since(since) >= unreachableAfter
}

// showStick notes what goes on with a stick.
func (f *face) showStick(status configdrive.Status) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stick = status
}

// showUpdate notes whether the box is being updated.
func (f *face) showUpdate(under bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case !under && f.updating:
		f.paused = time.Now()
	case under && !f.updating && time.Since(f.paused) >= longestUpdate:
		f.updates = time.Now()
	}
	f.updating = under
}

// note keeps what was seen. What the stick and an update have to say is added when it
// is asked for.
func (f *face) note(state board.State) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.state, f.looked = state, time.Now()
}

// now is what is to be shown. It never waits.
func (f *face) now(healthy error) board.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case healthy != nil || time.Since(f.looked) > staleFace:
		return board.Refusing
	case f.state == board.Refusing:
		return f.state
	case f.stick == configdrive.Busy:
		return board.Starting
	case f.updating && time.Since(f.updates) < longestUpdate:
		return board.Updating
	case f.stick == configdrive.Trouble && f.state != board.Starting:
		return board.NeedsPerson
	}
	return f.state
}

// showFace shows by the lights of the box how it is, until ctx ends. Where there
// are none, that is said once.
func (d *daemon) showFace(ctx context.Context) {
	data, problems, err := d.board.Data()
	if errors.Is(err, fs.ErrNotExist) {
		d.log.Info("no lights: this computer has no board data", "remedy", "docs/boards.md")
		return
	}
	if err != nil {
		d.log.Error("no lights", "error", err)
		return
	}
	for _, problem := range problems {
		d.log.Warn("board data: a line is left out", "board", data.Name, "problem", problem)
	}
	if data.LEDReady == "" {
		d.log.Info("no lights: the board has none", "board", data.Name)
		return
	}
	lights, err := d.board.Face(data)
	if err != nil {
		d.log.Info("no lights", "board", data.Name, "error", err)
		return
	}
	var watching sync.WaitGroup
	defer watching.Wait()
	watching.Go(func() { d.watchFace(ctx) })
	progress, ended := d.watch(facePart, promptDeadline)
	defer ended()
	lights.Run(ctx, board.Source{
		State:    func() board.State { return d.face.now(d.health.Healthy()) },
		Messages: d.metrics.arrivals,
		Progress: progress,
		Failed: func(err error) {
			d.log.Error("the lights show nothing: may the gateway write their files?", "board", data.Name, "error", err)
		},
	})
}
