package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/assaygate/assaygate/image/update/agent"
	"github.com/assaygate/assaygate/image/update/release"
	"github.com/assaygate/assaygate/image/update/trust"
)

// releases is a repository of the agent's, and what this process has to know of it beside.
type releases struct {
	agent.Verified
	folder string // where it is on this machine, "" for one on the network
	only   string // the file of the one bundle that is meant, "" for all
	wrong  error  // why it cannot be asked at all; nil where it can

	asked   atomic.Int64 // answers and failures
	offered atomic.Pointer[[]string]

	seen  string // what the folder was like at the last answer
	at    time.Time
	known agent.Answer
}

// lookAnew is how long an answer holds of a stick on which nothing has changed: it may
// expire meanwhile.
const lookAnew = 10 * time.Minute

// Offers implements agent.Repository.
func (r *releases) Offers(ctx context.Context, box release.Box) (agent.Answer, error) {
	answer, err := r.offers(ctx, box)
	list := []string{}
	for _, offer := range answer.Offers {
		list = append(list, offer.Release.Version)
	}
	r.offered.Store(&list)
	r.asked.Add(1)
	return answer, err
}

// versions are those of the last answer. It may be called from any goroutine.
func (r *releases) versions() []string {
	if list := r.offered.Load(); list != nil {
		return *list
	}
	return nil
}

func (r *releases) offers(ctx context.Context, box release.Box) (agent.Answer, error) {
	if r.wrong != nil {
		return agent.Answer{}, r.wrong
	}
	now := ""
	if r.folder != "" {
		timestamp, err := os.Stat(filepath.Join(r.folder, "metadata", "timestamp.json"))
		if err != nil {
			r.seen = ""
			return agent.Answer{}, agent.ErrNothingThere
		}
		now = fmt.Sprint(timestamp.ModTime().UnixNano(), timestamp.Size())
		if now == r.seen && time.Since(r.at) < lookAnew {
			return r.known, nil
		}
	}
	r.seen = ""
	answer, err := r.Verified.Offers(ctx, box)
	if err != nil {
		return agent.Answer{}, err
	}
	if r.only != "" {
		answer.Offers = slices.DeleteFunc(answer.Offers, func(offer agent.Offer) bool { return offer.File() != r.only })
		if len(answer.Offers) == 0 {
			return agent.Answer{}, fmt.Errorf("%s is not what the signed metadata beside it has for this box", r.only)
		}
	}
	r.seen, r.at, r.known = now, time.Now(), answer
	return answer, nil
}

// inFolder is a repository in a folder of this machine: a stick, or what a person
// has named. One bundle of it may be named alone.
func inFolder(client *trust.Client, folder, only string) *releases {
	return &releases{Verified: agent.Verified{Client: client, Source: trust.Directory(folder)}, folder: folder, only: only}
}

// overNetwork is the repository that the configuration names. What is wrong with the
// settings comes with each answer, so that a person sees it.
func overNetwork(client *trust.Client, o updateOrders, now func() time.Time) *releases {
	r := &releases{Verified: agent.Verified{Client: client, Rate: o.Rate}}
	web, err := o.client(now)
	if err == nil {
		r.Source, err = trust.HTTP(o.Repository, web)
	}
	r.wrong = err
	return r
}

// Limits of time on the way to a repository; a download has its own.
const (
	repositoryConnect = 30 * time.Second
	repositoryAnswer  = 2 * time.Minute
)

// client is who asks the repository: by the proxy and the authorities of the
// configuration, and at the time by which certificates are judged.
func (o updateOrders) client(now func() time.Time) (*http.Client, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12, Time: now}
	switch {
	case o.CAError != "":
		return nil, errors.New(o.CAError)
	case o.CA != "":
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM([]byte(o.CA)) {
			return nil, errors.New("the certificates of update.ca cannot be used")
		}
	}
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Timeout: repositoryConnect}).DialContext,
		TLSClientConfig:        settings,
		TLSHandshakeTimeout:    repositoryConnect,
		ResponseHeaderTimeout:  repositoryAnswer,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2:      true,
	}
	if o.Proxy != "" {
		proxy, err := url.Parse(o.Proxy)
		if err != nil {
			return nil, errors.New("update.proxy cannot be used") // it may hold a password
		}
		transport.Proxy = http.ProxyURL(proxy)
	}
	return &http.Client{Transport: transport, CheckRedirect: followed}, nil
}

// mostRedirects is how often one request is sent elsewhere.
const mostRedirects = 5

// followed is whether a redirect is: to any host, since all that comes is verified,
// but from no encrypted connection to one that is not.
func followed(next *http.Request, before []*http.Request) error {
	switch {
	case len(before) > mostRedirects:
		return fmt.Errorf("the repository redirects more than %d times", mostRedirects)
	case before[len(before)-1].URL.Scheme == "https" && next.URL.Scheme != "https":
		return errors.New("the repository redirects from https to " + next.URL.Scheme)
	}
	return nil
}
