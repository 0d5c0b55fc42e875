package console

import "net/http"

// Captures is what the page Captures shows and does.
type Captures struct{}

func (c *Console) capturesRoutes() []route {
	return []route{{"GET /captures", Admin, c.capturesPage}}
}

func (c *Console) capturesPage(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, http.StatusOK, "captures.html", "Captures", nil)
}
