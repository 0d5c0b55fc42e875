package console

import "net/http"

func (c *Console) staticRoutes() []route {
	return []route{{"GET /static/{name}", Anybody, static}}
}

// static serves styles, scripts and the icon.
func static(w http.ResponseWriter, r *http.Request) {
	http.ServeFileFS(w, r, files, "static/"+r.PathValue("name"))
}
