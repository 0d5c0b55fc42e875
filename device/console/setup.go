package console

import "net/http"

// Setup is what the page Setup shows and does.
type Setup struct{}

func (c *Console) setupRoutes() []route {
	return []route{{"GET /setup", Admin, c.setupPage}}
}

func (c *Console) setupPage(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, http.StatusOK, "setup.html", "Setup", nil)
}
