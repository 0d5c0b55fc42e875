package console

import "net/http"

func (c *Console) staticRoutes() []route {
	return []route{
		{"GET /static/{name}", Anybody, static},
		{"GET /", Viewer, c.nothing},
	}
}

// static serves styles, scripts and the icon.
func static(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, "static/"+r.PathValue("name"))
}

// nothing answers for addresses that lead nowhere.
func (c *Console) nothing(w http.ResponseWriter, r *http.Request) {
	c.render(w, r, http.StatusNotFound, "error.html", "Not found", "There is no such page.")
}
