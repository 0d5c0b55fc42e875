package console

import (
	"cmp"
	"errors"
	"net/http"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Update is what the page on the firmware shows.
type Update struct {
	// Facts tell what runs, and how it may be replaced. Nil: none.
	Facts func() []Fact
	// Status is what is known of the box's updates, for programs, as JSON has it. It is
	// not called where they are unavailable. Nil: nothing is.
	Status func() any
	// Unavailable is why this gateway cannot be updated from here; "" where it can.
	Unavailable string
}

func (c *Console) updateRoutes() []route {
	return []route{
		{"GET /update", Viewer, c.update},
		{"GET /api/v1/update", Viewer, c.updateStatus},
	}
}

type updateView struct {
	Facts       []Fact
	Unavailable string
}

func (c *Console) update(w http.ResponseWriter, r *http.Request) {
	view := updateView{Unavailable: c.options.Update.Unavailable}
	if facts := c.options.Update.Facts; facts != nil {
		view.Facts = facts()
	}
	c.render(w, r, http.StatusOK, "update.html", "Update", view)
}

func (c *Console) updateStatus(w http.ResponseWriter, _ *http.Request) {
	u := c.options.Update
	if u.Unavailable != "" || u.Status == nil {
		api.Answer(w, nil, notHere{errors.New(cmp.Or(u.Unavailable, "this gateway knows nothing of updates"))})
		return
	}
	api.Answer(w, u.Status(), nil)
}

// notHere is a part of the API that this gateway does not have.
type notHere struct{ error }

// Is has programs told what they are of all that is not there.
func (notHere) Is(target error) bool { return target == spool.ErrNotFound }
