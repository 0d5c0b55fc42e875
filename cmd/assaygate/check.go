package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/port"
)

type checkCommand struct {
	File string `arg:"" help:"The configuration file." placeholder:"FILE"`
}

// Run implements a kong command. Errors and hints go to stderr, each with its
// place; the verdict goes to stdout.
func (c *checkCommand) Run(s *streams) error {
	loaded, warnings, err := loadConfig(flags{Config: c.File})
	if err != nil {
		return c.refuse(s, err)
	}
	profiles, err := loaded.usableProfiles()
	if err == nil {
		err = loaded.misfits(profiles)
	}
	if err != nil {
		return c.refuse(s, err)
	}
	for _, found := range [][]config.Error{loaded.missingFiles(), loaded.droppedReadings(profiles)} {
		for _, warning := range found {
			warnings = append(warnings, warning.Error())
		}
	}
	var notes []config.Error
	for _, part := range loaded.inactive() {
		text := part.state() + ": " + part.What
		if part.Closes != "" {
			text += "; so " + part.Closes + " will not be opened"
		}
		if said := loaded.document.At(part.Where, "%s", text); part.Unsafe {
			warnings = append(warnings, said.Error())
		} else {
			notes = append(notes, said)
		}
	}
	for _, warning := range warnings {
		fmt.Fprintf(s.err, "%s (warning)\n", warning)
	}
	for _, note := range notes {
		fmt.Fprintf(s.err, "%s (note)\n", note.Error())
	}
	_, err = fmt.Fprintf(s.out, "%s: ok (%s, %s, %s, %s)\n", c.File,
		count(len(loaded.Instruments), "instrument"), count(len(loaded.Destinations), "destination"),
		count(len(warnings), "warning"), count(len(notes), "note"))
	return err
}

// refuse prints each of several errors, and returns their number.
func (c *checkCommand) refuse(s *streams, err error) error {
	var errs config.Errors
	if !errors.As(err, &errs) {
		return err
	}
	fmt.Fprintln(s.err, errs.Error())
	return fmt.Errorf("%s: %s", c.File, count(len(errs), "error"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// missingFiles finds the files that are named, but not on this machine: a
// configuration is often checked on another than the one that it is for.
func (c Config) missingFiles() []config.Error {
	var list []config.Error
	look := func(path, file string) {
		if file == "" {
			return
		}
		switch _, err := os.Stat(file); {
		case errors.Is(err, fs.ErrNotExist):
			list = append(list, c.document.At(path, "%s is not on this machine", file))
		case err != nil:
			list = append(list, c.document.At(path, "%s cannot be looked at on this machine: %v", file, err))
		}
	}
	read := func(path, file string) {
		before := len(list)
		look(path, file)
		if file == "" || len(list) > before {
			return
		}
		switch text, err := os.ReadFile(file); {
		case err != nil:
			list = append(list, c.document.At(path, "%v; the gateway must be able to read it", err))
		case len(strings.TrimSpace(string(text))) == 0:
			list = append(list, c.document.At(path, "%s is empty", file))
		}
	}
	tls := func(path string, t TLSSettings) {
		look(path+".certificate", t.Certificate)
		look(path+".key", t.Key)
		look(path+".client_ca", t.ClientCA)
	}
	for i, one := range c.Instruments {
		path := fmt.Sprintf("instruments[%d]", i)
		if one.Serial != nil && filepath.IsAbs(one.Serial.Port) {
			look(path+".serial.port", one.Serial.Port)
		}
		if c.document.Has(path + ".tls") {
			list = append(list, c.unusableTLS(path+".tls", one.TLS)...)
		}
	}
	look("profiles", c.Profiles)
	for i, one := range c.Destinations {
		if one.SENAITE != nil {
			path := fmt.Sprintf("destinations[%d].senaite", i)
			read(path+".password_file", one.SENAITE.PasswordFile)
			read(path+".ca", one.SENAITE.CA)
		}
	}
	read("admin.token_file", c.Admin.TokenFile)
	if token, err := adminToken(c.Admin.TokenFile); err == nil && token != "" && len(token) < shortestToken {
		list = append(list, c.document.At("admin.token_file", "the token has %d characters and could be guessed; take at least %d, such as those of: openssl rand -base64 24", len(token), shortestToken))
	}
	tls("admin.tls", c.Admin.TLS)
	tls("console.tls", TLSSettings{Certificate: c.Console.TLS.Certificate, Key: c.Console.TLS.Key})
	return list
}

// unusableTLS finds what a line could not use of its TLS files, if it started on
// this machine: files that are missing, all of them, or else what is wrong with one.
func (c Config) unusableTLS(path string, files port.TLSFiles) (list []config.Error) {
	for _, one := range []struct{ key, file string }{
		{"certificate", files.Certificate}, {"key", files.Key}, {"client_ca", files.ClientCA}, {"ca", files.CA},
	} {
		if _, err := os.Stat(one.file); one.file != "" && errors.Is(err, fs.ErrNotExist) {
			list = append(list, c.document.At(path+"."+one.key, "%s is not on this machine", one.file))
		}
	}
	if err := files.Check(); err != nil && len(list) == 0 {
		key, what, _ := strings.Cut(err.Error(), ": ")
		list = append(list, c.document.At(path+"."+key, "%s", what))
	}
	return list
}

// droppedReadings finds what a profile reads, but an allowlist drops: then
// results arrive without a sample, a test, a value or a unit.
func (c Config) droppedReadings(profiles usableProfiles) []config.Error {
	list := c.Privacy.Allowlist()
	var found []config.Error
	seen := map[string]bool{}
	for _, one := range c.Instruments {
		allowed, path := list.ASTM, "privacy.astm.allow"
		if one.HL7 != nil || one.protocol() == "hl7" {
			allowed, path = list.HL7, "privacy.hl7.allow"
		}
		for _, r := range profiles.reads(one) {
			var places []string
			for _, at := range r.At {
				if allowed.Keeps(at.Record, at.Field) {
					places = nil
					break
				}
				places = append(places, fmt.Sprintf("%s.%d", at.Record, at.Field))
			}
			key := path + r.What + strings.Join(places, ",")
			if len(places) == 0 || seen[key] {
				continue
			}
			seen[key] = true
			found = append(found, c.document.At(path, "drops %s, where the %s of %s stands", strings.Join(places, " and "), r.What, one.Name))
		}
	}
	return found
}
