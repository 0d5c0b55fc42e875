package main

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/config"
)

// consoleMayNot is why nobody may go over from the old configuration to the new one
// from the console, each with its place; nil where they may. owned says that the box
// has an owner: it is then his who says whose word the box takes, where results go,
// and what can be read off it, not everybody's who has a password of the console.
func consoleMayNot(old, to Config, owned bool) error {
	m := mayNot{old: old, to: to}
	m.passwordFiles()
	if owned {
		m.trust()
		m.privacy()
		m.drive()
		m.receivers()
		m.directories()
		m.files()
	}
	if m.errs == nil {
		return nil
	}
	return m.errs
}

type mayNot struct {
	old, to Config
	errs    config.Errors
}

func (m *mayNot) refuse(path, format string, args ...any) {
	m.errs = append(m.errs, m.to.document.At(path, format, args...))
}

const ownersWord = "; the owner of this box can, with a signed stick"

// place is where a destination sends what it is given, its password too.
type place struct {
	scheme, host, proxy, ca string
	plainHTTP, known        bool
}

// placeOf is that of a destination in SENAITE, the zero value where there is none
// or where it cannot be told.
func placeOf(d Destination) place {
	if d.SENAITE == nil {
		return place{}
	}
	site, err := url.Parse(strings.TrimSpace(d.SENAITE.URL))
	proxy, badProxy := url.Parse(strings.TrimSpace(d.SENAITE.Proxy))
	if err != nil || badProxy != nil || site.Host == "" {
		return place{}
	}
	proxy.User = nil
	return place{
		scheme: strings.ToLower(site.Scheme), host: strings.ToLower(site.Host), proxy: proxy.String(), ca: d.SENAITE.CA,
		plainHTTP: d.SENAITE.PlainHTTP, known: true,
	}
}

// destination is the one of that name, the zero value for none.
func (c Config) destination(name string) Destination {
	for _, d := range c.Destinations {
		if d.Name == name {
			return d
		}
	}
	return Destination{}
}

// passwordFiles keeps passwords that lie on the box from being sent to where they
// are not for: a file may be named only for the place that it was named for before.
// This holds on every box: else whoever has the console could read any file of one
// line by having it sent to a server of his own.
func (m *mayNot) passwordFiles() {
	for i, d := range m.to.Destinations {
		if d.SENAITE == nil || d.SENAITE.PasswordFile == "" {
			continue
		}
		known := slices.ContainsFunc(m.old.Destinations, func(old Destination) bool {
			return old.SENAITE != nil && old.SENAITE.PasswordFile == d.SENAITE.PasswordFile && placeOf(old) == placeOf(d) && placeOf(d).known
		})
		if !known {
			m.refuse(fmt.Sprintf("destinations[%d].senaite.password_file", i),
				"the password in this file was not given for this server, and from the console it is not sent there; write  password: ...  with the password itself in its place")
		}
	}
}

// trust is whose word the box takes: its owner's, for which fleet he signs, and the
// server that updates come from.
func (m *mayNot) trust() {
	if !reflect.DeepEqual(m.old.Owner, m.to.Owner) {
		m.refuse("owner", "from the console the owner cannot be changed, set or left out")
	}
	if m.old.Box.Fleet != m.to.Box.Fleet {
		m.refuse("box.fleet", "from the console it cannot be changed for which sticks the box is"+ownersWord)
	}
	var old, to UpdateSettings
	if m.old.Update != nil {
		old = *m.old.Update
	}
	if m.to.Update != nil {
		to = *m.to.Update
	}
	for _, one := range []struct{ key, old, to string }{
		{"update.repository", old.Repository, to.Repository}, {"update.proxy", old.Proxy, to.Proxy}, {"update.ca", old.CA, to.CA},
	} {
		if one.old != one.to {
			m.refuse(one.key, "from the console it cannot be changed where updates come from"+ownersWord)
			return
		}
	}
}

