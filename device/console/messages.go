package console

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// pageSize is how many messages one page lists.
const pageSize = 50

// patience is how long a search may take: some have no index to help, and the lines
// need the processor too.
const patience = 10 * time.Second

func (c *Console) messagesRoutes() []route {
	return []route{
		{"GET /messages", Viewer, c.messages},
		{"GET /messages/retry", Admin, c.askRetry},
		{"POST /messages/retry", Admin, c.retrySelected},
	}
}

// messages lists what a search selects, the newest first.
func (c *Console) messages(w http.ResponseWriter, r *http.Request) {
	store := c.open(w, r)
	if store == nil {
		return
	}
	s := searched(r.URL.Query())
	view := messagesView{
		search: s, Instruments: c.instrumentNames(), Destinations: store.Destinations(),
		States:  []spool.State{spool.Pending, spool.Held, spool.Delivered, spool.Confirmed, spool.Unconfirmed, spool.Parked, spool.Dropped},
		Intakes: []envelope.Intake{envelope.Accepted, envelope.Parked, envelope.Incomplete, envelope.Rejected},
		Kinds:   []envelope.Kind{envelope.KindResult, envelope.KindQC, envelope.KindCalibration, envelope.KindTest},
	}
	if len(s.Mistakes) > 0 {
		c.render(w, r, http.StatusBadRequest, "messages.html", "Messages", view)
		return
	}
	s.filter.Limit = pageSize + 1 // one more tells whether there is a next page
	ctx, stop := context.WithTimeout(r.Context(), patience)
	defer stop()
	var found []spool.Summary
	leave, err := c.search.enter(ctx, c.who(r).Name)
	if err == nil {
		found, err = store.List(ctx, s.filter)
		leave()
	}
	if ctx.Err() != nil && r.Context().Err() == nil {
		view.Mistakes = []string{"This search takes too long in a store with so many messages: name a sample, a state, or the time around it."}
		c.render(w, r, http.StatusServiceUnavailable, "messages.html", "Messages", view)
		return
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	view.Messages = found[:min(len(found), pageSize)]
	if len(found) > pageSize {
		view.Older = s.with("before", strconv.FormatUint(found[pageSize-1].Sequence, 10)).address("/messages")
	}
	if s.filter.Before != 0 {
		view.Newest = s.with("before", "").address("/messages")
	}
	if s.retryable() {
		view.Retry = s.with("before", "").address("/messages/retry")
	}
	c.render(w, r, http.StatusOK, "messages.html", "Messages", view)
}

type messagesView struct {
	search
	Instruments, Destinations []string
	States                    []spool.State
	Intakes                   []envelope.Intake
	Kinds                     []envelope.Kind
	Messages                  []spool.Summary
	Older, Newest             string // addresses of other pages, or ""
	Retry                     string // where all that the search selects is sent again, or ""
}

// instrumentNames are those that are configured.
func (c *Console) instrumentNames() (names []string) {
	if c.options.Overview.Instruments == nil {
		return nil
	}
	for _, i := range c.options.Overview.Instruments() {
		names = append(names, i.Name)
	}
	return names
}

// askRetry asks whether all that a search selects is to be sent again, and says how
// much that is.
func (c *Console) askRetry(w http.ResponseWriter, r *http.Request) {
	store := c.open(w, r)
	if store == nil {
		return
	}
	s := searched(r.URL.Query())
	if err := s.mistake(); err != nil {
		c.fail(w, r, err)
		return
	}
	n, err := store.Selected(r.Context(), s.selection())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "retry.html", "Retry", retryView{s, n, s.address("/messages")})
}

type retryView struct {
	search
	Deliveries int
	Back       string
}

// retrySelected sends again what a search selects, and shows the search again.
func (c *Console) retrySelected(w http.ResponseWriter, r *http.Request) {
	store := c.open(w, r)
	if store == nil {
		return
	}
	query, err := url.ParseQuery(r.PostFormValue("query"))
	if err != nil {
		c.fail(w, r, api.BadRequest{Err: err})
		return
	}
	s := searched(query)
	if err := s.mistake(); err != nil {
		c.fail(w, r, err)
		return
	}
	n, err := store.RetryAll(r.Context(), s.selection(), c.who(r).Name)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	// What is pending now is not what was searched for any more.
	http.Redirect(w, r, s.with("state", "").with("retried", strconv.Itoa(n)).address("/messages"), http.StatusSeeOther)
}
