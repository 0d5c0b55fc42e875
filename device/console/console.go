// Package console is what a person sees of the gateway: a web console, and the
// HTTP API over the spool beneath it.
//
// The API ([API]) is one handler in three places: below /api of the console,
// on the unix socket beside the spool, and in process where no gateway runs.
// `assaygate spool` speaks to the last two through [Client], so that a command
// behaves alike whether the gateway runs or not. In these two places the API
// also moves the records as a whole ([Control]); the console, which has no login,
// does not offer that.
//
// The console has no login, so it is for loopback only ([Settings.NotActive]).
// It is still reached by any web page that a browser on this machine has open.
// Three things keep such pages out: a foreign Host header is refused (else a
// name that is rebound to 127.0.0.1 could read patients' results), every
// request that changes something needs a token that only our own pages hold,
// and the content security policy allows neither scripts nor other origins.
package console

import (
	"crypto/rand"
	"html/template"
	"log/slog"
	"net/http"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// Options are what the console is made of.
type Options struct {
	// Store holds the messages. Required.
	Store *spool.Spool
	// Instruments gives the present state of each configured instrument, in the
	// order of the configuration. It is called for each view of the overview,
	// by several goroutines. Nil shows none.
	Instruments func() []Instrument
	// Box and Version name what the person is looking at.
	Box, Version string
	// Itself is the box that the gateway runs on.
	Itself Box
	// Hosts are further names, without port, that the console may be asked for
	// by. Loopback names and the address that a connection came to are known.
	Hosts []string
	// Log gets what fails here, never content. Required.
	Log *slog.Logger
}

// Instrument is the state of one configured instrument, as the overview shows it.
type Instrument struct {
	Name        string
	Protocol    string    // "astm", "hl7", "vendor"
	Line        string    // "serial /dev/ttyUSB0", "listens on :4010"
	Up          bool      // serial port opened, dial connected, listener bound
	Problem     string    // why it is not up, or ""
	Connections int       // open now
	Messages    uint64    // whole messages since start
	LastMessage time.Time // zero where there was none since start
	Noisy       bool      // bytes or frames arrive damaged again and again
}

// Console is the web console, an [http.Handler].
type Console struct {
	options Options
	token   string // of this process; a page from before a restart has to be loaded again
	pages   *template.Template
	handler http.Handler
}

// New returns the console.
func New(o Options) *Console {
	c := &Console{options: o, token: rand.Text(), pages: parsePages()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.overview)
	mux.HandleFunc("GET /messages", c.messages)
	mux.HandleFunc("GET /messages/{id}", c.message)
	mux.HandleFunc("GET /messages/{id}/raw", c.raw)
	mux.HandleFunc("POST /messages/{id}/retry", c.retry)
	mux.HandleFunc("POST /messages/{id}/drop", c.drop)
	mux.HandleFunc("POST /clock", c.setClock)
	mux.HandleFunc("GET /static/{name}", static)
	mux.Handle("/api/", http.StripPrefix("/api", API(o.Store, operator)))
	c.handler = c.guard(mux)
	return c
}

// ServeHTTP implements [http.Handler].
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// operator is who the audit names for what is done in the console: there is no
// login that would know better.
func operator(*http.Request) string { return "console" }
