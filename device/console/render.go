package console

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/console/api"
)

//go:embed pages static
var files embed.FS

// parsePages panics where a page of ours does not parse: no input decides that.
func parsePages() *template.Template {
	return template.Must(template.New("").Funcs(template.FuncMap{
		"clock":   clock,
		"age":     func(d time.Duration) string { return d.Round(time.Second).String() },
		"visible": visible,
		"plain":   plain,
	}).ParseFS(files, "pages/*.html"))
}

// page is what every template gets.
type page struct {
	Title, Box, Version string
	Token               string
	Person              Person
	Menu                []menuItem
	View                any

	login bool
}

// LoggedIn reports whether the person can log out.
func (p page) LoggedIn() bool { return p.login }

// IsAdmin is for pages that show more to admins.
func (p page) IsAdmin() bool { return p.Person.Role >= Admin }

// menuItem is one entry of the main menu.
type menuItem struct {
	Path, Title string
	least       Role
	Current     string // as of aria-current: "page" for itself, "true" for what is below it, "" else
}

func menu() []menuItem {
	return []menuItem{
		{Path: "/", Title: "Overview", least: Viewer},
		{Path: "/live", Title: "Live", least: Admin},
		{Path: "/messages", Title: "Messages", least: Viewer},
		{Path: "/captures", Title: "Captures", least: Admin},
		{Path: "/setup", Title: "Setup", least: Admin},
		{Path: "/commission", Title: "Commissioning", least: Viewer},
		{Path: "/update", Title: "Update", least: Viewer},
		{Path: "/support", Title: "Support", least: Viewer},
		{Path: "/audit", Title: "Audit", least: Viewer},
	}
}

// menuFor is the menu as the person gets it at a path.
func menuFor(p Person, path string) (list []menuItem) {
	for _, item := range menu() {
		if p.Role < item.least {
			continue
		}
		switch {
		case path == item.Path:
			item.Current = "page"
		case item.Path != "/" && strings.HasPrefix(path, item.Path+"/"):
			item.Current = "true"
		}
		list = append(list, item)
	}
	return list
}

// render writes a page whole or not at all.
func (c *Console) render(w http.ResponseWriter, r *http.Request, status int, name, title string, view any) {
	var body bytes.Buffer
	person := c.who(r)
	err := c.pages.ExecuteTemplate(&body, name, page{
		Title: title, Box: c.options.Box(), Version: c.options.Version, Token: c.tokenOf(r),
		Person: person, Menu: menuFor(person, r.URL.Path), View: view,
		login: person.Role > Anybody && len(c.accounts()) > 0,
	})
	if err != nil {
		c.options.Log.Error("console", "page", name, "error", err)
		http.Error(w, "This page cannot be shown; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // a failed write means that the reader left
}

// fail tells the person what went wrong. What is not of the person's making is
// logged too, since nobody may be looking at the page.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, err error) {
	status, fault := api.Describe(err)
	if status >= http.StatusInternalServerError && r.Context().Err() == nil {
		c.options.Log.Error("console", "path", r.Pattern, "error", err)
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		api.Answer(w, nil, err)
		return
	}
	c.render(w, r, status, "error.html", http.StatusText(status), fault.Error)
}

// clock is how pages show a time: in the time zone of the box, to the second.
func clock(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Local().Format("2006-01-02 15:04:05 MST")
}
