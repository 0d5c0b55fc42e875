package senaite

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/assaygate/assaygate/uplink"
)

// maxAnswer bounds what is read of an answer; SENAITE's are below 1 KiB.
const maxAnswer = 1 << 20

const api = "/@@API/senaite/v1/"

// errTooLarge says that the request is longer than SENAITE, or a proxy before
// it, takes.
var errTooLarge = errors.New("the request is too long")

// errProxy says that the proxy wants other credentials.
var errProxy = errors.New("the proxy refuses its credentials")

// get asks one of the API's questions. Whatever goes wrong with it says nothing
// about a message.
func (c *Client) get(ctx context.Context, endpoint string) (map[string]any, error) {
	response, body, err := c.do(ctx, http.MethodGet, endpoint, "")
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		f := c.status(response, endpoint)
		if f.Kind != uplink.Hold {
			f.Kind = uplink.Transient
		}
		if response.StatusCode == http.StatusNotFound {
			f.Err = fmt.Errorf("%w: there is no SENAITE JSON API; check the url", f.Err)
		}
		return nil, f
	}
	var answer map[string]any
	if json.Unmarshal(body, &answer) != nil {
		return nil, transient(fmt.Errorf("%s: the answer is not JSON; check the url", endpoint))
	}
	return answer, nil
}

// push sends a message and returns nil when SENAITE has taken it.
func (c *Client) push(ctx context.Context, consumer, form string) error {
	response, body, err := c.do(ctx, http.MethodPost, "push", form)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		if response.StatusCode == http.StatusInternalServerError && unregistered(body, consumer) {
			return &uplink.Failure{
				Kind: uplink.Hold, Scope: consumer,
				Err: fmt.Errorf("SENAITE has no push consumer %q: install the add-on that registers it, or set another consumer", consumer),
			}
		}
		return c.status(response, "push")
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		var broken *json.SyntaxError
		if errors.As(err, &broken) && bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) && broken.Offset >= int64(len(body)) && len(body) < maxAnswer {
			// It ended without a word about its length, as in HTTP/1.0.
			return &uplink.Failure{Kind: uplink.Unknown, Err: errors.New("push: the answer broke off")}
		}
		return &uplink.Failure{Kind: uplink.Refusal, Err: errors.New("push: the answer is not JSON")}
	}
	if !truthy(answer["success"]) {
		return &uplink.Failure{Kind: uplink.Refusal, Err: errors.New("push: SENAITE answers without success")}
	}
	return nil
}

// unregistered reports whether a 500 is about the consumer's name. SENAITE says
// "No consumer registered for name=NAME"; the two parts are looked for apart
// from each other, for the text around them may change.
func unregistered(body []byte, consumer string) bool {
	return bytes.Contains(bytes.ToLower(body), []byte("no consumer registered")) && bytes.Contains(body, []byte(consumer))
}

// status sorts the answers that are not 200.
func (c *Client) status(response *http.Response, endpoint string) *uplink.Failure {
	code := response.StatusCode
	what := fmt.Sprintf("%s: %d %s", endpoint, code, http.StatusText(code))
	kind, err := uplink.Transient, errors.New(what)
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return c.unauthorised(what)
	case http.StatusProxyAuthRequired:
		return &uplink.Failure{Kind: uplink.Hold, Err: fmt.Errorf("%s: %w", what, errProxy)}
	case http.StatusRequestEntityTooLarge:
		kind, err = uplink.Invalid, fmt.Errorf("%s: %w", what, errTooLarge)
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		kind = uplink.Invalid
	case http.StatusInternalServerError:
		kind = uplink.Refusal
	case http.StatusGatewayTimeout:
		// The proxy's patience ended; SENAITE may be still at it.
		kind = uplink.Unknown
	}
	if code >= 300 && code < 400 {
		return c.redirected(response, what)
	}
	return &uplink.Failure{Kind: kind, Err: err}
}

// redirected explains a redirect, which is never followed.
func (c *Client) redirected(response *http.Response, what string) *uplink.Failure {
	to, err := response.Location()
	if err != nil {
		return &uplink.Failure{Kind: uplink.Transient, Err: errors.New(what)}
	}
	if strings.Contains(to.Path, "login") {
		return c.unauthorised(what + " to a login page")
	}
	// Only where to: a query may hold anything.
	to = &url.URL{Scheme: to.Scheme, Host: to.Host, Path: to.Path}
	return &uplink.Failure{Kind: uplink.Transient, Err: fmt.Errorf("%s to %s; set the url to where SENAITE is", what, to)}
}

// do makes one request and reads its answer. The form is the body of a POST and
// the query of a GET: it may hold a sample's id, which no error shows. The error
// is a Failure.
func (c *Client) do(ctx context.Context, method, endpoint, form string) (*http.Response, []byte, error) {
	// Go may call the hooks from other goroutines, also after an error.
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest: func(info httptrace.WroteRequestInfo) { sent.Store(info.Err == nil) },
	})
	address := c.base + api + endpoint
	if method == http.MethodGet && form != "" {
		address, form = address+"?"+form, ""
	}
	request, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(form))
	if err != nil {
		return nil, nil, transient(fmt.Errorf("%s: the request cannot be made; check the url", endpoint))
	}
	request.Header.Set("Accept", "*/*")
	request.Header.Set("User-Agent", "assaygate")
	if method == http.MethodPost {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if c.username != "" {
		request.SetBasicAuth(c.username, c.password)
	}
	response, err := c.http.Do(request)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		_ = response.Body.Close()
		if err == nil || response.StatusCode != http.StatusOK {
			return response, body, nil
		}
	}
	f := &uplink.Failure{Kind: uplink.Transient, Err: fmt.Errorf("%s: %w", endpoint, c.describe(err))}
	switch {
	case errors.Is(err, errProxy):
		f.Kind = uplink.Hold
	case method == http.MethodPost && sent.Load():
		f.Kind = uplink.Unknown
	}
	return nil, nil, f
}

// proxyAnswer makes a proxy's refusal an error of its own.
func proxyAnswer(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
	if answer.StatusCode == http.StatusProxyAuthRequired {
		return errProxy
	}
	return nil
}

// describe returns an error that may be shown. Those that quote what came over
// the line are not: it may be part of an answer that quotes a message.
func (c *Client) describe(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err // it repeats method and URL
	}
	var (
		network     net.Error
		operation   *net.OpError
		certificate *tls.CertificateVerificationError
		invalid     x509.CertificateInvalidError
		authority   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
		alert       tls.AlertError
	)
	switch {
	case errors.Is(err, errProxy):
		return errProxy
	case errors.Is(err, context.Canceled):
		return errors.New("cut off because the gateway stops")
	case errors.As(err, &network) && network.Timeout(), errors.Is(err, context.DeadlineExceeded):
		return errors.New("no answer in time")
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w; if that time is wrong, the clock of the box is not set", err)
	case errors.As(err, &operation), errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &alert):
		return err
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return errors.New("the server does not speak TLS; should the url begin with http://?")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the connection was closed before the answer was complete")
	}
	return fmt.Errorf("no answer could be read (%T)", err)
}

// truthy is Python's idea of truth, which SENAITE's consumers rely on.
func truthy(value any) bool {
	switch value := value.(type) {
	case nil:
		return false
	case bool:
		return value
	case float64:
		return value != 0
	case string:
		return value != ""
	case []any:
		return len(value) > 0
	case map[string]any:
		return len(value) > 0
	}
	return true
}
