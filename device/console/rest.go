package console

import (
	"context"
	"net/http"

	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// apiRoutes are the HTTP API over the store, for programs. Reading raw text and
// changing something is for admins, as on the pages.
func (c *Console) apiRoutes() []route {
	return []route{
		{"GET /api/", Viewer, c.api},
		{"GET /api/v1/messages", Viewer, c.apiSearch},
		{"GET /api/v1/messages/{id}", Admin, c.apiNoted(spool.ReadMessage, "")}, // holds the envelope
		{"GET /api/v1/messages/{id}/raw", Admin, c.apiNoted(spool.Downloaded, "raw")},
		{"POST /api/", Admin, c.api},
	}
}

func (c *Console) api(w http.ResponseWriter, r *http.Request) {
	store, err := c.options.Store()
	if err != nil {
		api.Answer(w, nil, err)
		return
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		ctx, stop := context.WithTimeout(r.Context(), patience)
		defer stop()
		r = r.WithContext(ctx)
	}
	by := func(r *http.Request) string { return c.who(r).Name }
	http.StripPrefix("/api", api.API(store, by)).ServeHTTP(w, r)
}

// apiSearch is api for a search.
func (c *Console) apiSearch(w http.ResponseWriter, r *http.Request) {
	ctx, stop := context.WithTimeout(r.Context(), patience)
	defer stop()
	leave, err := c.search.enter(ctx, c.who(r).Name)
	if err != nil {
		c.fail(w, r, err)
		return
	}
	defer leave()
	c.api(w, r)
}

// apiNoted is api for what was sent of one message, which is in the audit before it is
// given.
func (c *Console) apiNoted(what spool.Act, detail string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		store, err := c.options.Store()
		if err == nil {
			var sequence uint64
			if sequence, err = store.Sequence(r.Context(), r.PathValue("id")); err == nil {
				err = c.noteOnce(r, what, sequence, detail)
			}
		}
		if err != nil {
			c.fail(w, r, err)
			return
		}
		c.api(w, r)
	}
}
