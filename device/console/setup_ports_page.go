package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/assaygate/assaygate/device/console/api"
)

type portsView struct {
	Ports []SetupPort
}

// portsPage lists the serial ports.
func (c *Console) portsPage(w http.ResponseWriter, r *http.Request) {
	if c.options.Setup.Ports == nil {
		http.NotFound(w, r)
		return
	}
	ports, err := c.options.Setup.Ports(r.Context())
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.render(w, r, http.StatusOK, "setup_ports.html", "Serial ports", portsView{ports})
}

// probePage tells how listening to a port goes: to a script as JSON.
func (c *Console) probePage(w http.ResponseWriter, r *http.Request) {
	if c.options.Setup.Probing == nil {
		http.NotFound(w, r)
		return
	}
	state, is := c.options.Setup.Probing(r.URL.Query().Get("port"))
	if !is {
		http.Redirect(w, r, "/setup/ports", http.StatusSeeOther)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		api.Answer(w, state, nil)
		return
	}
	c.render(w, r, http.StatusOK, "setup_probe.html", "Search for a line's settings", state)
}

// probeBegin begins to listen to a port.
func (c *Console) probeBegin(w http.ResponseWriter, r *http.Request) {
	if c.options.Setup.Probe == nil {
		http.NotFound(w, r)
		return
	}
	port := r.PostFormValue("port")
	if err := c.options.Setup.Probe(port, c.who(r).Name); err != nil {
		c.fail(w, r, api.BadRequest{Err: err})
		return
	}
	http.Redirect(w, r, "/setup/ports/probe?port="+url.QueryEscape(port), http.StatusSeeOther)
}

// probeStop ends listening to a port.
func (c *Console) probeStop(w http.ResponseWriter, r *http.Request) {
	if c.options.Setup.StopProbe == nil {
		http.NotFound(w, r)
		return
	}
	port := r.PostFormValue("port")
	c.options.Setup.StopProbe(port)
	http.Redirect(w, r, "/setup/ports/probe?port="+url.QueryEscape(port), http.StatusSeeOther)
}
