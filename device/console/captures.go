package console

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Captures is what the page Captures shows and does: the files of the destinations
// that write files.
type Captures struct {
	// Destinations are the names of these destinations. Nil: there are none.
	Destinations func() []string
	// List lists the files of one of them.
	List func(ctx context.Context, destination string, q CaptureQuery) (CaptureList, error)
	// Open opens a file of one of them, which the caller closes. Its error wraps
	// spool.ErrNotFound for any name but those that List gives.
	Open func(destination, name string) (CaptureFile, io.ReadCloser, error)
}

// CaptureQuery says which files are listed: those whose names come before Before,
// newest first, Limit at the most; of one instrument where it is named.
type CaptureQuery struct {
	Before, Instrument string
	Limit              int
}

// CaptureList are some files of a directory.
type CaptureList struct {
	Files []CaptureFile `json:"files"`
	Total int           `json:"total"` // how many such there are, on all pages
	More  bool          `json:"more"`  // there are older ones
}

// CaptureFile is one file: a message, or what went over a line.
type CaptureFile struct {
	Name       string    `json:"name"`
	Instrument string    `json:"instrument"` // as far as the name tells
	At         time.Time `json:"at"`         // when the message was received, or the trace began
	Size       int64     `json:"size"`
	Partial    bool      `json:"partial,omitempty"` // the instrument still has it
	Trace      bool      `json:"trace,omitempty"`   // both directions of a line, with times
}

// CanReplay reports whether the file is a message that was acknowledged.
func (f CaptureFile) CanReplay() bool { return !f.Partial && !f.Trace }

func (c *Console) capturesRoutes() []route {
	return []route{
		{"GET /captures", Admin, c.captures},
		{"GET /captures/{destination}/{name}", Admin, c.capture},
		{"GET /captures/{destination}/{name}/replay", Admin, c.askReplayCapture},
		{"POST /captures/{destination}/{name}/replay", Admin, c.replayCapture},
		{"GET /messages/{id}/replay", Admin, c.askReplayMessage},
		{"POST /messages/{id}/replay", Admin, c.replayMessage},
		{"GET /api/v1/captures", Admin, c.captureList},
		{"GET /api/v1/captures/{destination}/{name}", Admin, c.capture},
		{"POST /api/v1/captures/{destination}/{name}/replay", Admin, c.replayCaptureByProgram},
		{"POST /api/v1/messages/{id}/replay", Admin, c.replayMessageByProgram},
	}
}

type capturesView struct {
	CaptureList
	Destinations         []string
	Destination          string
	Instrument           string
	Instruments, Staging []string
	Older, Newest        string // addresses of other pages, or ""
}

// captures lists the files of one destination, the newest first.
func (c *Console) captures(w http.ResponseWriter, r *http.Request) {
	view, q := c.capturesOf(r), r.URL.Query()
	if view.Destination == "" {
		c.render(w, r, http.StatusOK, "captures.html", "Captures", view)
		return
	}
	var err error
	view.CaptureList, err = c.options.Captures.List(r.Context(), view.Destination, CaptureQuery{q.Get("before"), view.Instrument, pageSize})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	address := func(before string) string {
		query := url.Values{"destination": {view.Destination}}
		for key, value := range map[string]string{"instrument": view.Instrument, "before": before} {
			if value != "" {
				query.Set(key, value)
			}
		}
		return "/captures?" + query.Encode()
	}
	if view.More {
		view.Older = address(view.Files[len(view.Files)-1].Name)
	}
	if q.Get("before") != "" {
		view.Newest = address("")
	}
	c.render(w, r, http.StatusOK, "captures.html", "Captures", view)
}

// capturesOf is the page without its files. The destination is the one that was
// asked for, or else the first.
func (c *Console) capturesOf(r *http.Request) capturesView {
	view := capturesView{Instrument: r.URL.Query().Get("instrument"), Instruments: c.instrumentNames(), Staging: c.staging()}
	if c.options.Captures.Destinations != nil {
		view.Destinations = c.options.Captures.Destinations()
	}
	if len(view.Destinations) > 0 {
		view.Destination = view.Destinations[0]
	}
	if asked := r.URL.Query().Get("destination"); asked != "" {
		view.Destination = asked
	}
	return view
}

// captureList is the list for programs.
func (c *Console) captureList(w http.ResponseWriter, r *http.Request) {
	view, q := c.capturesOf(r), r.URL.Query()
	limit := pageSize
	if text := q.Get("limit"); text != "" {
		var err error
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > capturesListed {
			api.Answer(w, nil, api.BadRequest{Err: errCaptureLimit})
			return
		}
	}
	if view.Destination == "" {
		api.Answer(w, CaptureList{Files: []CaptureFile{}}, nil)
		return
	}
	list, err := c.options.Captures.List(r.Context(), view.Destination, CaptureQuery{q.Get("before"), view.Instrument, limit})
	if list.Files == nil {
		list.Files = []CaptureFile{} // an array also where there is nothing
	}
	api.Answer(w, list, err)
}

// capturesListed is how many files are listed at most.
const capturesListed = 1000

// capture is one file, as it is.
func (c *Console) capture(w http.ResponseWriter, r *http.Request) {
	destination, name := r.PathValue("destination"), r.PathValue("name")
	file, content, err := c.openCapture(destination, name)
	if err == nil {
		defer content.Close()
		err = c.noteOnce(r, spool.Downloaded, 0, "capture "+file.Name)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="`+file.Name+`"`)
	w.Header().Set("Content-Length", strconv.FormatInt(file.Size, 10))
	_, _ = io.CopyN(w, content, file.Size) // a failed write means that the reader left
}

func (c *Console) openCapture(destination, name string) (CaptureFile, io.ReadCloser, error) {
	if c.options.Captures.Open == nil {
		return CaptureFile{}, nil, spool.ErrNotFound
	}
	return c.options.Captures.Open(destination, name)
}

// staging are the destinations that a person can replay to.
func (c *Console) staging() []string {
	if c.options.Replay.Destinations == nil {
		return nil
	}
	return slices.Clone(c.options.Replay.Destinations())
}
