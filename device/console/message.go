package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/device/console/picture"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Message is what the page of one message needs beyond the store.
type Message struct {
	// Text gives the bytes of a message as kept in the character set that it was
	// sent in. Nil: as UTF-8 or ISO 8859-1.
	Text func(envelope.Envelope) string
	// Records takes a message apart, as far as it can be; more says that there would
	// be further ones. Nil: the page shows none.
	Records func(envelope.Envelope) (records []Record, more bool, err error)
}

// Record is one record or segment of a message.
type Record struct {
	Name   string // H, OBX
	Fields []RecordField
}

// RecordField is one field that is not empty, or a part of one.
type RecordField struct {
	Place string // R.4, OBX-5; of a part R.3.4, and with repeats R.3[2].4
	Name  string // what the profile calls it, or ""
	Text  string // as sent, or its beginning
	Part  bool
}

func (c *Console) messageRoutes() []route {
	return []route{
		{"GET /messages/{id}", Viewer, c.message},
		{"GET /messages/{id}/image/{n}", Viewer, c.image},
		{"GET /messages/{id}/raw", Admin, c.raw},
		{"GET /messages/{id}/envelope", Admin, c.envelope},
		{"POST /messages/{id}/retry", Admin, c.retry},
		{"POST /messages/{id}/drop", Admin, c.drop},
	}
}

// What one page shows at the most; the rest is there to download.
const (
	resultsShown = 500
	partsShown   = 100
	historyShown = 200
)

// message shows all of one message that the person may see.
func (c *Console) message(w http.ResponseWriter, r *http.Request) {
	store := c.open(w, r)
	if store == nil {
		return
	}
	message, err := api.Show(r.Context(), store, r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	view := messageView{
		Message: message, Results: shownResults(message.Kept),
		MoreResults: max(0, len(message.Kept.Results)-resultsShown), OlderRows: max(0, len(message.Audit)-historyShown),
		CanRetry: among(message.Deliveries, spool.Parked, spool.Unconfirmed, spool.Dropped),
		CanDrop:  among(message.Deliveries, spool.Pending, spool.Held, spool.Parked, spool.Unconfirmed),
	}
	view.Audit = message.Audit[view.OlderRows:]
	for n, p := range picture.Of(message.Kept) {
		view.Plots = append(view.Plots, plotView{p.Title(), p.Text(), p.SVG("plot-" + strconv.Itoa(n+1))})
	}
	if message.Damaged == "" {
		if view.Parts, err = store.List(r.Context(), spool.Filter{MessageID: message.MessageID, Limit: partsShown}); err != nil {
			c.fail(w, r, err)
			return
		}
		slices.Reverse(view.Parts)
		if c.who(r).Role >= Admin {
			view.Sent, view.SentFailure = c.sent(r, message)
			view.Staging = c.staging()
		}
	}
	c.render(w, r, http.StatusOK, "message.html", view.title(), view)
}

type messageView struct {
	api.Message
	Results           []resultView
	MoreResults       int
	Plots             []plotView
	Parts             []spool.Summary // the envelopes of the same message, this one too
	OlderRows         int
	CanRetry, CanDrop bool
	Staging           []string  // where it can be replayed to
	Sent              *sentView // nil for who may not see it
	SentFailure       error     // why it is not there for who may
}

func (v messageView) title() string {
	if v.Damaged != "" {
		return "Damaged message"
	}
	return "Message " + strconv.FormatUint(v.Sequence, 10)
}

// among reports whether a delivery is in one of the states.
func among(deliveries []spool.Delivery, states ...spool.State) bool {
	return slices.ContainsFunc(deliveries, func(d spool.Delivery) bool { return slices.Contains(states, d.State) })
}

func (c *Console) retry(w http.ResponseWriter, r *http.Request) {
	if store := c.open(w, r); store != nil {
		c.decided(w, r, store.Retry(r.Context(), r.PathValue("id"), c.who(r).Name))
	}
}

func (c *Console) drop(w http.ResponseWriter, r *http.Request) {
	if store := c.open(w, r); store != nil {
		c.decided(w, r, store.Drop(r.Context(), r.PathValue("id"), c.who(r).Name, r.PostFormValue("reason")))
	}
}

// decided shows the message again after something was done to it.
func (c *Console) decided(w http.ResponseWriter, r *http.Request, err error) {
	if err != nil {
		c.fail(w, r, err)
		return
	}
	http.Redirect(w, r, "/messages/"+url.PathEscape(r.PathValue("id")), http.StatusSeeOther)
}
