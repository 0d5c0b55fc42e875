// Package console is what a person sees of the gateway: a web console.
//
// It lives as long as the process, also while there is no store: that is when a
// person needs it most. What a page shows beyond the store comes through small
// structs of functions, one a page, which cmd fills; each is in the page's file.
//
// Where the configuration has users every page but the login asks for one of them,
// and says what the role allows ([Role]). Users and roles are read anew at each
// request.
//
// Without users the console has no login and is for loopback only. It is still
// reached by any web page that a browser on this machine has open. Three things
// keep such pages out: a foreign Host header is refused (else a name that is
// rebound to 127.0.0.1 could read patients' results), every request that changes
// something needs a token that only our own pages hold, and the content security
// policy allows neither inline scripts nor other origins.
package console

import (
	"html/template"
	"log/slog"
	"net/http"
	"slices"

	"github.com/assaygate/assaygate/device/console/login"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Options are what the console is made of. Functions are called for each view, by
// several goroutines; one that is nil is a part that this gateway does not have.
type Options struct {
	// Store gives the open store, or why there is none now. Required.
	Store func() (*spool.Spool, error)
	// Box is the name of what the person is looking at, Version that of the
	// program. Box is required.
	Box     func() string
	Version string
	// Hosts are further names, without port, that the console may be asked for
	// by. Loopback names and the address that a connection came to are known.
	Hosts func() []string
	// Log gets what fails here, never content. Required.
	Log *slog.Logger

	// Login is who may come in.
	Login Login
	// What the pages show and do, each in the file of its page.
	Overview   Overview
	Live       Live
	Message    Message
	Captures   Captures
	Replay     Replay
	Setup      Setup
	Commission Commission
	Update     Update
	Support    Support
}

// Console is the web console, an [http.Handler].
type Console struct {
	options Options
	token   string // of this process; a page from before a restart has to be loaded again
	pages   *template.Template
	handler http.Handler
	noted   noted
	desk    *login.Desk
	cross   *http.CrossOriginProtection
	failed  refusedNotes
	streams streams
	search  searches
	drafts  drafts
	turns   turns
}

// New returns the console.
func New(o Options) *Console {
	c := &Console{options: o, token: newToken(), pages: parsePages(), desk: login.NewDesk(), cross: http.NewCrossOriginProtection(), turns: newTurns()}
	mux := http.NewServeMux()
	for _, one := range c.routes() {
		mux.Handle(one.pattern, c.allowed(one))
	}
	c.handler = c.guard(mux)
	return c
}

// ServeHTTP implements [http.Handler].
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// route is one page or act of the console, and who may see or do it.
type route struct {
	pattern string // as of http.ServeMux
	least   Role
	handle  http.HandlerFunc
}

// routes are all of them.
func (c *Console) routes() []route {
	return slices.Concat(
		c.staticRoutes(), c.loginRoutes(), c.sessionRoutes(), c.overviewRoutes(), c.liveRoutes(), c.messagesRoutes(), c.messageRoutes(), c.capturesRoutes(),
		c.setupRoutes(), c.commissionRoutes(), c.updateRoutes(), c.supportRoutes(), c.trailRoutes(), c.apiRoutes(),
	)
}

// open returns the open store. Where there is none it says why, and returns nil.
func (c *Console) open(w http.ResponseWriter, r *http.Request) *spool.Spool {
	store, err := c.options.Store()
	if err != nil {
		c.render(w, r, http.StatusServiceUnavailable, "error.html", "No store", err.Error())
		return nil
	}
	return store
}
