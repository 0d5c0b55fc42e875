package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// tokenOfPage is where a page has the token against other sites' requests.
var tokenOfPage = regexp.MustCompile(`name="csrf" (?:value|content)="([^"]+)"`)

// pages are those of a console that a test has open.
type pages struct {
	t   *testing.T
	url string
}

func (r *running) pages(t *testing.T) pages { return pages{t, "http://" + r.addresses[consoleServer]} }

// get returns a page, which has the status.
func (p pages) get(path string, status int) string {
	p.t.Helper()
	response, err := http.Get(p.url + path)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.read(path, response, status)
}

// post sends a form as it stands on a page.
func (p pages) post(form, path string, fields url.Values, status int) string {
	p.t.Helper()
	token := tokenOfPage.FindStringSubmatch(p.get(form, http.StatusOK))
	if token == nil {
		p.t.Fatalf("%s has no token", form)
	}
	fields.Set("csrf", token[1])
	response, err := http.PostForm(p.url+path, fields)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.read(path, response, status)
}

func (p pages) read(path string, response *http.Response, status int) string {
	p.t.Helper()
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status {
		p.t.Fatalf("%s: %s, want %d, %v\n%s", path, response.Status, status, err, text)
	}
	return string(text)
}

func (p pages) wants(page string, texts ...string) {
	p.t.Helper()
	for _, text := range texts {
		if !strings.Contains(page, text) {
			p.t.Errorf("the page lacks %q:\n%s", text, page)
		}
	}
}

// staged is a gateway with a LIMS, a LIMS for staging and captures.
func staged(t *testing.T, more string) (r *running, live, trial *senaitetest.Server, captures string) {
	t.Helper()
	live, trial, directory := newLIMS(t), newLIMS(t), t.TempDir()
	r = start(t, base(directory)+more+lanInstruments+lims(live, directory)+fmt.Sprintf(`
  - name: trial
    staging: true
    senaite: {url: %q, username: %q, password: %q}
`, trial.URL, senaitetest.Username, senaitetest.Password))
	return r, live, trial, filepath.Join(directory, "captures")
}

func TestCapturesAreListedAndDownloaded(t *testing.T) {
	r, live, _, directory := staged(t, "")
	capture, err := simulator.Capture("two_orders.astm")
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		r.play("lan", simulator.ASTM, capture, simulator.Options{})
	}
	r.settled()
	if n := len(live.Pushes()); n != 6 {
		t.Fatalf("%d pushes", n)
	}
	for name, text := range map[string]string{
		"20260102T030405.000001Z-lan-77.astm.partial":    "half",
		"20260102T030405.000001Z-lan-10.0.0.7_1234.wire": "# wire",
		".20260102T030405.000001Z-lan-78.astm.tmp":       "hidden",
		"secret": "password",
		"20260102T030405.000001Z-lan-79.astm.bak":  "no",
		"20260102T030405.000002Z-other-80.hl7":     "MSH|",
		`20260102T030405.000002Z-"<script>-81.hl7`: "MSH|",
	} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(directory, "secret"), filepath.Join(directory, "20260102T030405.000001Z-lan-82.astm")); err != nil {
		t.Fatal(err)
	}
	p := r.pages(t)
	page := p.get("/captures", http.StatusOK)
	names := regexp.MustCompile(`<a href="/captures/files/([^"/]+)">`).FindAllStringSubmatch(page, -1)
	if len(names) != 6 || !strings.HasPrefix(names[0][1], "20") || strings.Contains(page, "secret") || strings.Contains(page, ".tmp") || strings.Contains(page, "-82.") {
		t.Fatalf("%d files: %q\n%s", len(names), names, page)
	}
	p.wants(page, "not acknowledged", "what went over the line", "/replay")
	// What is downloaded is what is there.
	kept, err := os.ReadFile(filepath.Join(directory, names[0][1]))
	if err != nil {
		t.Fatal(err)
	}
	if got := p.get("/captures/files/"+names[0][1], http.StatusOK); got != string(kept) {
		t.Errorf("downloaded %q", got)
	}
	p.wants(p.get("/audit", http.StatusOK), "downloaded", "capture "+names[0][1])
	if list := p.get("/captures?instrument=other", http.StatusOK); strings.Contains(list, "-lan-") || !strings.Contains(list, "-other-80") {
		t.Errorf("of one instrument:\n%s", list)
	}
	// No other name leads anywhere.
	for _, name := range []string{
		"secret", "..%2fspool%2fspool.db", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "20260102T030405.000001Z-lan-82.astm", "20260102T030405.000001Z-lan-99.astm",
		"20260102T030405.000001Z-..%2f..%2fspool%2fspool-1.astm", ".20260102T030405.000001Z-lan-78.astm.tmp", "20260102T030405.000001Z-lan-79.astm.bak", "%00",
	} {
		p.get("/captures/files/"+name, http.StatusNotFound)
		p.get("/captures/files/"+name+"/replay", http.StatusNotFound)
	}
	p.get("/captures/lims/"+names[0][1], http.StatusNotFound)
	p.get("/captures/nowhere/"+names[0][1], http.StatusNotFound)

	var list console.CaptureList
	if err := json.Unmarshal([]byte(p.get("/api/v1/captures?limit=2", http.StatusOK)), &list); err != nil || len(list.Files) != 2 || !list.More || list.Total != 7 || list.Files[0].Name != names[0][1] || list.Files[0].Size != int64(len(kept)) {
		t.Errorf("listed %+v, %v", list, err)
	}
}

