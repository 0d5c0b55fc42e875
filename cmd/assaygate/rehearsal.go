package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/device/config"
)

// judged is a configuration that the gateway could go over to, with warnings for
// a person. files are those that come with it and are not in place yet. The error
// is config.Errors where the configuration is wrong.
func (d *daemon) judged(document *config.Document, files map[string][]byte) (Config, []string, error) {
	to, warnings, err := d.changes.source.compose(document)
	if err != nil {
		return Config{}, nil, err
	}
	directory, err := os.MkdirTemp("", "assaygate-change-")
	if err != nil {
		return Config{}, nil, err
	}
	defer os.RemoveAll(directory) // what stays there, if any, is nobody else's to read
	r := rehearsal{directory: directory, files: files}
	as, err := r.of(to)
	if err != nil {
		return Config{}, nil, err
	}
	more, err := as.whole()
	if err == nil {
		err = as.clients()
	}
	if err != nil {
		return Config{}, nil, r.inPlace(err)
	}
	if d.changes.judge != nil {
		if err := d.changes.judge(d.config(), to); err != nil {
			return Config{}, nil, err
		}
	}
	return to, append(warnings, more...), nil
}

// clients finds what keeps a destination from being opened, such as a password
// file that is not there.
func (c Config) clients() error {
	var errs config.Errors
	for i, d := range c.Destinations {
		if _, _, err := d.open(nil); err != nil {
			errs = append(errs, c.document.At(fmt.Sprintf("destinations[%d]", i), "%v", err))
		}
	}
	if errs == nil {
		return nil
	}
	return errs
}

// rehearsal has the files of a change stand in a directory of their own, so that
// they can be judged before they replace anything.
type rehearsal struct {
	directory string
	files     map[string][]byte // by absolute path; nil for one that is removed
	places    []string          // for strings.NewReplacer: as they stand, as they will
}

// of is the configuration with its files as they will be.
func (r *rehearsal) of(c Config) (Config, error) {
	if err := r.profiles(&c); err != nil {
		return Config{}, err
	}
	c.Destinations = append([]Destination(nil), c.Destinations...)
	for i, d := range c.Destinations {
		if d.SENAITE == nil {
			continue
		}
		settings := *d.SENAITE
		for _, path := range []*string{&settings.PasswordFile, &settings.CA} {
			if err := r.file(path); err != nil {
				return Config{}, err
			}
		}
		c.Destinations[i].SENAITE = &settings
	}
	return c, nil
}

// file makes the path lead to what the file will be, if it comes with the change.
func (r *rehearsal) file(path *string) error {
	if *path == "" {
		return nil
	}
	absolute, err := filepath.Abs(*path)
	if err != nil {
		return err
	}
	content, comes := r.files[absolute]
	if !comes {
		return nil
	}
	stands := filepath.Join(r.directory, fmt.Sprint(len(r.places)))
	r.places = append(r.places, stands, *path)
	*path = stands
	if content == nil {
		return nil
	}
	return os.WriteFile(stands, content, 0o600)
}

// profiles makes the directory of own profiles what it will be: one that is
// missing holds none, for this is the machine that it is to be on.
func (r *rehearsal) profiles(c *Config) error {
	if c.Profiles == "" {
		return nil
	}
	absolute, err := filepath.Abs(c.Profiles)
	if err != nil {
		return err
	}
	will := map[string][]byte{}
	for _, file := range profileFiles(c.Profiles) {
		if will[filepath.Base(file)], err = os.ReadFile(file); err != nil {
			return err
		}
	}
	_, err = os.Stat(c.Profiles)
	come := errors.Is(err, fs.ErrNotExist)
	for path, content := range r.files {
		if filepath.Dir(path) == absolute {
			will[filepath.Base(path)], come = content, true
		}
	}
	if !come {
		return nil
	}
	stands := filepath.Join(r.directory, "profiles")
	r.places = append(r.places, stands, c.Profiles)
	c.Profiles = stands
	err = os.Mkdir(stands, 0o700)
	for name, content := range will {
		if err == nil && content != nil {
			err = os.WriteFile(filepath.Join(stands, name), content, 0o600)
		}
	}
	return err
}

// inPlace makes an error name the files where they will be.
func (r *rehearsal) inPlace(err error) error {
	places := strings.NewReplacer(r.places...)
	var errs config.Errors
	if !errors.As(err, &errs) {
		return errors.New(places.Replace(err.Error()))
	}
	var named config.Errors
	for _, one := range errs {
		one.Text = places.Replace(one.Text)
		named = append(named, one)
	}
	return named
}
