package main

import (
	"context"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/assaygate/assaygate/device/port"
)

const (
	// settleTime is how long files must be unchanged before they are read: an
	// editor may be at the middle of them.
	settleTime = time.Second
	// lookAnyway is how often they are looked at without a word from the system:
	// some file systems give none.
	lookAnyway = 15 * time.Second
)

// watchConfig takes changes of the configuration's files, and tends its trial,
// until ctx ends.
func (d *daemon) watchConfig(ctx context.Context) {
	if !d.changes.watched() {
		return
	}
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	eyes := newEyes(d)
	defer eyes.close()
	tick := time.NewTicker(settleTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			d.log.Info("SIGHUP: reading the configuration again")
			d.reload(ctx)
			eyes.saw(d)
		case <-eyes.events:
			eyes.dirty = true
		case err := <-eyes.failures:
			d.log.Warn("watching the configuration's directories", "error", err)
			eyes.dirty = true
		case <-tick.C:
			d.tendTrial(ctx)
			if eyes.settled(d) {
				d.lookAtTLS()
				d.reload(ctx)
				eyes.saw(d)
			}
		}
	}
}

// lookAtTLS has the lines look at their TLS files now: that new ones cannot be used
// is then said when they come, and not when an instrument connects.
func (d *daemon) lookAtTLS() {
	d.secured.Range(func(_, line any) bool {
		_ = line.(*port.TLS).Check() // it says what has changed
		return true
	})
}

// watched reports whether there are files that may change.
func (s *changes) watched() bool { return s.path != "" }

// eyes see changes of files.
type eyes struct {
	watcher  *fsnotify.Watcher // nil where the system gives none
	events   <-chan fsnotify.Event
	failures <-chan error
	dirty    bool      // something has changed since the last look
	looked   time.Time // when that was
	last     string    // what was seen then
	known    string    // what was seen when the files were read last; "" before
}

func newEyes(d *daemon) *eyes {
	e := &eyes{dirty: true} // they may have changed since they were read
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		d.log.Warn("changes of the configuration are seen only every "+lookAnyway.String(), "error", err)
	} else {
		e.watcher, e.events, e.failures = watcher, watcher.Events, watcher.Errors
	}
	e.watch(d)
	return e
}

func (e *eyes) close() {
	if e.watcher != nil {
		e.watcher.Close()
	}
}

// saw notes what was read, and watches what that names. What has changed while it
// was read is seen the next time.
func (e *eyes) saw(d *daemon) {
	e.known = e.last
	e.watch(d)
}

// settled looks at the files where there is reason to, and reports whether they
// are to be read: they hold something new that has not changed for a while, or
// they were refused, perhaps over a file that nobody watches.
func (e *eyes) settled(d *daemon) bool {
	if !e.dirty && time.Since(e.looked) < lookAnyway {
		return false
	}
	now := digestOf(d.changes.files(d.config())...)
	moved := now != e.last
	e.last, e.looked, e.dirty = now, time.Now(), moved
	return !moved && (now != e.known || d.changes.refused())
}

// watch watches the directories of the files, and of those that links lead to:
// editors and secret stores put new files in place of the old ones.
func (e *eyes) watch(d *daemon) {
	if e.watcher == nil {
		return
	}
	wanted := map[string]bool{}
	for _, file := range d.changes.files(d.config()) {
		wanted[filepath.Dir(file)] = true
		if real, err := filepath.EvalSymlinks(file); err == nil {
			wanted[filepath.Dir(real)] = true
		}
	}
	if directory := d.config().Profiles; directory != "" {
		wanted[filepath.Clean(directory)] = true
	}
	for _, old := range e.watcher.WatchList() {
		if !wanted[old] {
			_ = e.watcher.Remove(old) // it is gone
		}
	}
	for directory := range wanted {
		_ = e.watcher.Add(directory) // one that is missing is looked at all the same, only later
	}
}

// files are those that the configuration is made of.
func (s *changes) files(c Config) []string {
	files := map[string]bool{s.path: true, s.source.Factory: true}
	for _, file := range profileFiles(c.Profiles) {
		files[file] = true
	}
	for _, d := range c.Destinations {
		if d.SENAITE != nil {
			files[d.SENAITE.PasswordFile], files[d.SENAITE.CA] = true, true
		}
	}
	for _, i := range c.Instruments {
		for _, file := range []string{i.TLS.Certificate, i.TLS.Key, i.TLS.ClientCA, i.TLS.CA} {
			files[file] = true
		}
	}
	for _, file := range []string{c.Admin.TLS.Certificate, c.Admin.TLS.Key, c.Admin.TLS.ClientCA, c.Console.TLS.Certificate, c.Console.TLS.Key} {
		files[file] = true
	}
	delete(files, "")
	return slices.Sorted(maps.Keys(files))
}
