package console

import "net/http"

// Box is what the overview shows of the box itself, and what it can do there.
type Box struct {
	// Notes are what a person should know, such as that the box has no owner. Nil
	// shows none.
	Notes func() []string
	// ClockSet says whether the clock of the box can be trusted. Nil is yes.
	ClockSet func() bool
	// SetClock sets it to a time as a person wrote it. Its error tells that person
	// what is wrong. Nil where the clock cannot be set.
	SetClock func(text string) error
}

// describe fills in what the overview shows of the box.
func (b Box) describe(view *overviewView) {
	if b.Notes != nil {
		view.Notes = b.Notes()
	}
	view.ClockUnset = b.ClockSet != nil && !b.ClockSet()
	view.CanSetClock = b.SetClock != nil
}

// setClock sets the clock of the box, which follows within seconds.
func (c *Console) setClock(w http.ResponseWriter, r *http.Request) {
	if c.options.Itself.SetClock == nil {
		http.NotFound(w, r)
		return
	}
	if err := c.options.Itself.SetClock(r.PostFormValue("time")); err != nil {
		c.fail(w, r, badRequest{err})
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}
