package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/envelope/spool"
)

// byFile is who brings a configuration that a person has changed in its file.
const byFile = "file"

// reload goes over to the configuration as it stands in its files. One that is
// wrong is refused, with every mistake in the log, and the running one goes on.
//
// Whoever changes a file by hand while a change is on trial has decided: the
// trial is over.
func (d *daemon) reload(ctx context.Context) {
	d.changes.one.Lock()
	defer d.changes.one.Unlock()
	to, warnings, err := d.readAgain()
	if err != nil {
		d.refuse(err)
		return
	}
	d.accept()
	if to.sameAs(d.config()) && to.besides() == d.changes.contents {
		return
	}
	for _, warning := range warnings {
		d.log.Warn(warning)
	}
	switch err := d.take(ctx, to, byFile); {
	case errors.Is(err, spool.ErrClosed), ctx.Err() != nil:
	case err != nil:
		d.refuse(err)
	default:
		d.confirm("its file was changed by hand")
		d.keepCopy()
	}
}

// readAgain reads and judges the files. A file that is gone is no wish for the
// factory's configuration: editors take it away for a moment.
func (d *daemon) readAgain() (Config, []string, error) {
	s := &d.changes
	path, err := s.source.file(systemConfig)
	if err != nil {
		return Config{}, nil, err
	}
	if path == "" || path == s.source.Factory && !s.atFactory() {
		_, err := os.Stat(s.path)
		return Config{}, nil, fmt.Errorf("read configuration: %w", err)
	}
	if err := isFile(path); err != nil {
		return Config{}, nil, fmt.Errorf("read configuration: %w", err)
	}
	document, err := config.Load(path)
	if err != nil {
		return Config{}, nil, err
	}
	return d.judged(document, nil)
}

// sameAs reports whether two configurations say the same.
func (c Config) sameAs(other Config) bool {
	c.document, other.document = nil, nil
	return reflect.DeepEqual(c, other)
}

// refuse says what is wrong with the files, once.
func (d *daemon) refuse(err error) {
	d.metrics.refused.Set(1)
	if d.changes.refuses(err.Error()) {
		return
	}
	const what = "the configuration is refused; the running one goes on"
	secrets := map[string]bool{} // a value that is quoted may be one of them
	if text, err := d.changes.text(); err == nil {
		secrets = secretsInText(text)
	}
	var errs config.Errors
	if !errors.As(err, &errs) {
		remedy := ""
		if errors.Is(err, fs.ErrNotExist) {
			remedy = "put the file back, or restart the gateway without it"
		}
		d.log.Error(what, "error", err, "remedy", remedy)
		return
	}
	for _, one := range errs {
		d.log.Error(what, "file", one.Source, "line", one.Line, "column", one.Column, "key", one.Key, "error", redact(config.Error{Text: one.Text}.Error(), secrets))
	}
}

// accept notes that the files are right.
func (d *daemon) accept() {
	d.metrics.refused.Set(0)
	d.changes.refuses("")
}
