package main

import (
	"bytes"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/port"
)

// takeTLS puts each file of tls/ to the path with its name that the configuration
// names. kept reports where the box keeps something else.
func (b *brought) takeTLS(session *configdrive.Session, kept func(path string) bool) (errs []string) {
	for _, file := range session.Folder(configdrive.TLSName) {
		base := filepath.Base(file.Name)
		var places, named []string
		for _, one := range b.config.namedFiles() {
			if one.secret {
				continue
			}
			named = append(named, filepath.Base(one.file))
			if strings.EqualFold(filepath.Base(one.file), base) && !slices.Contains(places, absolute(one.file)) {
				places = append(places, absolute(one.file))
			}
		}
		slices.Sort(named)
		switch {
		case len(places) == 0 && len(named) == 0:
			errs = append(errs, file.Name+": the configuration names no TLS files; name it there (certificate, key, client_ca or ca), or remove it from the stick")
		case len(places) == 0:
			errs = append(errs, fmt.Sprintf("%s: the configuration names no file of that name; it names %s", file.Name, list(slices.Compact(named))))
		case len(places) > 1:
			errs = append(errs, fmt.Sprintf("%s: the configuration names several files of that name (%s); give them different names", file.Name, list(places)))
		case !isPEM(file.Data):
			errs = append(errs, file.Name+": is not a certificate or key in PEM form, which begins with -----BEGIN; convert it")
		case kept(places[0]) || !replaceable(places[0]):
			errs = append(errs, fmt.Sprintf("%s: %s on the box is something else than a certificate or key, and is not replaced; name another file in the configuration", file.Name, places[0]))
		default:
			b.files[places[0]] = file.Data
		}
	}
	return errs
}

func isPEM(data []byte) bool {
	block, _ := pem.Decode(data)
	return block != nil
}

// replaceable reports whether a file of the box may become one for TLS: it is
// none yet, or one of these.
func replaceable(path string) bool {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && isPEM(data)
}

// keeps reports whether the box keeps something of its own at the path, now or at
// another time: a certificate there would seal its store, reset it, or put its
// owner in doubt. c is the configuration that will run.
func (s *sticks) keeps(c Config, path string) bool {
	path = resolved(path)
	for _, store := range []string{c.Spool.Directory, s.d.config().Spool.Directory} {
		if below(resolved(store), path) {
			return true
		}
	}
	beside, err := filepath.Rel(resolved(filepath.Dir(s.d.changes.path)), path)
	if err != nil || !filepath.IsLocal(beside) {
		return false
	}
	name, _, _ := strings.Cut(filepath.ToSlash(beside), "/")
	own := append(s.d.changes.source.resetting(s.d.log).ownFiles(), resetFile, lastResetFile, memoryFile)
	return slices.ContainsFunc(own, func(one string) bool { return strings.EqualFold(one, name) })
}

// resolved is the path without symbolic links, as far as it is there.
func resolved(path string) string {
	path = absolute(path)
	for there, rest := path, ""; ; there, rest = filepath.Dir(there), filepath.Join(filepath.Base(there), rest) {
		if whole, err := filepath.EvalSymlinks(there); err == nil {
			return filepath.Join(whole, rest)
		}
		if filepath.Dir(there) == there {
			return path
		}
	}
}

// unusableTLS finds what is wrong with the TLS files that come with the stick:
// those that do not fit each other, or cannot be read.
func (b *brought) unusableTLS(session *configdrive.Session) (errs []string) {
	if len(session.Folder(configdrive.TLSName)) == 0 {
		return nil
	}
	directory, err := os.MkdirTemp("", "assaygate-stick-")
	if err != nil {
		return []string{err.Error()}
	}
	defer os.RemoveAll(directory) // what stays there, if any, is nobody else's to read
	look := trialTLS{directory: directory, files: b.files}
	for i, one := range b.config.Instruments {
		if one.TLS == (port.TLSFiles{}) {
			continue
		}
		files := one.TLS
		for _, path := range []*string{&files.Certificate, &files.Key, &files.ClientCA, &files.CA} {
			look.stand(path)
		}
		if !look.come {
			continue
		}
		if err := errors.Join(look.err, files.Check()); err != nil {
			at := b.config.document.At(fmt.Sprintf("instruments[%d].tls", i), "%s", look.inPlace(err.Error()))
			errs = append(errs, errorLines(at, "", "")...)
		}
		look.come = false
	}
	for _, server := range []struct {
		at               string
		certificate, its string
	}{
		{"admin.tls", b.config.Admin.TLS.Certificate, b.config.Admin.TLS.Key},
		{"console.tls", b.config.Console.TLS.Certificate, b.config.Console.TLS.Key},
	} {
		certificate, key := b.files[absolute(server.certificate)], b.files[absolute(server.its)]
		if server.certificate == "" || certificate == nil && key == nil {
			continue
		}
		if certificate == nil {
			certificate, _ = os.ReadFile(server.certificate)
		}
		if key == nil {
			key, _ = os.ReadFile(server.its)
		}
		if _, err := tls.X509KeyPair(certificate, key); err != nil {
			errs = append(errs, errorLines(b.config.document.At(server.at, "certificate and key do not fit each other: %v", err), "", "")...)
		}
	}
	return errs
}

// trialTLS has files of a stick stand in a directory, to be judged there.
type trialTLS struct {
	directory string
	files     map[string][]byte
	names     []string // as they stand, as they will
	come      bool
	err       error
}

func (t *trialTLS) stand(path *string) {
	data, comes := t.files[absolute(*path)]
	if *path == "" || !comes {
		return
	}
	stands := filepath.Join(t.directory, fmt.Sprint(len(t.names)))
	t.names = append(t.names, stands, *path)
	*path, t.come = stands, true
	t.err = errors.Join(t.err, os.WriteFile(stands, bytes.Clone(data), 0o600))
}

func (t *trialTLS) inPlace(text string) string { return strings.NewReplacer(t.names...).Replace(text) }
