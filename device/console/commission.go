package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// Commission is what the page Commissioning shows and does: checks of lines, layer
// by layer. Nothing of it changes the box.
type Commission struct {
	// Lines are the instruments that can be checked, and Destinations the names of
	// where messages go, the usual one first. Nil: none.
	Lines        func() []CheckedLine
	Destinations func() []string
	// Look tells how a check stands; it begins one where there is none. False: there
	// is no such instrument.
	Look func(context.Context, CheckOf) (Check, bool)
	// Begin begins a check anew. Sent notes that the person has had the analyser
	// send a message.
	Begin func(context.Context, CheckOf)
	Sent  func(CheckOf)
	// Box tells of the box what a report needs.
	Box func() []Fact
}

// CheckedLine is one instrument that can be checked.
type CheckedLine struct{ Name, Protocol, Line string }

// CheckOf is whose check it is, and of what.
type CheckOf struct {
	Person, Instrument string
	Destination        string // "": the usual one
}

// Check is how a check stands.
type Check struct {
	Instrument, Destination string
	Begun                   time.Time
	Sent                    bool // the person said so
	Conclusion              Conclusion
	Layers                  []Layer
	Message                 string   // id of the newest message that came since; "" for none
	Help                    []string // what to do at the analyser, step by step
	Settings                []Fact   // of instrument and destination
}

// Conclusion is one sentence on all of it.
type Conclusion struct{ Verdict, Text, Do string }

// Layer is one step on the way of a message.
type Layer struct {
	Key, Title string
	Verdict    string // ok, fault, waiting, not applicable, not known
	Seen       string
	Detail     string // may quote a message; not for a report
	Do         string
}

// IsFault is for the page.
func (l Layer) IsFault() bool { return l.Verdict == faultVerdict }

// IsOK is for the page.
func (l Layer) IsOK() bool { return l.Verdict == okVerdict }

// IsFault is for the page.
func (c Conclusion) IsFault() bool { return c.Verdict == faultVerdict }

// The verdicts that look different.
const (
	faultVerdict = "fault"
	okVerdict    = "ok"
)

func (c *Console) commissionRoutes() []route {
	return []route{
		{"GET /commission", Viewer, c.commissionPage},
		{"GET /commission/{instrument}", Viewer, c.checkPage},
		{"POST /commission/{instrument}/begin", Viewer, c.beginCheck},
		{"POST /commission/{instrument}/sent", Viewer, c.sentInCheck},
		{"GET /commission/{instrument}/report", Viewer, c.checkReport},
	}
}

func (c *Console) commissionPage(w http.ResponseWriter, r *http.Request) {
	view := struct {
		Lines        []CheckedLine
		Destinations []string
	}{c.checkedLines(), c.checkedDestinations()}
	c.render(w, r, http.StatusOK, "commission.html", "Commissioning", view)
}

func (c *Console) checkedLines() []CheckedLine {
	if c.options.Commission.Lines == nil {
		return nil
	}
	return c.options.Commission.Lines()
}

func (c *Console) checkedDestinations() []string {
	if c.options.Commission.Destinations == nil {
		return nil
	}
	return c.options.Commission.Destinations()
}

// checkOf is the check that a request is about; false where there is no such
// instrument or destination, which has then been answered.
func (c *Console) checkOf(w http.ResponseWriter, r *http.Request) (of CheckOf, ok bool) {
	of = CheckOf{Person: c.who(r).Name, Instrument: r.PathValue("instrument"), Destination: r.FormValue("destination")}
	known := slices.ContainsFunc(c.checkedLines(), func(l CheckedLine) bool { return l.Name == of.Instrument })
	destinations := c.checkedDestinations()
	if of.Destination == "" && len(destinations) > 0 {
		of.Destination = destinations[0]
	}
	if !known || of.Destination != "" && !slices.Contains(destinations, of.Destination) {
		c.render(w, r, http.StatusNotFound, "error.html", "Not found", "There is no such instrument or destination; it may have left the configuration.")
		return of, false
	}
	return of, true
}

type checkView struct {
	Check
	Destinations []string
	Box          []Fact
	At           time.Time
	By           string
	Unaudited    string // why the audit does not tell of the report
}

func (c *Console) look(w http.ResponseWriter, r *http.Request) (view checkView, ok bool) {
	of, ok := c.checkOf(w, r)
	if !ok {
		return view, false
	}
	check, ok := c.options.Commission.Look(r.Context(), of)
	if !ok {
		c.render(w, r, http.StatusNotFound, "error.html", "Not found", "There is no such instrument any more.")
		return view, false
	}
	view = checkView{Check: check, Destinations: c.checkedDestinations(), At: time.Now(), By: of.Person}
	return view, true
}

func (c *Console) checkPage(w http.ResponseWriter, r *http.Request) {
	if view, ok := c.look(w, r); ok {
		c.render(w, r, http.StatusOK, "check.html", "Check of "+view.Instrument, view)
	}
}

func (c *Console) beginCheck(w http.ResponseWriter, r *http.Request) {
	if of, ok := c.checkOf(w, r); ok {
		c.options.Commission.Begin(r.Context(), of)
		c.backToCheck(w, r, of)
	}
}

func (c *Console) sentInCheck(w http.ResponseWriter, r *http.Request) {
	if of, ok := c.checkOf(w, r); ok {
		c.options.Commission.Sent(of)
		c.backToCheck(w, r, of)
	}
}

func (c *Console) backToCheck(w http.ResponseWriter, r *http.Request, of CheckOf) {
	to := url.URL{Path: "/commission/" + of.Instrument, RawQuery: url.Values{"destination": {of.Destination}}.Encode()}
	http.Redirect(w, r, to.String(), http.StatusSeeOther)
}

// checkReport is the page to print. It is shown also where the audit cannot tell of
// it, and says so: a card that fails is what such a report may have to prove.
func (c *Console) checkReport(w http.ResponseWriter, r *http.Request) {
	view, ok := c.look(w, r)
	if !ok {
		return
	}
	if c.options.Commission.Box != nil {
		view.Box = c.options.Commission.Box()
	}
	if err := c.noteOnce(r, spool.ReportMade, 0, view.Instrument); err != nil {
		view.Unaudited = err.Error()
	}
	c.render(w, r, http.StatusOK, "checkreport.html", "Commissioning report: "+view.Instrument, view)
}
