package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"testing"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// Each download is a row of the audit, and each replay opens a store: of many messages
// and captures, some are enough. Their text stands on pages and in files, all of which
// are looked at elsewhere.
const (
	mostDownloaded = 40
	mostReplayed   = 6
)

// trialDestination is a LIMS for staging.
func trialDestination(server *senaitetest.Server) string {
	server.Register("acme.import")
	return fmt.Sprintf(`
  - name: trial
    staging: true
    accept_test: true
    senaite: {url: %q, username: %q, password: %q, consumer: acme.import}
`, server.URL, senaitetest.Username, senaitetest.Password)
}

// messagePages looks at all that the console shows and gives of messages and
// captures, and at what it replays.
func (a *aviary) messagePages(s seen, ids []string) {
	a.t.Helper()
	root := "http://" + a.addresses[consoleServer]
	page := func(where, path string) { s.fetch(a.t, http.DefaultClient, where, root+path) }
	page("audit", "/audit")
	page("audit api", "/api/v1/audit")
	page("search", "/messages?state=parked&kind=result&from=2020-01-01T00:00")
	page("retry page", "/messages/retry?state=parked")
	for i, id := range ids[:min(len(ids), mostDownloaded)] {
		page("raw download", "/messages/"+id+"/raw")
		page("envelope download", "/messages/"+id+"/envelope")
		if a.trial != nil && i < mostReplayed {
			page("replay page of a message", "/messages/"+id+"/replay")
			a.replayed(s, "/messages/"+id)
		}
	}
	for _, destination := range a.captureDestinations() {
		page("captures page", "/captures?destination="+destination)
		page("captures api", "/api/v1/captures?limit=1000&destination="+destination)
		list, err := a.listCaptures(a.t.Context(), destination, console.CaptureQuery{Limit: 1000})
		if err != nil {
			a.t.Fatal(err)
		}
		replays := 0
		for _, file := range list.Files[:min(len(list.Files), mostDownloaded)] {
			path := "/captures/" + destination + "/" + url.PathEscape(file.Name)
			page("capture download", path)
			if a.trial != nil && file.CanReplay() && replays < mostReplayed {
				replays++
				page("replay page of a capture", path+"/replay")
				a.replayed(s, path)
			}
		}
	}
	if a.trial == nil {
		return
	}
	if len(a.trial.Pushes()) == 0 {
		a.t.Error("nothing was replayed")
	}
	for _, push := range a.trial.Pushes() {
		s.look("replayed", []byte(push.Message))
	}
}

// replayed sends what a page is about to the LIMS for staging, as a program does.
func (a *aviary) replayed(s seen, path string) {
	a.t.Helper()
	request, err := http.NewRequestWithContext(a.t.Context(), http.MethodPost, "http://"+a.addresses[consoleServer]+"/api/v1"+path+"/replay", bytes.NewReader([]byte(`{"to": "trial"}`)))
	if err != nil {
		a.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-CSRF-Token", tokenOn(a.t, a.addresses[consoleServer]))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		a.t.Fatalf("replaying %s: %s, %v: %s", path, response.Status, err, text)
	}
	s.look("replay", text)
}

// tokenOn is the token of a console without users.
func tokenOn(t testing.TB, address string) string {
	t.Helper()
	response, err := http.Get("http://" + address + "/audit")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	found := tokenOfPage.FindSubmatch(text)
	if err != nil || found == nil {
		t.Fatalf("no token: %v", err)
	}
	return string(found[1])
}
