package console

import (
	"context"
	"net/http"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Live is what the pages of the lines show: what goes over each just now. What an
// allowlist keeps out has to be left out of it. Where its functions are nil this
// gateway shows no lines.
type Live struct {
	// Lines gives how all lines stand, in the order of the configuration.
	Lines func() []LiveLine
	// Line gives how that of an instrument stands, and whether there is one.
	Line func(instrument string) (LiveLine, bool)
	// Backlog gives the last entries of the line of an instrument, oldest first.
	Backlog func(instrument string) []LiveEntry
	// Watch begins to look on at the line of an instrument, behind the entry with
	// that mark, or with the backlog where there is none such. Its error is for the
	// person.
	Watch func(instrument, after string) (LiveWatch, error)
}

// LiveWatch is somebody who looks on at a line.
type LiveWatch struct {
	// Next waits for entries that were not returned yet; lost tells how many before
	// them came too fast. Its error is that of ctx, or that the line is gone.
	Next  func(ctx context.Context) (list []LiveEntry, lost uint64, err error)
	Close func()
}

// LiveLine is how a line stands. The counters are since it was first configured,
// at the most since the start.
type LiveLine struct {
	Instruments []string // that share it; the first names it
	Protocol    string   // "astm", "hl7", "vendor"
	Where       string   // "serial /dev/ttyUSB0", "listens on :4010"
	Up          bool     // serial port opened, dial connected, listener bound
	Since       time.Time
	Opened      uint64      // how often: connections, or openings of the port
	LastOpened  LiveMoment  // zero: never
	LastEnded   LiveMoment  // zero: never
	Open        []LiveOpen  // now
	Received    LiveTraffic // from the instrument
	Sent        LiveTraffic // to it
}

// Name is what the line is asked for by.
func (l LiveLine) Name() string { return l.Instruments[0] }

// LiveMoment is when something happened, and of whom.
type LiveMoment struct {
	At     time.Time
	Remote string // the peer's address, or the port's name
}

// LiveOpen is an opening of a line that has not ended.
type LiveOpen struct {
	Number uint64 // as entries have it
	Remote string
	Since  time.Time
	Veiled bool // text is left out
}

// LiveTraffic counts one direction.
type LiveTraffic struct {
	Bytes    uint64
	Last     time.Time     // of the last byte; zero: none
	Controls []LiveControl // those that steer the protocol of the line, in their order
}

// LiveControl counts a control character.
type LiveControl struct {
	Name  string // "ENQ"
	Count uint64
}

// LiveEntry is one thing that happened on a line.
type LiveEntry struct {
	Mark    string // what to go on behind it with
	At      time.Time
	Kind    string // "received", "sent", "timer", "note"
	Opening uint64
	Remote  string
	Pieces  []LivePiece // of what was received or sent
	Text    string      // of a timer or note
	Cut     int         // bytes left out at the end, because they are too many
}

// LivePiece is a part of what was moved.
type LivePiece struct {
	Bytes  []byte
	Hidden int    // how many bytes the allowlist leaves out in place of Bytes
	Digest string // of the text of the frame or block that ends here, or ""
}

func (c *Console) liveRoutes() []route {
	return []route{
		{"GET /live", Admin, c.livePage},
		{"GET /live/{instrument}", Admin, c.linePage},
		{"GET /live/{instrument}/events", Admin, c.lineEvents},
	}
}

func (c *Console) livePage(w http.ResponseWriter, r *http.Request) {
	var lines []LiveLine
	if c.options.Live.Lines != nil {
		lines = c.options.Live.Lines()
	}
	c.render(w, r, http.StatusOK, "live.html", "Live", lines)
}

// lineView is the page of one line.
type lineView struct {
	lineBatch
	Line  LiveLine
	Shown string // the instrument that was asked for
	After string // mark of the last entry
}

// linePage shows the backlog, which a script then goes on with.
func (c *Console) linePage(w http.ResponseWriter, r *http.Request) {
	line, ok := c.lookOn(w, r)
	if !ok {
		return
	}
	view := lineView{Line: line, Shown: r.PathValue("instrument")}
	view.Entries = c.options.Live.Backlog(view.Shown)
	if n := len(view.Entries); n > 0 {
		view.After = view.Entries[n-1].Mark
	}
	c.render(w, r, http.StatusOK, "line.html", "Live: "+view.Shown, view)
}

// lookOn notes that the person looks on at a line, and returns that. Where there is
// none, or it cannot be noted, it has answered.
func (c *Console) lookOn(w http.ResponseWriter, r *http.Request) (LiveLine, bool) {
	if c.options.Live.Line == nil {
		http.NotFound(w, r)
		return LiveLine{}, false
	}
	line, known := c.options.Live.Line(r.PathValue("instrument"))
	if !known {
		c.render(w, r, http.StatusNotFound, "error.html", "No such line", "The configuration has no instrument of that name.")
		return LiveLine{}, false
	}
	err := c.noteOnce(r, spool.WatchedLive, 0, line.Name())
	if err == nil {
		return line, true
	}
	status, fault := api.Describe(err)
	switch {
	case r.Header.Get("Accept") == eventStream: // of a refused one a browser tells its script nothing
		w.Header().Set("Content-Type", eventStream)
		stream{http.NewResponseController(w), w}.send("", "over", unnoted(err))
	case status < http.StatusInternalServerError:
		c.render(w, r, status, "error.html", http.StatusText(status), fault.Error)
	default:
		c.render(w, r, http.StatusServiceUnavailable, "error.html", "Not shown", unnoted(err))
	}
	return LiveLine{}, false
}

// unnoted says why a line is not shown, and what helps meanwhile: it is a card that
// fails which brings people here.
func unnoted(err error) string {
	return "Who looks on sees patients' data, so the audit has to tell of it, and nothing can be written there now: " + err.Error() +
		". The page Commissioning says of each layer of a line how it stands, also now."
}

// Missing says what has not come over the line yet, in the order in which it should,
// or "".
func (l LiveLine) Missing() string {
	count := func(name string) uint64 {
		for _, control := range l.Received.Controls {
			if control.Name == name {
				return control.Count
			}
		}
		return 0
	}
	switch {
	case l.Opened == 0:
		return "never opened: nobody has connected, or the port is not there"
	case l.Received.Bytes == 0:
		return "no byte ever came"
	case l.Protocol == "hl7" && count("VT") == 0:
		return "bytes came, but no block begins (no VT)"
	case l.Protocol == "hl7" && count("FS") == 0:
		return "a block began, but none has ended (no FS)"
	case l.Protocol == "astm" && count("STX") == 0 && count("ENQ") == 0:
		return "bytes came, but no ENQ"
	case l.Protocol == "astm" && count("STX") == 0:
		return "ENQ came, but no frame"
	}
	return ""
}
