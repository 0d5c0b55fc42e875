package senaite

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"time"

	"github.com/assaygate/assaygate/uplink"
)

// Stage is where a question to SENAITE came to its end.
type Stage string

// The stages, in their order.
const (
	StageRequest    Stage = "request"    // it cannot be made
	StageName       Stage = "name"       // the host's name is not found
	StageConnection Stage = "connection" // nobody takes the connection
	StageProxy      Stage = "proxy"      // the proxy does not let it through
	StageTLS        Stage = "tls"        // the other side has no TLS, or not the right one
	StageAnswer     Stage = "answer"     // the answer is none of a SENAITE, or there is none
	StageLogin      Stage = "login"      // SENAITE refuses the credentials
)

// StageError says at which stage a question ended. Where there is a proxy, name
// and connection are those of the proxy.
type StageError struct {
	Stage Stage
	Err   error // may be shown
}

// Error says why.
func (e *StageError) Error() string { return e.Err.Error() }

// Unwrap returns why.
func (e *StageError) Unwrap() error { return e.Err }

// examineLimit is how long an examination may take: somebody waits for it.
const examineLimit = 10 * time.Second

// Proxy is the host of the proxy, "" for none.
func (c *Client) Proxy() string {
	proxy, err := parseURL(c.settings.Proxy)
	if err != nil {
		return ""
	}
	return proxy.Host
}

// Host is the host that SENAITE is on, with its port where the URL has one.
func (c *Client) Host() string {
	u, err := url.Parse(c.base)
	if err != nil {
		return ""
	}
	return u.Host
}

// Examine asks SENAITE for its version and for the user that it takes the box for,
// over a connection of its own, which it closes. It sends no message, and deliveries
// do not notice it. Its error is a StageError.
func (c *Client) Examine(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, examineLimit)
	defer cancel()
	transport := c.http.Transport.(*http.Transport).Clone()
	defer transport.CloseIdleConnections()
	alone := &Client{
		name: c.name, settings: c.settings, base: c.base, username: c.username, password: c.password, Clock: c.Clock,
		http: &http.Client{Transport: transport, CheckRedirect: c.http.CheckRedirect},
	}
	var way way
	ctx = httptrace.WithClientTrace(ctx, way.trace())
	for _, ask := range []func(context.Context) error{alone.version, alone.currentUser} {
		if err := ask(ctx); err != nil {
			return &StageError{way.ended(err, c.settings.Proxy != ""), err}
		}
	}
	return nil
}

// way is how far a question has come.
type way struct {
	mu                                   sync.Mutex // the hooks come from other goroutines
	looked, found                        bool       // for the host's name
	dialled, connected, secured, arrived bool
}

// trace are the hooks that tell it.
func (w *way) trace() *httptrace.ClientTrace {
	note := func(what *bool, is bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		*what = *what || is
	}
	return &httptrace.ClientTrace{
		DNSStart:          func(httptrace.DNSStartInfo) { note(&w.looked, true) },
		DNSDone:           func(info httptrace.DNSDoneInfo) { note(&w.found, info.Err == nil) },
		ConnectStart:      func(string, string) { note(&w.dialled, true) },
		ConnectDone:       func(_, _ string, err error) { note(&w.connected, err == nil) },
		TLSHandshakeStart: func() { note(&w.secured, true) },
		GotConn:           func(httptrace.GotConnInfo) { note(&w.arrived, true) },
	}
}

// ended is the stage at which the question ended that gave the error.
func (w *way) ended(err error, proxied bool) Stage {
	w.mu.Lock()
	defer w.mu.Unlock()
	var f *uplink.Failure
	held := errors.As(err, &f) && f.Kind == uplink.Hold
	switch {
	case errors.Is(err, errProxy):
		return StageProxy
	case held:
		return StageLogin
	case w.arrived:
		return StageAnswer
	case w.secured:
		return StageTLS
	case w.connected && proxied:
		return StageProxy
	case w.dialled:
		return StageConnection
	case w.looked && !w.found:
		return StageName
	}
	return StageRequest
}
