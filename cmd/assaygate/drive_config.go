package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/configdrive"
)

// byStick is who brings a configuration that came on a stick.
const byStick = "stick"

// brought is what a stick brings to the configuration, before it is judged.
type brought struct {
	secretsOut
	config  Config
	changed bool // the text is not the stick's any more
}

// takeConfig takes over what a stick brings: a configuration with profiles, TLS
// files and passwords, or only some of these for the present one. All of it is
// taken, or none.
func (s *sticks) takeConfig(ctx context.Context, session *configdrive.Session) configdrive.Outcome {
	parts := s.parts(session)
	if len(parts) == 0 {
		return configdrive.Outcome{}
	}
	b, errs := s.gather(session)
	if len(errs) == 0 {
		errs = s.wrong(b, session)
	}
	if len(errs) > 0 {
		return configdrive.Outcome{
			Errors: errs,
			Lines:  []string{list(parts) + ": not taken; the box goes on as before."},
		}
	}
	o := configdrive.Outcome{Remarks: b.kept}
	switch {
	case s.held(b):
		o.Lines = append(o.Lines, list(parts)+": the box runs with this already; nothing was changed.")
	case !session.Fresh:
		if back := s.d.standingConfig().TakenBack; back != nil && back.By == byStick {
			s.tried = true // by the process before
		}
		o.Lines = append(o.Lines, list(parts)+": right, but not what the box runs. It was taken before; to have it taken again, plug the stick in again.")
		return o
	default:
		if err := s.adopt(ctx, b, session); err != nil {
			o.Errors = errorLines(err, s.d.changes.path, configdrive.ConfigName)
			o.Lines = append(o.Lines, list(parts)+": not taken; the box goes on as before.")
			return o
		}
		o.Lines = append(o.Lines, list(parts)+": taken.")
		o.Lines = append(o.Lines, b.moved...)
		if _, err := os.Stat(s.d.changes.path + previousSuffix); err == nil && session.Has(configdrive.ConfigName) {
			o.Lines = append(o.Lines, "The configuration before is kept on the box as "+filepath.Base(s.d.changes.path)+".previous.")
		}
	}
	s.tidyOnceItStands(ctx, session, b, &o)
	return o
}

// parts lists the files of a stick that are about the configuration.
func (s *sticks) parts(session *configdrive.Session) (names []string) {
	if session.Has(configdrive.ConfigName) {
		names = append(names, session.Files[configdrive.ConfigName].Name)
	}
	for _, folder := range []string{configdrive.ProfilesName, configdrive.TLSName} {
		for _, file := range session.Folder(folder) {
			names = append(names, file.Name)
		}
	}
	passwords := session.Passwords()
	for _, destination := range slices.Sorted(maps.Keys(passwords)) {
		names = append(names, passwords[destination].Name)
	}
	return names
}

// gather puts together what the configuration and its files will be.
func (s *sticks) gather(session *configdrive.Session) (b brought, errs []string) {
	text, name := session.Files[configdrive.ConfigName].Data, session.Files[configdrive.ConfigName].Name
	if !session.Has(configdrive.ConfigName) {
		var err error
		name = filepath.Base(s.d.changes.path)
		if text, err = os.ReadFile(s.d.changes.path); errors.Is(err, fs.ErrNotExist) {
			return b, []string{"The box has no configuration yet that these files could be for; put an " + configdrive.ConfigName + " on the stick too."}
		} else if err != nil {
			return b, []string{err.Error()}
		}
	}
	document, err := parseDocument(text, name)
	if err == nil {
		b.config, err = decodeConfig(document)
	}
	if err != nil {
		return b, errorLines(err, name, name)
	}
	directory := s.secretsDirectory()
	b.secretsOut = takeSecretsOut(text, b.config, directory)
	b.hashPasswords(b.config, s.d.config().Console.Users)
	passwords := session.Passwords()
	for _, destination := range slices.Sorted(maps.Keys(passwords)) {
		if err := b.takePassword(b.config, destination, passwords[destination].Data, directory); err != nil {
			errs = append(errs, fmt.Sprintf("%s: %v", passwords[destination].Name, err))
		}
	}
	errs = append(errs, b.lostPasswords(directory, name)...)
	errs = append(errs, b.takeProfiles(session, absolute(s.d.changes.path))...)
	errs = append(errs, b.takeTLS(session, func(path string) bool { return s.keeps(b.config, path) })...)
	b.changed = !bytes.Equal(b.text, text)
	return b, errs
}

