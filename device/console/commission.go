package console

import "net/http"

// Commission is what the page Commissioning shows and does.
type Commission struct{}

func (c *Console) commissionRoutes() []route {
	return []route{{"GET /commission", Viewer, c.commissionPage}}
}

func (c *Console) commissionPage(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, http.StatusOK, "commission.html", "Commissioning", nil)
}
