package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/console/api"
	"github.com/assaygate/assaygate/envelope/spool"
)

// sighting finds the canary, also where it stands in the hexadecimal escapes
// that it came in.
var sighting = regexp.MustCompile(`(?i)[\w.-]*(ZIEGLER|MUSTERFRAU|5A4945474C4552)[\w.-]*`)

// seen is where something was found: what by where.
type seen map[string][]string

func (s seen) look(where string, data []byte) {
	for _, found := range sighting.FindAll(data, -1) {
		if what := string(found[:min(len(found), 80)]); len(s[where]) < 5 && !slices.Contains(s[where], what) {
			s[where] = append(s[where], what)
		}
	}
}

func (s seen) fetch(t testing.TB, client *http.Client, where, url string) []byte {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	s.look(where, text)
	return text
}

// files looks into every file below a directory.
func (s seen) files(t testing.TB, where, directory string) {
	t.Helper()
	err := filepath.WalkDir(directory, func(path string, entry os.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		s.look(where, []byte(path))
		data, err := os.ReadFile(path)
		s.look(where, data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// api reads all that the API over a store shows: what is in the database is
// compressed, so that a look at its file says little.
func (s seen) api(t testing.TB, where string, transport http.RoundTripper) (ids []string) {
	t.Helper()
	client := &http.Client{Transport: transport}
	s.fetch(t, client, where+" status", "http://spool/v1/status")
	var list []spool.Summary
	if err := json.Unmarshal(s.fetch(t, client, where+" list", "http://spool/v1/messages?limit=10000"), &list); err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		ids = append(ids, m.ID)
		s.fetch(t, client, where+" show", "http://spool/v1/messages/"+m.ID)
		s.fetch(t, client, where+" raw", "http://spool/v1/messages/"+m.ID+"/raw")
	}
	return ids
}

// everywhere looks at all that the gateway stores, shows, logs and sends.
func (a *aviary) everywhere() seen {
	a.t.Helper()
	s := seen{}
	ids := s.api(a.t, "socket", api.Socket(controlSocket(a.config().Spool.Directory)))
	pages := "http://" + a.addresses[consoleServer]
	s.fetch(a.t, http.DefaultClient, "overview", pages+"/")
	s.fetch(a.t, http.DefaultClient, "messages page", pages+"/messages")
	s.fetch(a.t, http.DefaultClient, "console api", pages+"/api/v1/messages?limit=10000")
	for _, id := range ids {
		s.fetch(a.t, http.DefaultClient, "message page", pages+"/messages/"+id)
	}
	a.messagePages(s, ids)
	for _, path := range []string{"/metrics", "/stats", "/healthz", "/readyz"} {
		s.fetch(a.t, http.DefaultClient, "admin "+path, "http://"+a.addresses[adminServer]+path)
	}
	s.fetch(a.t, http.DefaultClient, "live", pages+"/live")
	for _, line := range a.live.Lines() {
		s.fetch(a.t, http.DefaultClient, "live backlog", pages+"/live/"+line.Instruments[0])
	}
	eventually(a.t, "who looks on has seen something", func() bool {
		return slices.ContainsFunc(a.onlookers, func(o *onlooker) bool { return strings.Contains(o.seen(), "received") })
	})
	for _, o := range a.onlookers {
		s.look("live stream", []byte(o.seen()))
	}
	for _, push := range a.server.Pushes() {
		s.look("pushed", []byte(push.Message))
		s.look("pushed", []byte(fmt.Sprint(push.Consumer, push.Header)))
	}
	s.look("log", []byte(a.log.text()))
	s.files(a.t, "captures", filepath.Join(a.directory, "captures"))
	s.traces(a.t, filepath.Join(a.directory, "captures"))
	s.files(a.t, "store", filepath.Join(a.directory, "spool"))
	s.bundle(a.t, a.supportSources(), a.log.text)
	s.look("report on a stick", (&sticks{d: a.daemon, owns: a.ownership()}).report(a.t.Context(), configdrive.Handled{}).Text())
	return s
}

// recovered looks into the drafts: a copy of the store is opened as after a
// crash, which makes messages of them.
func (a *aviary) recovered() seen {
	a.t.Helper()
	crashed := filepath.Join(a.t.TempDir(), "spool")
	if err := os.MkdirAll(crashed, 0o700); err != nil {
		a.t.Fatal(err)
	}
	entries, err := os.ReadDir(a.config().Spool.Directory)
	if err != nil {
		a.t.Fatal(err)
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || strings.HasSuffix(entry.Name(), "-shm") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(a.config().Spool.Directory, entry.Name()))
		if err == nil {
			err = os.WriteFile(filepath.Join(crashed, entry.Name()), data, 0o600)
		}
		if err != nil {
			a.t.Fatal(err)
		}
	}
	settings := a.config().Spool
	settings.Directory = crashed
	store, err := spool.Open(context.Background(), settings, spool.Options{Destinations: a.config().spoolDestinations(), Log: a.daemon.log})
	if err != nil {
		a.t.Fatal(err)
	}
	defer store.Close()
	found, err := store.List(a.t.Context(), spool.Filter{Instrument: "drafts"})
	if err != nil || len(found) != 1 {
		a.t.Fatalf("%d drafts were recovered, %v", len(found), err)
	}
	s := seen{}
	s.api(a.t, "draft", api.InProcess(api.API(store, nil)))
	return s
}

func (s seen) report(t testing.TB) {
	t.Helper()
	for _, where := range slices.Sorted(maps.Keys(s)) {
		t.Errorf("%s shows %q", where, s[where])
	}
}
