// Package senaitetest provides a fake SENAITE on a real socket, for tests and
// trials, in the way of net/http/httptest.
//
// It answers as senaite.jsonapi and the push consumer of a stock SENAITE do:
// with the same status codes, the same texts and the same leniency. Credentials
// that are wrong make the caller anonymous, and anonymous may ask for the
// version. Its faults are switched at run time, see [Server.Set], [Server.Slow] and
// [Server.Poison].
//
// The consumer says success also for a message that it could not import. What
// becomes of results is seen in samples and analyses ([Server.AddSample]): an
// importer sets those that await them, or fails without a word
// ([Server.SetImport]). They are read back by search, whose own faults are
// [Server.SetReading] and what stands beside it.
package senaitetest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// StockConsumer is the push consumer that a stock SENAITE registers.
const StockConsumer = "senaite.core.lis2a.import"

// The credentials that a new Server takes.
const (
	Username = "assaygate"
	Password = "s3cret, with: ümlaut/@"
)

const api = "/senaite/@@API/senaite/v1/"

// Mode is how a Server answers every request.
type Mode string

// The modes.
const (
	Up           Mode = "up"           // as SENAITE does
	Down         Mode = "down"         // connections are refused
	Cut          Mode = "cut"          // connections are accepted and closed
	Hang         Mode = "hang"         // requests are read and never answered
	Unsuccessful Mode = "unsuccessful" // pushes get 200 with success: false
	Half         Mode = "half"         // pushes are taken, and the answer breaks off
	NotJSON      Mode = "not json"     // everything gets 200 and a page for people
	Login        Mode = "login"        // everything is redirected to a login page
)

// Status is the mode in which every request gets the given status code.
func Status(code int) Mode { return Mode(fmt.Sprint("status ", code)) }

// Push is a message that was taken.
type Push struct {
	Consumer string
	Message  string // the text as the consumer gets it
	At       time.Time
	Header   http.Header // of the request
	Imported bool        // whether a stock SENAITE would have made something of it
}

// Server is a fake SENAITE.
type Server struct {
	// URL is what the client's settings hold, without credentials.
	URL string

	address string
	secure  *tls.Config
	ca      []byte

	mu        sync.Mutex
	running   *running
	mode      Mode
	changed   chan struct{} // closed at the next change of the mode
	slow      time.Duration
	poison    func(message string) bool
	consumers map[string]bool
	username  string
	password  string
	pushes    []Push
	requests  map[string]int

	samples  []*sample
	uids     int
	importer Import
	mapping  map[string]string // test of an instrument to keyword
	appear   time.Duration
	orders   bool

	reading     Mode // of search and objects, while the mode is Up
	slowReading time.Duration
	blind       bool
	mostOnPage  int
}

// running is the server while it is not down.
type running struct {
	server *http.Server
	done   chan struct{}
}

// New starts a Server on a free port of 127.0.0.1. It panics where there is
// none. The caller must call Close.
func New() *Server {
	s, err := NewAt("127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	return s
}

// NewAt starts a Server on the given address.
func NewAt(address string) (*Server, error) { return start(address, nil, nil) }

// NewTLS is New with https and a certificate of its own, which [Server.CA]
// gives.
func NewTLS() *Server {
	config, ca, err := certificate()
	if err != nil {
		panic(err)
	}
	s, err := start("127.0.0.1:0", config, ca)
	if err != nil {
		panic(err)
	}
	return s
}

func start(address string, secure *tls.Config, ca []byte) (*Server, error) {
	s := &Server{
		address: address, secure: secure, ca: ca,
		mode: Up, changed: make(chan struct{}),
		consumers: map[string]bool{StockConsumer: true},
		username:  Username, password: Password,
		requests: make(map[string]int),
		importer: ImportAll, mapping: make(map[string]string),
		reading: Up,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.listen(); err != nil {
		return nil, err
	}
	scheme := "http"
	if secure != nil {
		scheme = "https"
	}
	s.URL = scheme + "://" + s.address + "/senaite"
	return s, nil
}

// listen starts to serve. The caller holds mu.
func (s *Server) listen() error {
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		return fmt.Errorf("starting a fake SENAITE: %w", err)
	}
	s.address = listener.Addr().String() // the port stays when it comes back
	if s.secure != nil {
		listener = tls.NewListener(listener, s.secure)
	}
	r := &running{&http.Server{
		Handler: s, ReadHeaderTimeout: time.Minute,
		ErrorLog: log.New(io.Discard, "", 0), // refused certificates are part of tests
	}, make(chan struct{})}
	s.running = r
	go func() {
		defer close(r.done)
		if err := r.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	return nil
}

// Close ends the server and all connections.
func (s *Server) Close() { _ = s.Set(Down) }

// Set changes the mode. Requests that hang are let go. The error is that of
// listening again after Down.
func (s *Server) Set(mode Mode) error {
	s.mu.Lock()
	s.mode = mode
	close(s.changed)
	s.changed = make(chan struct{})
	r := s.running
	if mode != Down {
		defer s.mu.Unlock()
		if r == nil {
			return s.listen()
		}
		return nil
	}
	s.running = nil
	s.mu.Unlock() // handlers may be waiting for it
	if r == nil {
		return nil
	}
	err := r.server.Close()
	<-r.done
	return err
}

// Slow makes every push take at least d.
func (s *Server) Slow(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slow = d
}

// SetReading changes the mode for reading back alone: Up, Cut, Hang, Half,
// NotJSON, Login or a Status. Requests that hang are let go.
func (s *Server) SetReading(mode Mode) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reading = mode
	close(s.changed)
	s.changed = make(chan struct{})
}

// SlowReading makes every answer about a sample take at least d.
func (s *Server) SlowReading(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slowReading = d
}

// Blind makes the account one without a role: SENAITE does not refuse it, and
// shows it nothing.
func (s *Server) Blind(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blind = is
}

// MostOnPage bounds a page of a search, whatever the client's limit; 0 does not.
func (s *Server) MostOnPage(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mostOnPage = n
}

// Poison makes the consumer fail, with status 500, for the messages that are;
// nil for none.
func (s *Server) Poison(is func(message string) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poison = is
}

// Register adds a push consumer of another maker beside the stock one: it takes
// every message, also those that the stock one fails at.
func (s *Server) Register(consumer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.consumers[consumer] = true
}

// SetCredentials changes the user name and password that are taken.
func (s *Server) SetCredentials(username, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.username, s.password = username, password
}

// Credentials returns the URL with the credentials that are taken.
func (s *Server) Credentials() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err := url.Parse(s.URL)
	if err != nil {
		panic(err)
	}
	u.User = url.UserPassword(s.username, s.password)
	return u.String()
}

// CA returns the certificate authority of NewTLS in PEM.
func (s *Server) CA() []byte { return s.ca }

// Pushes returns the messages that were taken, in order.
func (s *Server) Pushes() []Push {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Push(nil), s.pushes...)
}

// Requests returns how many requests there were for version, users/current, push
// or search, whatever they were answered; "" for all.
func (s *Server) Requests(endpoint string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if endpoint != "" {
		return s.requests[endpoint]
	}
	all := 0
	for _, n := range s.requests {
		all += n
	}
	return all
}

// Wait waits until n messages were taken, or ctx ends.
func (s *Server) Wait(ctx context.Context, n int) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		have := len(s.Pushes())
		if have >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d messages taken: %w", have, n, ctx.Err())
		case <-ticker.C:
		}
	}
}
