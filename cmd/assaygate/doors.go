package main

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
)

// doors knows which of the listeners that the configuration asks for are not
// open, and why. Its methods may be called from any goroutine.
type doors struct {
	mu   sync.Mutex
	shut map[string]shut // by the name of the listener
}

// shut is a listener that is not open.
type shut struct {
	why     string
	cause   string // see unready
	excused bool   // readiness does not wait for it
}

// keep notes that a listener is not open, and why. It reports whether that is
// news. One whose TLS files are missing is excused: the rest is as ready as it
// can be.
func (d *doors) keep(name string, err error, excused bool) (news bool) {
	cause := causeFiles
	if !excused {
		cause = doorCause(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.shut == nil {
		d.shut = map[string]shut{}
	}
	before, known := d.shut[name]
	d.shut[name] = shut{err.Error(), cause, excused}
	return !known || before.why != err.Error()
}

// forget notes that a listener is open, or that none is wanted.
func (d *doors) forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.shut, name)
}

// missing lists the listeners that are not open, each with the reason.
func (d *doors) missing() []string { return d.list(func(shut) bool { return true }) }

// excuses reports whether a listener is not open for its TLS files.
func (d *doors) excuses(name string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut[name].excused
}

// ready is nil where all listeners are open, as far as that counts.
func (d *doors) ready() error {
	waiting := d.list(func(s shut) bool { return !s.excused })
	if waiting == nil {
		return nil
	}
	return errors.New("waiting for " + strings.Join(waiting, ", "))
}

// why is the reason why a listener is not open, "" where it is.
func (d *doors) why(name string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shut[name].why
}

// unready tells the same to a program.
func (d *doors) unready() (list []unready) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(d.shut)) {
		one := d.shut[name]
		list = append(list, unready{Part: partListener, Name: name, Cause: one.cause, Reason: one.why, Excused: one.excused})
	}
	return list
}

func (d *doors) list(which func(shut) bool) (list []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(d.shut)) {
		if one := d.shut[name]; which(one) {
			list = append(list, name+": "+one.why)
		}
	}
	return list
}