// privacy is what of a patient may be stored and shown at all.
func (m *mayNot) privacy() {
	if !reflect.DeepEqual(m.old.Privacy, m.to.Privacy) {
		m.refuse("privacy", "from the console it cannot be changed what of a message is kept out"+ownersWord)
	}
}

// drive is the way in that the owner has himself. The file of write_request is
// removed again and again, whichever it is.
func (m *mayNot) drive() {
	old, to := m.old.ConfigDrive, m.to.ConfigDrive
	switch {
	case old == nil && to == nil:
	case old == nil || to == nil:
		m.refuse("config_drive", "from the console it cannot be changed whether the box reads sticks"+ownersWord)
	case absolute(old.Directory) != absolute(to.Directory):
		m.refuse("config_drive.directory", "from the console it cannot be moved"+ownersWord)
	case absolute(old.WriteRequest) != absolute(to.WriteRequest):
		m.refuse("config_drive.write_request", "from the console it cannot be changed"+ownersWord)
	}
}

// receivers are the servers and directories that results go to. One may be left
// out, and be given another name, path on its server, user or password; a new one
// has to be on a server that is configured already.
func (m *mayNot) receivers() {
	for i, d := range m.to.Destinations {
		path := fmt.Sprintf("destinations[%d]", i)
		if d.Capture != nil {
			m.captures(path, d)
			continue
		}
		if d.SENAITE == nil {
			continue
		}
		old, is := m.old.destination(d.Name), placeOf(d)
		known := slices.ContainsFunc(m.old.Destinations, func(old Destination) bool { return is.known && placeOf(old) == is })
		same := slices.ContainsFunc(m.old.Destinations, func(old Destination) bool { return placeOf(old) == is && old.Staging == d.Staging })
		switch {
		case known && same:
			continue
		case known:
			m.refuse(path+".staging", "from the console it cannot be changed which servers are for tests: captures can be replayed to these, and no others get results"+ownersWord)
			continue
		}
		m.refuse(path+m.differs(placeOf(old), is), "from the console results cannot be sent to another server than before, nor in another way"+ownersWord)
	}
}

// differs is the key that says where else a destination is.
func (m *mayNot) differs(old, is place) string {
	switch {
	case !old.known || old.scheme != is.scheme || old.host != is.host:
		return ".senaite.url"
	case old.proxy != is.proxy:
		return ".senaite.proxy"
	case old.ca != is.ca:
		return ".senaite.ca"
	}
	return ".senaite.plain_http"
}

// captures holds directories of files to those that there are: what lies in one is
// shown in the console and exported to sticks.
func (m *mayNot) captures(path string, d Destination) {
	known := slices.ContainsFunc(m.old.Destinations, func(old Destination) bool {
		return old.Capture != nil && absolute(old.Capture.Directory) == absolute(d.Capture.Directory)
	})
	if !known {
		m.refuse(path+".capture.directory", "from the console no other directory can be named: what lies there can be read in the console and goes to sticks"+ownersWord)
	}
}

// directories are those of the store, which would begin anew elsewhere, without its
// messages and its audit trail; and of profiles, of which errors may quote what
// lies there.
func (m *mayNot) directories() {
	if absolute(m.old.Spool.Directory) != absolute(m.to.Spool.Directory) {
		m.refuse("spool.directory", "from the console the store cannot be moved: the audit trail would begin anew"+ownersWord)
	}
	if m.old.Profiles != m.to.Profiles {
		m.refuse("profiles", "from the console no other directory can be named"+ownersWord)
	}
}

// files are all others that are read. One may be left out, and be named in another
// place for what it is named for already.
func (m *mayNot) files() {
	kind := func(key string) string { return key[strings.LastIndexAny(key, "].")+1:] }
	for _, one := range m.to.namedFiles() {
		if strings.HasPrefix(one.key, "destinations[") {
			continue // its place says it
		}
		known := slices.ContainsFunc(m.old.namedFiles(), func(old namedFile) bool {
			return kind(old.key) == kind(one.key) && old.file == one.file
		})
		if !known {
			m.refuse(one.key, "from the console no other file of the box can be named"+ownersWord)
		}
	}
}
