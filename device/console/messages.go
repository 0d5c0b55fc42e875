package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// pageSize is how many messages one page lists.
const pageSize = 50

// rawShown is how much of a message's raw text a page shows; all of it is there
// to download.
const rawShown = 64 << 10

func (c *Console) overview(w http.ResponseWriter, r *http.Request) {
	status, err := c.options.Store.Status(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	newest, err := c.options.Store.List(r.Context(), spool.Filter{Limit: 5})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	view := overviewView{Status: status, Newest: newest}
	if c.options.Instruments != nil {
		view.Instruments = c.options.Instruments()
	}
	c.options.Itself.describe(&view)
	c.render(w, http.StatusOK, "overview.html", "Overview", view)
}

type overviewView struct {
	Notes       []string // on the box itself
	ClockUnset  bool
	CanSetClock bool
	Instruments []Instrument
	Status      spool.Status
	Newest      []spool.Summary
}

func (c *Console) messages(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	filter, err := parseFilter(query)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	filter.Limit = pageSize + 1 // one more tells whether there is a next page
	found, err := c.options.Store.List(r.Context(), filter)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	view := messagesView{Query: query, Messages: found, States: []spool.State{
		spool.Pending, spool.Held, spool.Delivered, spool.Confirmed, spool.Unconfirmed, spool.Parked, spool.Dropped,
	}}
	if len(found) > pageSize {
		view.Messages = found[:pageSize]
		query.Set("before", strconv.FormatUint(found[pageSize-1].Sequence, 10))
		view.Older = "/messages?" + query.Encode()
	}
	c.render(w, http.StatusOK, "messages.html", "Messages", view)
}

type messagesView struct {
	Query    url.Values
	States   []spool.State
	Messages []spool.Summary
	Older    string // address of the next page, or ""
}

func (c *Console) message(w http.ResponseWriter, r *http.Request) {
	message, err := show(r.Context(), c.options.Store, r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	var raw []byte
	if message.Damaged == "" {
		if raw, err = c.options.Store.Raw(r.Context(), message.ID); err != nil {
			c.fail(w, r, err)
			return
		}
	}
	in := func(states ...spool.State) bool {
		return slices.ContainsFunc(message.Deliveries, func(d spool.Delivery) bool {
			return slices.Contains(states, d.State)
		})
	}
	c.render(w, http.StatusOK, "message.html", "Message "+strconv.FormatUint(message.Sequence, 10), messageView{
		Message: message, Results: message.results,
		Raw: raw[:min(len(raw), rawShown)], RawBytes: len(raw), RawCut: len(raw) > rawShown,
		CanRetry: in(spool.Parked, spool.Unconfirmed, spool.Dropped),
		CanDrop:  in(spool.Pending, spool.Held, spool.Parked, spool.Unconfirmed),
	})
}

type messageView struct {
	Message
	Results           []envelope.Result
	Raw               []byte
	RawBytes          int
	RawCut            bool
	CanRetry, CanDrop bool
}

func (c *Console) raw(w http.ResponseWriter, r *http.Request) {
	raw, err := c.options.Store.Raw(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Disposition", "attachment; filename="+url.PathEscape(r.PathValue("id"))+".bin")
	writeRaw(w, raw)
}

func (c *Console) retry(w http.ResponseWriter, r *http.Request) {
	c.decided(w, r, c.options.Store.Retry(r.Context(), r.PathValue("id"), operator(r)))
}

func (c *Console) drop(w http.ResponseWriter, r *http.Request) {
	c.decided(w, r, c.options.Store.Drop(r.Context(), r.PathValue("id"), operator(r), r.PostFormValue("reason")))
}

// decided shows the message again after something was done to it.
func (c *Console) decided(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/messages/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}

// fail tells the person what went wrong. What is not of the person's making is
// logged too, since nobody may be looking at the page.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, fault := describe(err)
	if status >= http.StatusInternalServerError && r.Context().Err() == nil {
		c.options.Log.Error("console", "path", r.Pattern, "error", err)
	}
	c.render(w, status, "error.html", http.StatusText(status), fault.Error)
}

// clock is how pages show a time: in the time zone of the box, to the second.
func clock(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Local().Format("2006-01-02 15:04:05 MST")
}
