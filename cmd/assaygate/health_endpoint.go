package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

// endpoint is the admin endpoint of a gateway, and what it wants to see.
type endpoint struct {
	address string
	scheme  string
	token   string // "": none
	client  *http.Client
}

// asked finds the endpoint: by its address alone, or as the configuration has it.
func (c *healthCommand) asked() (endpoint, error) {
	f := flags{Config: c.Config}
	switch {
	case c.Admin != "" && c.Config == "":
		return newEndpoint(c.Admin), nil
	case c.Config == "" && onImage(boardData):
		return flags{Config: boxConfig, Factory: boxFactory}.askingBox()
	}
	config, _, err := loadConfig(f)
	if err != nil {
		return endpoint{}, err
	}
	if c.Admin != "" {
		config.Admin.Listen = c.Admin
	}
	return f.asking(config)
}

// askingBox is the endpoint of a box, by what its gateway is started with. Whoever
// may not read its configuration gets the factory's, and so asks where most boxes
// have it.
func (f flags) askingBox() (endpoint, error) {
	s, err := f.load(true)
	if err != nil {
		return endpoint{}, err
	}
	return f.asking(s.config)
}

// newEndpoint is an endpoint that wants nothing. It is on this computer, so no proxy
// is asked for it.
func newEndpoint(address string) endpoint {
	return endpoint{address: reachable(address), scheme: "http", client: &http.Client{
		Transport:     &http.Transport{},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// asking is the endpoint as the configuration has it.
func (f flags) asking(c Config) (a endpoint, err error) {
	if c.Admin.Listen == "" {
		return endpoint{}, errors.New("the configuration has no admin endpoint that could be asked; give admin.listen an address")
	}
	a = newEndpoint(c.Admin.Listen)
	if c.Admin.TokenFile != "" {
		if a.token, err = adminToken(c.Admin.TokenFile); err != nil {
			return endpoint{}, fmt.Errorf("the token of the admin endpoint: %w", err)
		}
	}
	if c.Admin.TLS != (TLSSettings{}) {
		settings, err := f.trusting(c)
		if err != nil {
			return endpoint{}, err
		}
		a.scheme, a.client.Transport = "https", &http.Transport{TLSClientConfig: settings}
	}
	return a, nil
}

// reachable is an address for who asks from the box itself.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// trusting is the TLS of who asks from the box itself: it takes the certificate
// that the endpoint has to show and no other, whatever its names and dates, and
// shows the box's own.
func (f flags) trusting(c Config) (*tls.Config, error) {
	own, _, err := f.ownCertificate(c)
	if err != nil && (c.Admin.TLS.Certificate == "" || c.Admin.TLS.ClientCA != "") {
		return nil, fmt.Errorf("the box's own certificate, by which its endpoint is known: %w; ask as the user that runs the gateway", err)
	}
	var want []byte
	if named := c.Admin.TLS.Certificate; named != "" {
		text, err := os.ReadFile(named)
		if err != nil {
			return nil, fmt.Errorf("the certificate of the admin endpoint: %w", err)
		}
		if block, _ := pem.Decode(text); block != nil {
			want = block.Bytes
		}
	} else {
		want = own.Certificate[0]
	}
	settings := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, want) {
				return errors.New("what answers there shows another certificate than the gateway of this configuration")
			}
			return nil
		},
	}
	if own.Certificate != nil {
		settings.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
	}
	return settings, nil
}

// ask returns the reason that the endpoint gives for not being well.
func (a endpoint) ask(ctx context.Context, path string) error {
	_, err := a.fetch(ctx, path, 4<<10)
	return err
}

// fetch returns what the endpoint answers, up to a limit in bytes. Any status
// but 200 is an error with the answer as its reason.
func (a endpoint) fetch(ctx context.Context, path string, limit int64) (string, error) {
	status, text, err := a.get(ctx, path, "", limit)
	if err == nil && status != http.StatusOK {
		err = a.refusal(path, status, text)
	}
	if err != nil {
		return "", err
	}
	return text, nil
}

// errNoAnswer is wrapped where nobody answers at the address.
var errNoAnswer = errors.New("no answer from the gateway")

// get returns status and answer, up to a limit in bytes. accept is the kind of
// answer that is wanted, "" for what the endpoint likes.
func (a endpoint) get(ctx context.Context, path, accept string, limit int64) (status int, text string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.scheme+"://"+a.address+path, nil)
	if err != nil {
		return 0, "", fmt.Errorf("asking %s: %w", a.address, err)
	}
	if accept != "" {
		request.Header.Set("Accept", accept)
	}
	if a.token != "" {
		request.Header.Set("Authorization", "Bearer "+a.token)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return 0, "", fmt.Errorf("%w at %s; is it running? Name its address with --admin or --config: %w", errNoAnswer, a.address, errors.Unwrap(err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, limit))
	if err != nil {
		return 0, "", fmt.Errorf("asking %s: %w", a.address, err)
	}
	return response.StatusCode, string(body), nil
}

// refusal is what a status other than 200 says.
func (a endpoint) refusal(path string, status int, text string) error {
	switch status {
	case http.StatusTemporaryRedirect:
		return fmt.Errorf("the endpoint at %s speaks TLS; name the configuration with --config, which says how to ask it", a.address)
	case http.StatusUnauthorized:
		return fmt.Errorf("the endpoint at %s wants another token, or one at all; name the configuration with --config", a.address)
	}
	return fmt.Errorf("%s: %s", path[1:], strings.TrimSpace(text))
}
