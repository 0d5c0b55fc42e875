package console

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"

	"github.com/assaygate/assaygate/envelope/spool"
)

// Support is what helps somebody to help: how the gateway fares, and a bundle to
// send. Nothing in it is of a message.
type Support struct {
	// Facts tell which box this is and how it is reached, Health how its parts are.
	// Nil: none.
	Facts, Health func() []Fact
	// Log returns the newest lines of the gateway's log. Nil: none.
	Log func(context.Context) ([]byte, error)
	// Bundle writes the bundle; BundleName is what its file is called and whom it
	// can be read by, "" for anybody. Nil: there is none.
	Bundle     func(context.Context, io.Writer) error
	BundleName func() (name, reader string)
}

// logShown is how much of the log the page shows, in bytes.
const logShown = 32 << 10

func (c *Console) supportRoutes() []route {
	return []route{
		{"GET /support", Viewer, c.support},
		{"POST /support/bundle", Admin, c.bundle},
	}
}

type supportView struct {
	Facts, Health []Fact
	Log           string
	LogFailure    string
	HasBundle     bool
	Reader        string // who can read the bundle; "" for anybody
}

func (c *Console) support(w http.ResponseWriter, r *http.Request) {
	s := c.options.Support
	view := supportView{HasBundle: s.Bundle != nil}
	if s.Facts != nil {
		view.Facts = s.Facts()
	}
	if s.Health != nil {
		view.Health = s.Health()
	}
	if s.BundleName != nil {
		_, view.Reader = s.BundleName()
	}
	if s.Log != nil && c.who(r).Role >= Admin {
		text, err := s.Log(r.Context())
		if err != nil {
			view.LogFailure = err.Error()
		}
		view.Log = newestLines(text, logShown)
	}
	c.render(w, r, http.StatusOK, "support.html", "Support", view)
}

// newestLines are the last whole lines that fit.
func newestLines(text []byte, most int) string {
	if over := len(text) - most; over > 0 {
		_, text, _ = bytes.Cut(text[over:], []byte("\n"))
	}
	return visibleLog(text)
}

// bundle is made whole before it is sent: one that breaks off in the middle would
// look like one that is whole.
func (c *Console) bundle(w http.ResponseWriter, r *http.Request) {
	s := c.options.Support
	if s.Bundle == nil {
		http.NotFound(w, r)
		return
	}
	// Where there is no store it cannot be noted; then the bundle is needed most,
	// and it holds nothing of a message.
	if _, err := c.options.Store(); err == nil {
		if err := c.note(r, spool.SupportMade, 0, ""); err != nil {
			c.options.Log.Warn("who made a support bundle cannot be noted", "who", c.who(r).Name, "error", err)
		}
	}
	var whole bytes.Buffer
	if err := s.Bundle(r.Context(), &whole); err != nil {
		c.fail(w, r, err)
		return
	}
	name, _ := s.BundleName()
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Content-Disposition", "attachment; filename="+name)
	header.Set("Content-Length", strconv.Itoa(whole.Len()))
	_, _ = w.Write(whole.Bytes()) // a failed write means that the reader left
}
