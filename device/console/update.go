package console

import "net/http"

// Update is what the page on the firmware shows.
type Update struct {
	// Facts tell what runs, and how it may be replaced. Nil: none.
	Facts func() []Fact
	// Unavailable is why this gateway cannot be updated from here; "" where it can.
	Unavailable string
}

func (c *Console) updateRoutes() []route {
	return []route{{"GET /update", Viewer, c.update}}
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
