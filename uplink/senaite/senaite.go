// Package senaite delivers messages to the SENAITE LIMS through its JSON API.
//
// A message is one POST to @@API/senaite/v1/push with the fields consumer and
// messages; SENAITE has taken it when the answer is status 200 and JSON with a
// true `success`. What the other answers mean is not plain: 500 may be about
// the message, about the consumer's name, or about SENAITE itself. Package
// uplink finds out which; this package only sorts the answers into kinds.
//
// Credentials are checked with `version` and `users/current` before the first
// message and after they were refused, because a push with wrong ones is only
// answered as one of an anonymous user. No error holds credentials, the text of
// an answer, or anything of a message: SENAITE quotes messages in its errors.
//
// # Reading back
//
// SENAITE says success also where its importer failed, or has none. So
// [Client.Confirm] looks for the results of a message in the analyses of its
// sample. It makes GET requests only:
//
//	search?portal_type=AnalysisRequest&catalog=senaite_catalog_sample&getId=ID&id=ID
//	search?... &getClientSampleID=ID             where no sample has that id
//	search?portal_type=Analysis&catalog=senaite_catalog_analysis&getAncestorsUIDs=UID&complete=yes
//	search?... &getRequestID=ID                  where that finds none
//	UID?complete=yes                             where that finds none: what the sample lists
//
// getAncestorsUIDs finds the analyses of the sample and of its partitions. The
// catalog is named because senaite.jsonapi before 2.5 takes Plone's, which has
// none of these indexes. An index that a catalog lacks is ignored, and answered
// with everything: whether an object is one that was asked for is looked at
// again here. Pages follow the query of `next`.
//
// A result stands where the analysis of its keyword, title or short title holds
// its value: as text (case does not matter), as number (1,2 is 1.20; <0.5 is 0.5
// with the operand <), as date, or as the text of a choice. It may be one of the
// components of a coded value. Retracted, rejected and cancelled analyses do not
// count; their retests do. Where a test comes several times in a message, any of
// its values will do.
//
// A result without an analysis of its name stands where an analysis that no
// other result has claimed, or an interim field, holds its value. Else the
// laboratory did not order it, or SENAITE calculates it, which is noted and not
// missing. But where nothing of a message stands, all of it is missing.
package senaite

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/uplink"
)

const (
	connectLimit = 10 * time.Second
	// requestLimit is from the first byte sent to the last byte received.
	requestLimit = time.Minute
	idleLimit    = 90 * time.Second
)

// Client is one SENAITE. It is an [uplink.Destination] and safe for concurrent
// use.
type Client struct {
	name     string
	settings Settings
	base     string // URL without credentials, fragment and slash at the end
	username string
	password string
	http     *http.Client

	// Clock is the time at which SENAITE's certificate must be valid; nil means the
	// system's. It is set before the first request.
	Clock func() time.Time

	// bodyLimit bounds a request with several messages, in bytes.
	bodyLimit atomic.Int64

	mu      sync.Mutex
	checked bool // credentials and API were found well
	refused bool // credentials were refused when they were last used
}

// New returns the client of a destination. It reads the files that the settings
// name; s must be valid. No request is made before the first message.
func New(name string, s Settings) (*Client, error) {
	c := &Client{name: name, settings: s, base: s.Binding()}
	c.bodyLimit.Store(maxBatchBody)
	var err error
	if c.username, c.password, err = s.credentials(); err != nil {
		return nil, fmt.Errorf("destination %s: %w", name, err)
	}
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: connectLimit}).DialContext,
		TLSHandshakeTimeout:    connectLimit,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, Time: c.time},
		ForceAttemptHTTP2:      true,
		MaxIdleConnsPerHost:    max(1, s.InFlight),
		IdleConnTimeout:        idleLimit,
		MaxResponseHeaderBytes: 64 << 10,
		OnProxyConnectResponse: proxyAnswer,
	}
	if s.CA != "" {
		if transport.TLSClientConfig.RootCAs, err = authority(s.CA); err != nil {
			return nil, fmt.Errorf("destination %s: ca: %w", name, err)
		}
	}
	if s.Proxy != "" {
		proxy, err := parseURL(s.Proxy)
		if err != nil {
			return nil, fmt.Errorf("destination %s: proxy: %w", name, err)
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	c.http = &http.Client{
		Transport: transport,
		Timeout:   requestLimit,
		// A redirected POST becomes a GET, and the page behind it answers 200:
		// no redirect is followed, and credentials go to this host only.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c, nil
}

func (c *Client) time() time.Time {
	if c.Clock == nil {
		return time.Now()
	}
	return c.Clock()
}

// authority reads a file of PEM certificates. They stand instead of the
// system's.
func authority(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no PEM certificate", path)
	}
	return pool, nil
}

// Name implements uplink.Destination.
func (c *Client) Name() string { return c.name }

// Scope implements uplink.Scoped: the consumer that e is for.
func (c *Client) Scope(e envelope.Envelope) string { return c.settings.Consumer.of(e) }

// Deliver implements uplink.Destination.
func (c *Client) Deliver(ctx context.Context, e envelope.Envelope) error {
	_, err := c.DeliverAll(ctx, []envelope.Envelope{e})
	return err
}

// Probe implements uplink.Destination: SENAITE tells its version.
func (c *Client) Probe(ctx context.Context) error { return c.version(ctx) }

// check asks whether the API is there and takes the credentials, unless it is
// known. Deliveries that come meanwhile wait for the answer.
func (c *Client) check(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.checked {
		return nil
	}
	questions := []func(context.Context) error{c.version, c.currentUser}
	if c.refused {
		// One request is enough to learn that nothing has changed.
		slices.Reverse(questions)
	}
	for _, ask := range questions {
		if err := ask(ctx); err != nil {
			var f *uplink.Failure
			c.refused = errors.As(err, &f) && f.Kind == uplink.Hold
			return err
		}
	}
	c.checked, c.refused = true, false
	return nil
}

func (c *Client) version(ctx context.Context) error {
	answer, err := c.get(ctx, "version")
	if err != nil {
		return err
	}
	if !truthy(answer["version"]) {
		return transient(errors.New("version: the answer names no version, so there is no SENAITE JSON API; check the url"))
	}
	return nil
}

func (c *Client) currentUser(ctx context.Context) error {
	answer, err := c.get(ctx, "users/current")
	if err != nil {
		return err
	}
	items, _ := answer["items"].([]any)
	if len(items) == 0 {
		return transient(errors.New("users/current: the answer names no user"))
	}
	user, _ := items[0].(map[string]any)
	if user == nil || user["authenticated"] == false {
		return c.unauthorised("users/current: not authenticated")
	}
	return nil
}

// unauthorised holds the destination until its settings or SENAITE's users are
// put right.
func (c *Client) unauthorised(what string) *uplink.Failure {
	hint := "check username and password"
	if c.username == "" {
		hint = "no username is set"
	}
	return &uplink.Failure{Kind: uplink.Hold, Err: fmt.Errorf("SENAITE refuses the credentials (%s): %s", what, hint)}
}

func transient(err error) error { return &uplink.Failure{Kind: uplink.Transient, Err: err} }
