//go:build unix

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	browsers "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// download clicks what has the name in a part of the page, and returns the file
// that the browser has saved then.
func (b *tab) download(part, name string) (file string, content []byte) {
	b.t.Helper()
	folder := b.t.TempDir()
	if _, err := chromedp.CallBrowser(b.ctx, browsers.SetDownloadBehavior, browsers.SetDownloadBehaviorParams{
		Behavior: browsers.SetDownloadBehaviorBehaviorAllow, DownloadPath: folder,
		BrowserContextID: chromedp.FromContext(b.ctx).BrowserContextID,
	}); err != nil {
		b.t.Fatal(err)
	}
	b.clickIn(part, name)
	eventually(b.t, name+" is saved", func() bool {
		files, err := filepath.Glob(filepath.Join(folder, "*"))
		if err != nil {
			b.t.Fatal(err)
		}
		if len(files) != 1 || strings.HasSuffix(files[0], ".crdownload") || strings.HasPrefix(filepath.Base(files[0]), ".") {
			return false
		}
		file = files[0]
		return true
	})
	content, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	return filepath.Base(file), content
}

// What was sent is downloaded byte for byte, a file of a destination too, and is
// replayed to a LIMS for trials: the audit tells all of it.
func TestBrowserDownloadsAndReplays(t *testing.T) {
	withAndWithoutScripts(t, func(t *testing.T, open func(*running) *tab) {
		server, trials, directory := newLIMS(t), newLIMS(t), t.TempDir()
		r := start(t, base(directory)+lanInstruments+lims(server, directory)+fmt.Sprintf(
			"  - {name: trials, staging: true, accept_test: true, senaite: {url: %q, username: %q, password: %q}}\n",
			trials.URL, senaitetest.Username, senaitetest.Password))
		r.sendSample("SIM-1001")
		r.settled()
		found, err := r.store.List(t.Context(), spool.Filter{SampleID: "SIM-1001"})
		if err != nil || len(found) != 1 {
			t.Fatalf("%+v, %v", found, err)
		}
		raw, err := r.store.Raw(t.Context(), found[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		b := open(r)
		b.openMessage("SIM-1001")
		name, content := b.download("main", "Download")
		if !bytes.Equal(content, raw) || !strings.Contains(name, found[0].ID) {
			t.Errorf("%s holds\n%q, want\n%q", name, content, raw)
		}

		b.visit("/captures")
		file := evaluate[string](b, "document.querySelector('td a').textContent")
		name, content = b.download("td", file)
		if kept, err := os.ReadFile(filepath.Join(directory, "captures", file)); err != nil || name != file || !bytes.Equal(content, kept) {
			t.Errorf("%s holds\n%q, want\n%q (%v)", name, content, kept, err)
		}
		b.press("Replay " + file)
		b.choose("To", "trials")
		b.press("Show what would be sent")
		b.wants("What would be sent to trials", "SIM-1001")
		if n := len(trials.Pushes()); n != 0 {
			t.Errorf("%d pushes before anybody asked", n)
		}
		b.press("Replay to trials")
		b.wants("What became of it at trials", "SIM-1001")
		if pushes := trials.Pushes(); len(pushes) != 1 || !strings.Contains(pushes[0].Message, "SIM-1001") {
			t.Errorf("the LIMS for trials has %+v", pushes)
		}
		if n := len(server.Pushes()); n != 1 {
			t.Errorf("the LIMS has %d pushes", n)
		}
		b.visit("/audit")
		b.wants(file, "trials", "console")
	})
}

// The support bundle comes as one file, which holds nothing of a message.
func TestBrowserSupportBundle(t *testing.T) {
	chromiumProgram(t)
	r, _ := laboratory(t)
	r.sendSample("SIM-1001")
	b := r.browse()
	b.visit("/support")
	name, content := b.download("main", "Make and download")
	unpacked, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	members := 0
	for archive := tar.NewReader(unpacked); ; members++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text, err := io.ReadAll(archive); err != nil || bytes.Contains(text, []byte("SIM-1001")) {
			t.Errorf("%s in %s tells of a message (%v)", header.Name, name, err)
		}
	}
	if members < 5 {
		t.Errorf("%s has %d files", name, members)
	}
	b.visit("/audit")
	b.wants(string(spool.SupportMade))
}