// lostPasswords finds the passwords that a text names in the box's own directory,
// and that are not there: mostly the stick has configured another box before, which
// has taken the password off it.
func (b *brought) lostPasswords(directory, name string) (errs []string) {
	for i, one := range b.config.Destinations {
		if one.SENAITE == nil || one.SENAITE.PasswordFile == "" {
			continue
		}
		file := absolute(one.SENAITE.PasswordFile)
		if filepath.Dir(file) != directory || b.files[file] != nil {
			continue
		}
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			lost := b.config.document.At(fmt.Sprintf("destinations[%d].senaite.password_file", i),
				"the box has no such password: write  password: ...  in place of this, or put a %s on the stick", configdrive.PasswordName)
			errs = append(errs, errorLines(lost, name, name)...)
		}
	}
	return errs
}

// takeProfiles puts the profiles where the configuration, which is in the file,
// wants them.
func (b *brought) takeProfiles(session *configdrive.Session, file string) (errs []string) {
	files := session.Folder(configdrive.ProfilesName)
	if len(files) > 0 && b.config.Profiles == "" {
		return []string{"profiles: there are profiles on the stick, but the configuration names no directory for them; add the line  profiles: /data/profiles"}
	}
	for _, one := range files {
		at := filepath.Join(absolute(b.config.Profiles), filepath.Base(one.Name))
		if strings.EqualFold(resolved(at), resolved(file)) {
			errs = append(errs, one.Name+": this is the place of the configuration itself; give the profile another name")
			continue
		}
		b.files[at] = one.Data
	}
	return errs
}

// wrong judges the whole without changing anything. Errors name the file of the
// stick, and the places in it as it was written.
func (s *sticks) wrong(b brought, session *configdrive.Session) (errs []string) {
	to, _, err := s.d.judged(b.config.document, b.files)
	if err != nil {
		return errorLines(err, "", "")
	}
	if err := s.owns.judge(b.config, b.files); err != nil {
		return errorLines(err, "", "")
	}
	if session.Has(configdrive.ConfigName) {
		errs = s.lockedOut(to)
	}
	if errs = append(errs, b.unusableTLS(session)...); len(errs) > 0 {
		return errs
	}
	if err := s.rememberFirst(b, session.Content); err != nil {
		return errorLines(err, "", "")
	}
	return nil
}

// lockedOut reports a configuration with which no stick would be read, or none
// could be written to: whoever brings it by stick has no other way in afterwards
// but a factory reset. At the computer the file itself can say so.
func (s *sticks) lockedOut(to Config) []string {
	now := s.d.config().ConfigDrive
	if now == nil {
		return nil
	}
	if then := to.ConfigDrive; then != nil && absolute(then.Directory) == absolute(now.Directory) && absolute(then.WriteRequest) == absolute(now.WriteRequest) {
		return nil
	}
	section := "config_drive: {directory: " + now.Directory
	if now.WriteRequest != "" {
		section += ", write_request: " + now.WriteRequest
	}
	return errorLines(to.document.At("config_drive", "the box would read no stick any more, or could not write to it; write  %s}", section), "", "")
}

// held reports whether the box has all of it already.
func (s *sticks) held(b brought) bool {
	same := func(path string, data []byte) bool {
		now, err := os.ReadFile(path)
		return err == nil && bytes.Equal(now, data)
	}
	for path, data := range b.files {
		if !same(path, data) {
			return false
		}
	}
	return same(s.d.changes.path, b.text)
}

func (s *sticks) adopt(ctx context.Context, b brought, session *configdrive.Session) error {
	within := s.d.config().ConfigDrive.ConfirmWithin
	if b.config.ConfigDrive != nil {
		within = b.config.ConfigDrive.ConfirmWithin
	}
	c := change{config: b.text, files: b.files, by: byStick, trial: within}
	if !session.Has(configdrive.ConfigName) && !b.changed {
		c.config = nil // as it is; what it held before is kept
	}
	if err := s.d.adopt(ctx, c); err != nil {
		return err
	}
	s.adopted = true
	return nil
}

// errorLines are the errors for a person; those in the file that is called from
// are said to be in the one called to.
func errorLines(err error, from, to string) (lines []string) {
	var errs config.Errors
	var one config.Error
	switch {
	case errors.As(err, &errs):
	case errors.As(err, &one):
		errs = config.Errors{one}
	default:
		return []string{err.Error()}
	}
	for _, one := range errs {
		if one.Source == from && from != "" {
			one.Source = to
		}
		source, line, column := one.Source, one.Line, one.Column
		one.Source = ""
		text := one.Error()
		if line > 0 {
			text = fmt.Sprintf("%s, line %d, column %d: %s", source, line, column, text)
		} else if source != "" {
			text = source + ": " + text
		}
		lines = append(lines, text)
	}
	return lines
}