func TestCapturesAreListedByPages(t *testing.T) {
	r, _, _, directory := staged(t, "")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range 3000 {
		name := fmt.Sprintf("20260102T03%02d%02d.000001Z-lan-%d.astm", i/60, i%60, i)
		if err := os.WriteFile(filepath.Join(directory, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	q, seen := console.CaptureQuery{Limit: 700}, map[string]bool{}
	for page := range 5 {
		list, err := r.listCaptures(t.Context(), "files", q)
		if err != nil || list.Total != 3000 || list.More != (page < 4) {
			t.Fatalf("page %d: %d of %d, more %t, %v", page, len(list.Files), list.Total, list.More, err)
		}
		for _, file := range list.Files {
			if seen[file.Name] || file.Size != 1 || q.Before != "" && file.Name >= q.Before {
				t.Fatalf("%+v on page %d", file, page)
			}
			seen[file.Name] = true
		}
		q.Before = list.Files[len(list.Files)-1].Name
	}
	if len(seen) != 3000 {
		t.Errorf("%d files", len(seen))
	}
}

// TestReplayToStaging sends what was received once more, to the LIMS for staging and
// nowhere else.
func TestReplayToStaging(t *testing.T) {
	r, live, trial, directory := staged(t, "")
	capture, err := simulator.Capture("two_orders.astm")
	if err != nil {
		t.Fatal(err)
	}
	r.play("lan", simulator.ASTM, capture, simulator.Options{Verbatim: true})
	r.settled()
	if len(live.Pushes()) != 2 || len(trial.Pushes()) != 0 {
		t.Fatalf("%d and %d pushes", len(live.Pushes()), len(trial.Pushes()))
	}
	files, err := os.ReadDir(directory)
	if err != nil || len(files) != 1 {
		t.Fatalf("%d captures, %v", len(files), err)
	}
	file := "/captures/files/" + files[0].Name() + "/replay"
	message := "/messages/" + ids(t, live.Pushes())[0] + "/replay"
	p := r.pages(t)
	for i, path := range []string{file, message} {
		asked := p.get(path, http.StatusOK)
		p.wants(asked, "What would be sent to trial", "1 message, 2 envelopes; 2 of them would be sent", "would be sent", "Replay to trial", `value="trial"`)
		if n := len(trial.Pushes()); n != 2*i {
			t.Fatalf("to ask has sent: %d pushes", n)
		}
		p.wants(p.post(path, path, url.Values{"to": {"trial"}}, http.StatusOK), "What became of it at trial", "2 of them taken", "delivered")
		if n := len(trial.Pushes()); n != 2*i+2 {
			t.Fatalf("%d pushes", n)
		}
		// To anybody else nothing goes, whatever the form says.
		for _, to := range []string{"lims", "files", "", "nowhere"} {
			p.post(path, path, url.Values{"to": {to}}, http.StatusConflict)
		}
	}
	if n := len(live.Pushes()); n != 2 {
		t.Errorf("the LIMS got %d pushes", n)
	}
	if got, want := trial.Pushes()[0].Message, live.Pushes()[0].Message; samplePushed(got) != samplePushed(want) || !strings.Contains(got, `"instrument":"lan"`) {
		t.Errorf("replayed %.600s", got)
	}
	p.wants(p.get("/audit", http.StatusOK), "replayed", "to trial: capture "+files[0].Name(), "to trial: message 1", "to trial: 2 of 2 taken", "console")
	if status, err := r.store.Status(t.Context()); err != nil || status.Messages != 2 {
		t.Errorf("a replay is kept: %+v, %v", status, err)
	}
	for _, d := range mustStatus(t, r.store).Destinations {
		if d.Name == "trial" {
			t.Error("the store knows the destination for staging")
		}
	}

	// What is refused there is said, and why.
	if err := trial.Set(senaitetest.Down); err != nil {
		t.Fatal(err)
	}
	p.wants(p.post(file, file, url.Values{"to": {"trial"}}, http.StatusOK), "0 of them taken", "not sent: ")
	if err := trial.Set(senaitetest.Up); err != nil {
		t.Fatal(err)
	}

	// What was not acknowledged, or is no message, is not sent.
	for name, want := range map[string]string{
		"20260102T030405.000001Z-lan-77.astm.partial": "was not acknowledged",
		"20260102T030405.000001Z-lan-78.astm":         "neither ASTM",
		"20260102T030405.000001Z-lan-79.astm":         "checksum",
	} {
		text := "x"
		if want == "checksum" {
			text = "\x021H|\\^&|||a|||||||P|1|20260102030405\r\x0300\r\n"
		}
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		before := len(trial.Pushes())
		path := "/captures/files/" + name + "/replay"
		p.wants(p.get(path, http.StatusOK), "Nothing can be sent", want)
		p.wants(p.post(path, path, url.Values{"to": {"trial"}}, http.StatusOK), "Nothing was sent", want)
		if len(trial.Pushes()) != before {
			t.Errorf("%s was sent", name)
		}
	}
}

func mustStatus(t *testing.T, store *spool.Spool) spool.Status {
	t.Helper()
	status, err := store.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return status
}

func samplePushed(message string) string {
	var e struct {
		Assaygate struct {
			Sample string `json:"sample_id"`
		} `json:"assaygate"`
	}
	if json.Unmarshal([]byte(message), &e) != nil {
		return "?"
	}
	return e.Assaygate.Sample
}

// The allowlist of today holds for a capture of yesterday.
func TestReplayIsScrubbed(t *testing.T) {
	r, _, trial, directory := staged(t, "privacy: {astm: {allow: {H: [5, 12, 13, 14], O: [3, 5, 6], R: [3, 4, 5, 7, 9, 13], L: [3]}}}\n")
	if err := os.MkdirAll(directory, 0o700); err != nil {
		t.Fatal(err)
	}
	const text = "H|\\^&|||Lab-A|||||||P|1|20260102030405\rP|1||||" + canary + "\rO|1|S1\rR|1|^^^GLU|5.5|mmol/L\rL|1|N\r"
	name := "20260102T030405.000001Z-lan-7.astm"
	if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := r.pages(t)
	path := "/captures/files/" + name + "/replay"
	p.wants(p.post(path, path, url.Values{"to": {"trial"}}, http.StatusOK), "1 of them taken")
	if pushes := trial.Pushes(); len(pushes) != 1 || strings.Contains(pushes[0].Message, canary) || !strings.Contains(pushes[0].Message, "5.5") {
		t.Errorf("pushed %+v", pushes)
	}
}
