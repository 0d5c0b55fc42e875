package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// pageSize is how many messages one page lists.
const pageSize = 50

func (c *Console) messagesRoutes() []route {
	return []route{{"GET /messages", Viewer, c.messages}}
}

func (c *Console) messages(w http.ResponseWriter, r *http.Request) {
	store := c.open(w, r)
	if store == nil {
		return
	}
	query := r.URL.Query()
	filter, err := api.ParseFilter(query)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	filter.Limit = pageSize + 1 // one more tells whether there is a next page
	found, err := store.List(r.Context(), filter)
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
	c.render(w, r, http.StatusOK, "messages.html", "Messages", view)
}

type messagesView struct {
	Query    url.Values
	States   []spool.State
	Messages []spool.Summary
	Older    string // address of the next page, or ""
}
