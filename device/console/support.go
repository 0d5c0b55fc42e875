package console

import "net/http"

// Support is what the page Support shows and does.
type Support struct{}

func (c *Console) supportRoutes() []route {
	return []route{{"GET /support", Viewer, c.supportPage}}
}

func (c *Console) supportPage(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, http.StatusOK, "support.html", "Support", nil)
}
