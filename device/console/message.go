package console

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// rawShown is how much of a message's raw text a page shows; all of it is there
// to download.
const rawShown = 64 << 10

func (c *Console) messageRoutes() []route {
	return []route{
		{"GET /messages/{id}", Viewer, c.message},
		{"GET /messages/{id}/raw", Admin, c.raw},
		{"POST /messages/{id}/retry", Admin, c.retry},
		{"POST /messages/{id}/drop", Admin, c.drop},
	}
}

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
	var raw []byte
	if message.Damaged == "" {
		if raw, err = store.Raw(r.Context(), message.ID); err != nil {
			c.fail(w, r, err)
			return
		}
	}
	in := func(states ...spool.State) bool {
		return slices.ContainsFunc(message.Deliveries, func(d spool.Delivery) bool {
			return slices.Contains(states, d.State)
		})
	}
	c.render(w, r, http.StatusOK, "message.html", "Message "+strconv.FormatUint(message.Sequence, 10), messageView{
		Message: message,
		Raw:     raw[:min(len(raw), rawShown)], RawBytes: len(raw), RawCut: len(raw) > rawShown,
		CanRetry: in(spool.Parked, spool.Unconfirmed, spool.Dropped),
		CanDrop:  in(spool.Pending, spool.Held, spool.Parked, spool.Unconfirmed),
	})
}

type messageView struct {
	api.Message
	Raw               []byte
	RawBytes          int
	RawCut            bool
	CanRetry, CanDrop bool
}

func (c *Console) raw(w http.ResponseWriter, r *http.Request) {
	store := c.open(w, r)
	if store == nil {
		return
	}
	raw, err := store.Raw(r.Context(), r.PathValue("id"))
	if err != nil {
		c.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Disposition", "attachment; filename="+url.PathEscape(r.PathValue("id"))+".bin")
	api.WriteRaw(w, raw)
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
