package console

import "net/http"

// Live is what the page Live shows and does.
type Live struct{}

func (c *Console) liveRoutes() []route {
	return []route{{"GET /live", Admin, c.livePage}}
}

func (c *Console) livePage(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, http.StatusOK, "live.html", "Live", nil)
}
