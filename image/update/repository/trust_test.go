package repository

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
	"github.com/assaygate/assaygate/image/update/trust"
)

// A box follows over a server and from a stick, through the rotation of every key,
// and downloads what is offered.
func TestABoxFollows(t *testing.T) {
	t.Parallel()
	dir := initialised(t)
	public := filepath.Join(dir, "public")
	root := read(t, filepath.Join(public, "metadata", "1.root.json"))
	server, err := trust.HTTP(serve(t, public), http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	sources := map[string]trust.Source{"server": server, "stick": trust.Directory(public)}
	clients := map[string]*trust.Client{}
	for name := range sources {
		clients[name] = trust.New(filepath.Join(t.TempDir(), "trust"), root, func() (time.Time, bool) { return time.Now(), true })
	}
	follow := func(want string) {
		t.Helper()
		for name, source := range sources {
			followed, err := clients[name].Refresh(t.Context(), source)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			offers, err := followed.Offers(t.Context(), release.Box{Compatible: pi4, Version: "0.9.0"})
			if err != nil || len(offers) == 0 || offers[0].Release.Version != want {
				t.Errorf("%s: offers %+v, error %v; want %s", name, offers, err, want)
				continue
			}
			offer := offers[0]
			if offer.Refused != nil || offer.Waves == nil || len(followed.Warnings) > 0 {
				t.Errorf("%s: offer %+v, warnings %q", name, offer, followed.Warnings)
			}
			file := filepath.Join(t.TempDir(), "bundle")
			if err := trust.Download(t.Context(), source, offer, file, trust.Limits{}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if text, err := os.ReadFile(file); err != nil || string(text) != "content of "+want {
				t.Errorf("%s: downloaded %q, error %v", name, text, err)
			}
		}
	}
	must(t, dir, add(bundleOf(t, "1.0.0", "content of 1.0.0")))
	must(t, dir, wave(wavesFrom("1.0.0", today())))
	follow("1.0.0")
	for _, key := range []string{"timestamp-1", "snapshot-1", "targets-1", "waves-1", "root-1"} {
		must(t, dir, rotate(key))
		follow("1.0.0")
	}
	must(t, dir, add(bundleOf(t, "1.1.0", "content of 1.1.0")))
	must(t, dir, wave(wavesFrom("1.1.0", today())))
	must(t, dir, refresh(Root, Targets, Waves))
	follow("1.1.0")
}
