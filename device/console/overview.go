package console

import (
	"errors"
	"net/http"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Overview is what the first page shows beside the store.
type Overview struct {
	// Instruments gives the present state of each configured instrument, in the
	// order of the configuration. Nil shows none.
	Instruments func() []Instrument
	// Facts are those of the box itself: disk, clock, version, owner. Nil: none.
	Facts func() []Fact
	// Notes are what a person should know, such as that the box has no owner. Nil
	// shows none.
	Notes func() []string
	// ClockSet says whether the clock of the box can be trusted. Nil is yes.
	ClockSet func() bool
	// SetClock sets it to a time as a person wrote it. Its error tells that person
	// what is wrong. Nil where the clock cannot be set.
	SetClock func(text string) error
	// Broken is why the box can store nothing since its start, nil where it can.
	// Repair has its card repaired, for the person of that name: the box starts anew.
	// Nil where there is no such thing.
	Broken func() error
	Repair func(who string) error
}

// Instrument is the state of one configured instrument, as the overview shows it.
type Instrument struct {
	Name        string
	Protocol    string    // "astm", "hl7", "vendor"
	Line        string    // "serial /dev/ttyUSB0", "listens on :4010"
	Up          bool      // serial port opened, dial connected, listener bound
	Problem     string    // why it is not up, or ""
	Connections int       // open now
	Messages    uint64    // whole messages since start
	LastMessage time.Time // zero where there was none since start
	Noisy       bool      // bytes or frames arrive damaged again and again
	Refused     uint64    // negative acknowledgements and refused connections since start
	LastRefusal string    // the reason of the last one, or ""
	LineErrors  uint64    // what the serial driver has counted since start
}

// Fact is one line on the box itself.
type Fact struct {
	Name, Value string
	Bad         bool // a person has to see to it
}

func (c *Console) overviewRoutes() []route {
	return []route{
		{"GET /{$}", Viewer, c.overview},
		{"POST /clock", Admin, c.setClock},
		{"POST /repair", Admin, c.repair},
	}
}

type overviewView struct {
	Needs       []need
	Notes       []string
	Facts       []Fact
	Away        string // why there is no store; the rest on it is empty then
	ClockUnset  bool
	CanSetClock bool
	CanRepair   bool
	Instruments []Instrument
	Today       map[string]int // messages by instrument since midnight; nil where nobody knows when that was
	Status      spool.Status
	Newest      []spool.Summary
}

func (c *Console) overview(w http.ResponseWriter, r *http.Request) {
	o := c.options.Overview
	view := overviewView{ClockUnset: o.ClockSet != nil && !o.ClockSet(), CanSetClock: o.SetClock != nil}
	view.CanRepair = o.Broken != nil && o.Repair != nil && o.Broken() != nil
	if o.Notes != nil {
		view.Notes = o.Notes()
	}
	if o.Facts != nil {
		view.Facts = o.Facts()
	}
	if o.Instruments != nil {
		view.Instruments = o.Instruments()
	}
	if err := c.addStore(r, &view); err != nil {
		view.Away = err.Error()
	}
	view.Needs = view.needs()
	c.render(w, r, http.StatusOK, "overview.html", "Overview", view)
}

// addStore adds what the store knows.
func (c *Console) addStore(r *http.Request, view *overviewView) error {
	store, err := c.options.Store()
	if err != nil {
		return err
	}
	if view.Status, err = store.Status(r.Context()); err != nil {
		return err
	}
	if !view.ClockUnset {
		if view.Today, err = store.CountSince(r.Context(), midnight(time.Now())); err != nil {
			return err
		}
	}
	view.Newest, err = store.List(r.Context(), spool.Filter{Limit: 5})
	return err
}

// midnight is when the day began in the time zone of the box.
func midnight(now time.Time) time.Time {
	year, month, day := now.Local().Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.Local)
}

// setClock sets the clock of the box, which follows within seconds.
func (c *Console) setClock(w http.ResponseWriter, r *http.Request) {
	set := c.options.Overview.SetClock
	if set == nil {
		http.NotFound(w, r)
		return
	}
	text := r.PostFormValue("time")
	if err := c.note(r, spool.ClockSetByHand, 0, text); err != nil {
		c.fail(w, r, err)
		return
	}
	if err := set(text); err != nil {
		noted := c.note(r, spool.ClockSetByHand, 0, "not done: "+err.Error())
		c.fail(w, r, api.BadRequest{Err: errors.Join(err, noted)})
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// repair has the card of the box repaired. The audit cannot tell of it, for it is on
// that card; the log does.
func (c *Console) repair(w http.ResponseWriter, r *http.Request) {
	o := c.options.Overview
	if o.Repair == nil || o.Broken == nil || o.Broken() == nil {
		http.NotFound(w, r)
		return
	}
	who := c.who(r).Name
	if who == "" {
		c.fail(w, r, errEnded)
		return
	}
	if err := o.Repair(who); err != nil {
		c.fail(w, r, api.BadRequest{Err: err})
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
