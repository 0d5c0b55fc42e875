package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"time"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/envelope/spool"
)

// change is another configuration with the files that it needs: they come
// together or not at all.
type change struct {
	config []byte            // the configuration file; nil: as it is
	files  map[string][]byte // by absolute path; nil removes the file
	by     string            // who brings it, for the log and reports: "stick", "console"
	// trial is how long the listeners may take to be open before what was there
	// before comes back by itself; 0: it stands at once.
	trial time.Duration
	// of is the digest of the configuration file that the change was made from; ""
	// where it does not matter. One that was changed meanwhile is not replaced.
	of string
	// may refuses what who brings the change may not change; nil refuses nothing
	// beyond what nobody may.
	may func(old, to Config) error
	// remote says that whoever brings it reaches the box by its console only, and
	// may be cut off by the change: then it is a person who has to keep it.
	remote bool
}

// changes is how the configuration of a running gateway is changed.
type changes struct {
	source  flags           // where it comes from
	path    string          // of the file that is changed; "" where there is none
	journal *config.Journal // nil where there is no file to change
	// judge refuses what must not follow the running configuration; nil refuses
	// nothing. It is set before the daemon runs.
	judge func(old, to Config) error

	one      sync.Mutex // held while a change is made: one after the other
	contents string     // digest of the files beside the configuration, as it was taken

	mu       sync.Mutex // guards what follows
	standing configStanding
	trial    *trial // nil without one
}

// errMoved is why a change is not made.
var errMoved = errors.New("the configuration was changed meanwhile; look at what it is now, and make the change again")

// errNoFile is why a configuration cannot be changed.
var errNoFile = errors.New("the gateway runs without a configuration file that could be changed; start it with --config FILE")

// adopt puts another configuration in place of the running one: judges it whole,
// saves it with its files as one, the previous one kept, and goes over to it. An
// error means that the configuration is as before; it is config.Errors where the
// change itself is wrong.
//
// With a trial what was there before comes back by itself, also after a restart
// or a power cut, where the configured listeners are not open within its time.
func (d *daemon) adopt(ctx context.Context, c change) error {
	d.changes.one.Lock()
	defer d.changes.one.Unlock()
	if d.changes.journal == nil {
		return errNoFile
	}
	if c.of != "" {
		if text, err := d.changes.text(); err != nil || digestOfText(text) != c.of {
			return errors.Join(errMoved, err)
		}
	}
	document, err := d.changes.document(c)
	if err != nil {
		return err
	}
	to, warnings, err := d.judged(document, c.files)
	if err == nil && c.may != nil {
		err = c.may(d.config(), to)
	}
	if err != nil {
		return err
	}
	person := d.needsKeeping(c, to)
	if err := d.changes.save(c, person); err != nil {
		return err
	}
	for _, warning := range warnings {
		d.log.Warn(warning)
	}
	err = d.take(context.WithoutCancel(ctx), to, c.by)
	switch {
	case errors.Is(err, spool.ErrClosed):
		return fmt.Errorf("the gateway ends; it goes over to the new configuration at its next start: %w", err)
	case err != nil:
		return errors.Join(err, d.takeBack(context.WithoutCancel(ctx), c.by, err.Error()))
	case c.trial == 0:
		d.changes.begin(nil)
		if err := d.changes.journal.Confirm(); err != nil {
			return err
		}
		d.keepCopy()
		return nil
	}
	d.changes.begin(newTrial(c.by, c.trial, person))
	return nil
}

// text is the configuration file as it stands, or the factory's while there is
// none.
func (s *changes) text() ([]byte, error) {
	path, err := s.source.file(systemConfig)
	switch {
	case err != nil:
		return nil, err
	case path == "":
		return defaultConfig, nil
	}
	return readFile(path)
}

// document is the configuration file as it will be.
func (s *changes) document(c change) (*config.Document, error) {
	if c.config != nil {
		return parseDocument(c.config, s.path)
	}
	path, err := s.source.file(systemConfig)
	if err != nil {
		return nil, err
	}
	return config.Load(path)
}

// save puts the files in place, on trial: until the gateway has gone over to
// them, nobody knows whether it can.
func (s *changes) save(c change, person bool) error {
	// A history that cannot be read, or written on, keeps nobody from a change.
	files, err := s.history(c)
	if err != nil || files == nil {
		files = map[string][]byte{}
	}
	maps.Copy(files, c.files)
	previous := ""
	if c.config != nil {
		previous, files[s.path] = s.path, c.config
	}
	note, err := json.Marshal(newTrial(c.by, max(c.trial, shortestTrial), person).note())
	if err != nil {
		return err
	}
	return s.journal.Replace(config.Change{Files: files, Previous: previous, Trial: true, Note: note})
}

// take goes over to a configuration that stands in its files.
func (d *daemon) take(ctx context.Context, to Config, by string) error {
	done := d.health.Reloading(d.log)
	defer done()
	contents := to.besides()
	if err := d.goOver(ctx, to); err != nil {
		return err
	}
	d.changes.contents = contents
	d.metrics.configLoaded(time.Now())
	d.changes.taken(by)
	d.accept() // what was refused before is not what stands there now
	d.log.Info("the configuration is in use", "by", by)
	if by == byStick || by == byFile { // the console names the person
		d.noteAct(ctx, spool.ConfigChanged, "", "by "+by)
	}
	return nil
}

// besides is a digest of the files beside the configuration that it is made of.
func (c Config) besides() string {
	files := profileFiles(c.Profiles)
	for _, d := range c.Destinations {
		if d.SENAITE != nil {
			files = append(files, d.SENAITE.PasswordFile, d.SENAITE.CA)
		}
	}
	return digestOf(files...)
}

// journalBeside is where changes of a configuration file are noted.
func journalBeside(path string) string { return filepath.Join(filepath.Dir(path), "change") }
