package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/assaygate/assaygate/image/update/agent"
	"github.com/assaygate/assaygate/image/update/release"
	"github.com/assaygate/assaygate/image/update/trust"
)

// releases is a repository as the agent wants it: what package trust verifies.
type releases struct {
	client *trust.Client
	source trust.Source
	rate   int64  // of downloads, bytes a second, 0 for no bound
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
	repository, err := r.client.Refresh(ctx, r.source)
	if err != nil {
		return agent.Answer{}, err
	}
	list, err := repository.Offers(ctx, box)
	if err != nil {
		return agent.Answer{}, err
	}
	answer := agent.Answer{Warnings: repository.Warnings}
	for _, one := range list {
		if r.only != "" && one.Hash()+"."+path.Base(one.Path) != r.only {
			continue
		}
		answer.Offers = append(answer.Offers, agent.Offer{
			Release: one.Release, Hash: one.Hash(), Length: one.Length, Refused: one.Refused, Waves: one.Waves, NoWaves: one.NoWaves, Origin: one,
		})
	}
	if r.only != "" && len(answer.Offers) == 0 {
		return agent.Answer{}, fmt.Errorf("%s is not what the signed metadata beside it has for this box", r.only)
	}
	r.seen, r.at, r.known = now, time.Now(), answer
	return answer, nil
}

// Download implements agent.Repository.
func (r *releases) Download(ctx context.Context, offer agent.Offer, file string, progress func(int64)) error {
	origin, is := offer.Origin.(trust.Offer)
	if !is {
		return errors.New("the offer is of another repository")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if ours, err := os.OpenFile(file, os.O_RDWR, 0); err == nil {
		ours.Close()
	} else if errors.Is(err, fs.ErrPermission) {
		// RAUC makes a bundle its own before it installs it, so that nobody changes it
		// meanwhile. Where that installation has failed, the file is of no more use here.
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return trust.Download(ctx, r.source, origin, file, trust.Limits{Rate: r.rate, Progress: progress})
}

// inFolder is a repository in a folder of this machine: a stick, or what a person
// has named. One bundle of it may be named alone.
func inFolder(client *trust.Client, folder, only string) *releases {
	return &releases{client: client, source: trust.Directory(folder), folder: folder, only: only}
}

// overNetwork is the repository that the configuration names. What is wrong with the
// settings comes with each answer, so that a person sees it.
func overNetwork(client *trust.Client, o updateOrders, now func() time.Time) *releases {
	r := &releases{client: client, rate: o.Rate}
	web, err := o.client(now)
	if err == nil {
		r.source, err = trust.HTTP(o.Repository, web)
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
	return &http.Client{Transport: transport}, nil
}
