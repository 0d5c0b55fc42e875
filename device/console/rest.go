package console

import (
	"net/http"

	"github.com/assaygate/assaygate/device/console/api"
)

// apiRoutes are the HTTP API over the store, for programs. Reading raw text and
// changing something is for admins, as on the pages.
func (c *Console) apiRoutes() []route {
	return []route{
		{"GET /api/", Viewer, c.api},
		{"GET /api/v1/messages/{id}", Admin, c.api}, // holds the envelope
		{"GET /api/v1/messages/{id}/raw", Admin, c.api},
		{"POST /api/", Admin, c.api},
	}
}

func (c *Console) api(w http.ResponseWriter, r *http.Request) {
	store, err := c.options.Store()
	if err != nil {
		api.Answer(w, nil, err)
		return
	}
	by := func(r *http.Request) string { return c.who(r).Name }
	http.StripPrefix("/api", api.API(store, by)).ServeHTTP(w, r)
}
