package main

import (
	"errors"
	"slices"
	"strings"
	"sync"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/profile"
	"github.com/assaygate/assaygate/envelope"
)

// consoleMessage is what the console's page of one message shows beyond the store.
func (d *daemon) consoleMessage() console.Message {
	m := &keptMessages{daemon: d}
	return console.Message{Text: m.text, Records: m.records}
}

// keptMessages reads messages that the store keeps. They are shown as the profile
// that read them calls its fields, if it is still there.
type keptMessages struct {
	*daemon
	mu       sync.Mutex
	files    string // digest of the own profiles
	profiles *profile.Set
}

// set are the profiles as they are now. Their files are looked at each time, and read
// when they have changed.
func (k *keptMessages) set() *profile.Set {
	c := k.config()
	files := c.Profiles + digestOf(profileFiles(c.Profiles)...)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.profiles != nil && k.files == files {
		return k.profiles
	}
	read, err := loadProfiles(c, nil, k.log)
	if err != nil {
		return k.profiles // they are just being changed
	}
	k.files, k.profiles = files, read
	return read
}

// shown gives what a message carries in UTF-8.
func (k *keptMessages) shown(e envelope.Envelope, carried []byte) string {
	m := profile.Raw{Protocol: e.Protocol, Text: carried}
	c := k.config()
	if i := slices.IndexFunc(c.Instruments, func(i Instrument) bool { return i.Name == e.Instrument }); i >= 0 {
		m.Charset = c.Instruments[i].Charset
	}
	return k.set().Show(e.Profile, m)
}

// text is console.Message.Text.
func (k *keptMessages) text(e envelope.Envelope) string { return k.shown(e, e.Raw) }

// The bounds of what a page shows of a message's records.
const (
	fieldsShown = 2000
	fieldShown  = 500     // bytes
	rawRead     = 1 << 20 // bytes that are taken apart
)

// records is console.Message.Records.
func (k *keptMessages) records(e envelope.Envelope) (list []console.Record, more bool, err error) {
	raw := e.Raw[:min(len(e.Raw), rawRead)]
	read, err := capturefile.Read(raw)
	if err != nil {
		return nil, false, err
	}
	fields, names := 0, map[int]string(nil)
	set := k.set()
	visit := func(l recordLine) bool {
		if fields++; fields > fieldsShown {
			more = true
			return false
		}
		if l.depth == 0 {
			list = append(list, console.Record{Name: l.record})
			names = set.FieldNames(e.Profile, l.record)
			return true
		}
		field := console.RecordField{Place: l.place, Text: string(l.text), Part: l.depth > 1}
		if len(field.Text) > fieldShown {
			field.Text = strings.ToValidUTF8(field.Text[:fieldShown], "") + "… (" + count(len(l.text), "byte") + ")"
		}
		if !field.Part {
			field.Name = names[l.field]
		}
		record := &list[len(list)-1]
		record.Fields = append(record.Fields, field)
		return true
	}
	var errs []error
	for _, t := range read.Transmissions {
		for _, m := range t.Messages() {
			if !more {
				errs = append(errs, splitRecords(t, []byte(k.shown(e, m.Text)), visit))
			}
		}
	}
	if len(raw) < len(e.Raw) {
		return list, true, nil // what does not fit is where it was cut
	}
	return list, more, errors.Join(errs...)
}
