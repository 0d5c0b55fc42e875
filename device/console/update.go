package console

import "net/http"

// Update is what the page Update shows and does.
type Update struct{}

func (c *Console) updateRoutes() []route {
	return []route{{"GET /update", Viewer, c.updatePage}}
}

func (c *Console) updatePage(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, http.StatusOK, "update.html", "Update", nil)
}
