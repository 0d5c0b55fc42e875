package main

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/assaygate/assaygate/envelope/spool"
)

// Whoever gets a box without owner may configure it as he likes. So no
// configuration may name what a reset has set aside: a capture directory, and all
// that is in it, is exported to a stick, and a file that is named goes into a
// backup.

// setAsideName is how what is set aside is called, and all that is being erased.
var setAsideName = regexp.MustCompile(`\.(sealed|erased)-[0-9]+$`)

// inSealed reports whether the path is, or lies in, something that was set aside.
func inSealed(path string) bool {
	for part := range strings.SplitSeq(filepath.ToSlash(filepath.Clean(path)), "/") {
		if setAsideName.MatchString(part) {
			return true
		}
	}
	return false
}

// keepOut has a walk leave out what is sealed: err is for [filepath.WalkDir].
func keepOut(path string, entry fs.DirEntry) (err error) {
	if entry.IsDir() && (inSealed(path) || spool.IsSealed(path)) {
		return filepath.SkipDir
	}
	return nil
}

// validateSealed finds paths that lead to what is sealed.
func (c *Config) validateSealed() (errs []error) {
	check := func(key, path string) {
		if inSealed(path) {
			errs = append(errs, fmt.Errorf("%s: %s was set aside by a factory reset; name another place", key, path))
		}
	}
	check("spool.directory", c.Spool.Directory)
	check("profiles", c.Profiles)
	for i, d := range c.Destinations {
		if d.Capture != nil {
			check(fmt.Sprintf("destinations[%d].capture.directory", i), d.Capture.Directory)
		}
	}
	if c.ConfigDrive != nil {
		check("config_drive.directory", c.ConfigDrive.Directory)
	}
	for _, named := range c.namedFiles() {
		check(named.key, named.file)
	}
	return errs
}
