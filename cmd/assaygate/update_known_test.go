package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/assaygate/assaygate/device/configdrive"
)

// toldBox is a box whose update agent has left files, and a gateway that tells of them.
type toldBox struct {
	t      *testing.T
	places updatePlaces
	d      *daemon
}

// newToldBox is a box that runs version 1.4.2 from slot A.
func newToldBox(t *testing.T) *toldBox {
	t.Helper()
	config, err := parseConfig([]byte("version: 1\nupdate: {repository: \"https://updates.example.org\"}\n"+base(t.TempDir())), "test")
	if err != nil {
		t.Fatal(err)
	}
	b := &toldBox{t: t, places: updatePlaces{t.TempDir()}, d: newDaemon(config, newLog(config.Log, &lockedBuffer{}))}
	b.put("etc/rauc/system.conf", "[system]\ncompatible=assaygate-test\n")
	b.put("proc/cmdline", "console=ttyS0 rauc.slot=A\n")
	b.put("usr/lib/os-release", "VERSION_ID=1.4.2\n")
	b.d.updates = b.places
	b.d.console = b.d.newConsole()
	return b
}

func (b *toldBox) put(name, text string) {
	b.t.Helper()
	putFile(b.t, b.places.at(name), text, time.Now())
}

func (b *toldBox) status(fields string) {
	b.t.Helper()
	b.put("run/assaygate-update/status.json", `{"format": 1, "running": {"slot": "A", "version": "1.4.2"}, `+fields+`}`)
}

func (b *toldBox) outcome(result, reason string) {
	b.t.Helper()
	text, err := json.Marshal(reason)
	if err != nil {
		b.t.Fatal(err)
	}
	b.put("data/system/update/outcome.json", fmt.Sprintf(`{"format": 1, "result": %q, "version": "1.5.0", "from": "1.4.1",
		"running": {"slot": "A", "version": "1.4.2"}, "reason": %s, "at": "2031-05-04T08:00:00Z", "clock": "set"}`, result, text))
}

// page is what the console answers, with its tags.
func (b *toldBox) page() string {
	b.t.Helper()
	request, answer := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/update", nil), httptest.NewRecorder()
	b.d.console.ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		b.t.Fatalf("the console answers %d: %s", answer.Code, answer.Body)
	}
	return answer.Body.String()
}

var tags = regexp.MustCompile(`<[^>]*>`)

// told is what people read, by where they do.
func (b *toldBox) told() map[string]string {
	b.t.Helper()
	var said bytes.Buffer
	if status := execute([]string{"update", "status", "--root", b.places.root}, &said, &said); status != 0 {
		b.t.Errorf("update status: exit %d", status)
	}
	_, report, found := strings.Cut(string((&sticks{d: b.d, owns: b.d.ownership()}).report(b.t.Context(), configdrive.Handled{}).Text()), "\r\nUpdates\r\n-------\r\n")
	if !found {
		b.t.Error("the report says nothing of updates")
	}
	report, _, _ = strings.Cut(report, "\r\n\r\n") // the next section
	return map[string]string{
		"console": html.UnescapeString(tags.ReplaceAllString(b.page(), "")), "report": report, "status": said.String(),
	}
}

// bundle is what the support bundle has.
func (b *toldBox) bundle() (update, missing string) {
	b.t.Helper()
	var file bytes.Buffer
	s := supported(b.t, "ward")
	s.updates = b.places
	if err := writeSupport(b.t.Context(), &file, nil, s); err != nil {
		b.t.Fatal(err)
	}
	members := bundled(b.t, &file)
	return members["update.json"], members["missing.txt"]
}

// metrics are the series of updates, one a line.
func (b *toldBox) metrics() string {
	b.t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(updateMetrics{b.d})
	_, text := get(b.t, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), "/metrics", "")
	return text
}

// What became of an update, and that there is no way back, is told everywhere in the same
// words.
func TestWhatIsToldOfUpdates(t *testing.T) {
	const wayBack = `"other": {"slot": "B", "good": true, "version": "1.4.1"}`
	for name, test := range map[string]struct {
		files   func(b *toldBox)
		want    []string
		metrics string // the label outcome; of all but none and unknown the label update is 1.5.0
		back    string // the gauge of a way back, "" where it is not known
	}{
		"nothing": {func(b *toldBox) { b.status(wayBack) }, []string{"1.4.2, in slot A", "slot B: 1.4.1"}, "none", "1"},
		"a download": {
			func(b *toldBox) { b.status(wayBack + `, "phase": "downloading", "percent": 40, "offered": "1.5.0"`) },
			[]string{"downloading, 40%", "1.5.0"},
			"none", "1",
		},
		"an installation": {func(b *toldBox) { b.status(wayBack + `, "phase": "installing", "percent": 7`) }, []string{"installing, 7%"}, "none", "1"},
		"installed": {
			func(b *toldBox) { b.status(wayBack); b.outcome("installed", "") },
			[]string{"version 1.5.0 was installed on 2031-05-04", "is good; before it ran 1.4.1"},
			"installed", "1",
		},
		"fell back": {
			func(b *toldBox) { b.status(wayBack); b.outcome("fell-back", "the store does not open") },
			[]string{"version 1.5.0 was tried, and the box went back to 1.4.2", ": the store does not open"},
			"fell-back", "1",
		},
		"refused": {
			func(b *toldBox) { b.status(wayBack); b.outcome("refused", "signature verification failed") },
			[]string{"version 1.5.0 was refused", ": signature verification failed; nothing was changed"},
			"refused", "1",
		},
		"failed": {
			func(b *toldBox) { b.status(wayBack); b.outcome("failed", "the card is full") },
			[]string{"version 1.5.0 could not be installed", ": the card is full"},
			"failed", "1",
		},
		"a word of later": {
			func(b *toldBox) { b.status(wayBack); b.outcome("postponed", "of the moon") },
			[]string{"could not be installed", ": of the moon"},
			"failed", "1",
		},
		"no way back": {func(b *toldBox) {
			b.status(`"other": {"slot": "B", "good": false}, "no_way_back": "slot B holds no system that could be started"`)
		}, []string{"none: slot B holds no system that could be started"}, "none", "0"},
		"slots that are not known": {
			func(b *toldBox) { b.status(wayBack + `, "slots_error": "no bus"`) },
			[]string{"RAUC does not tell of them: no bus"},
			"none", "",
		},
		"updates that are off": {func(b *toldBox) { b.status(wayBack + `, "off": "no root of trust"`) }, []string{"off: no root of trust"}, "none", "1"},
		"no agent":             {func(b *toldBox) { b.outcome("refused", "unsigned") }, []string{"the update agent does not run", "1.4.2, in slot A", "unsigned"}, "refused", ""},
		"a status that is spoilt": {
			func(b *toldBox) { b.status(`"phase": "instal`); b.outcome("failed", "the card") },
			[]string{"the status of updates cannot be read", "1.4.2, in slot A", ": the card"},
			"failed", "",
		},
		"a status of another format": {
			func(b *toldBox) { b.put("run/assaygate-update/status.json", `{"format": 2}`) },
			[]string{"the status of updates cannot be read: it is of format 2, and this program knows 1"},
			"none", "",
		},
		"a status that is too long": {
			func(b *toldBox) { b.status(wayBack + strings.Repeat(" ", mostStatus)) },
			[]string{"the status of updates cannot be read: it has more than 256 KiB"},
			"none", "",
		},
		"an outcome that is spoilt": {
			func(b *toldBox) { b.status(wayBack); b.put("data/system/update/outcome.json", `{"format": 1, "resu`) },
			[]string{"what became of the last update cannot be read", "slot B: 1.4.1"},
			"unknown", "1",
		},
		"an outcome of another format": {
			func(b *toldBox) {
				b.status(wayBack)
				b.put("data/system/update/outcome.json", `{"format": 2, "result": "installed"}`)
			},
			[]string{"what became of the last update cannot be read: it is of format 2"},
			"unknown", "1",
		},
		"an outcome that is a folder": {
			func(b *toldBox) { b.status(wayBack); b.put("data/system/update/outcome.json/x", "") },
			[]string{"what became of the last update cannot be read", "is not a file"},
			"unknown", "1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newToldBox(t)
			test.files(b)
			for where, text := range b.told() {
				for _, want := range test.want {
					if !strings.Contains(text, want) {
						t.Errorf("%s lacks %q:\n%s", where, want, text)
					}
				}
				if strings.Contains(text, "is not the box") {
					t.Errorf("%s says that it is no box:\n%s", where, text)
				}
			}
			metrics := b.metrics()
			update := "1.5.0"
			if test.metrics == "none" || test.metrics == "unknown" {
				update = ""
			}
			if want := fmt.Sprintf(`assaygate_update_info{outcome=%q,slot="A",update=%q,version="1.4.2"} 1`, test.metrics, update); !strings.Contains(metrics, want) {
				t.Errorf("%s\nwant %s", metrics, want)
			}
			if _, back, is := strings.Cut(metrics, "\nassaygate_update_way_back "); is != (test.back != "") || !strings.HasPrefix(back, test.back) {
				t.Errorf("%s\nwant a way back: %q", metrics, test.back)
			}
		})
	}
}

// What the agent was told by strangers, a version or the reason of a server, plays with
// no screen, forges no line and fills no page.
func TestHostileWordsInUpdates(t *testing.T) {
	const script, order, override = "<script>alert(1)</script>", "\x1b[2J\r\nThis box\nAll is well.", "\u202egnp.exe"
	long := strings.Repeat("è", 3000)
	text := func(s string) string {
		quoted, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(quoted)
	}
	b := newToldBox(t)
	sources := strings.Repeat(`{"name": "x"}, `, 1000) + `{"name": ` + text("y"+order) + `}`
	b.put("run/assaygate-update/status.json", `{"format": 1, "phase": `+text(script+order)+`, "percent": 4000000, "running": {"slot": "\"}", "version": `+text(script)+
		`}, "other": {"slot": `+text(script)+`, "good": true, "version": `+text(order)+`}, "offered": `+text(override)+`, "why": `+text(script+order+long)+
		`, "unread": "forged", "sources": [`+sources+`]}`)
	b.outcome("fell-back", script+order+override+long)
	for where, said := range b.told() {
		lines := strings.FieldsFunc(said, func(r rune) bool { return r == '\n' || r == '\r' })
		for _, line := range lines {
			line = strings.TrimSpace(line)
			if line == "All is well." || strings.ContainsAny(line, "\x1b\u202e") {
				t.Errorf("%s is given orders: %q", where, line)
			}
			if n := utf8.RuneCountInString(line); n > 2*mostOfAFact {
				t.Errorf("%s has a line of %d letters", where, n)
			}
		}
		if !strings.Contains(said, script) || strings.Contains(said, "forged") || len(lines) > 200 {
			t.Errorf("%s, in %d lines:\n%s", where, len(lines), said)
		}
	}
	if page := b.page(); strings.Contains(page, "<script>alert") || !strings.Contains(page, "&lt;script&gt;alert") {
		t.Errorf("the console's page:\n%s", page)
	}
	b.put("data/system/update/outcome.json", `{"format": 1, "result": "failed", "version": `+text(script)+`}`)
	if got := b.metrics(); !strings.Contains(got, `slot="A",update="unknown",version="1.4.2"`) || strings.Contains(got, "script") {
		t.Errorf("the agent's words are labels:\n%s", got)
	}
}

// A support bundle has the agent's word as it is, within bounds.
func TestUpdatesInASupportBundle(t *testing.T) {
	b := newToldBox(t)
	b.status(`"phase": "downloading", "percent": 40, "other": {"slot": "B", "good": false}, "no_way_back": "slot B is empty"`)
	b.outcome("fell-back", "the store does not open")
	update, missing := b.bundle()
	for _, want := range []string{`"percent": 40`, `"no_way_back": "slot B is empty"`, `"result": "fell-back"`, `"reason": "the store does not open"`} {
		if !strings.Contains(update, want) {
			t.Errorf("lacks %s:\n%s", want, update)
		}
	}
	if !json.Valid([]byte(update)) || missing != "" {
		t.Errorf("update.json: %s\nmissing: %s", update, missing)
	}

	b.status(`"phase": "` + strings.Repeat("x", mostStatus) + `"`)
	b.put("data/system/update/outcome.json", `{"format": 1, "reason": "`+strings.Repeat("x", mostStatus)+`"}`)
	update, _ = b.bundle()
	if n := strings.Count(update, "it has more than 256 KiB"); n != 2 || len(update) > 2048 {
		t.Errorf("files without end: %d bytes, told %d times", len(update), n)
	}

	b.places = updatePlaces{filepath.Join(t.TempDir(), "no box")}
	if update, missing = b.bundle(); update != "" || strings.Contains(missing, "update") {
		t.Errorf("of a host that is no box: %q, missing %q", update, missing)
	}
}

// What the console shows of updates a program can have too, as the command tells it; all
// versions without the v that a release's tag begins with.
func TestUpdatesForPrograms(t *testing.T) {
	b := newToldBox(t)
	b.put("usr/lib/os-release", "VERSION_ID=v1.4.2\n")
	b.put("data/system/update/outcome.json", `{"format": 1, "result": "fell-back", "version": "1.5.0", "from": "v1.4.2",
		"running": {"slot": "A", "version": "v1.4.2"}, "reason": "the store does not open", "at": "2031-05-04T08:00:00Z", "clock": "set"}`)
	ask := func() (int, string) {
		request, answer := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/api/v1/update", nil), httptest.NewRecorder()
		b.d.console.ServeHTTP(answer, request)
		return answer.Code, answer.Body.String()
	}
	asked := func() (command bytes.Buffer) {
		var said bytes.Buffer
		if status := execute([]string{"update", "status", "--json", "--root", b.places.root}, &said, &said); status != 0 {
			t.Fatalf("update status: exit %d, %s", status, said.String())
		}
		if err := json.Compact(&command, said.Bytes()); err != nil {
			t.Fatal(err)
		}
		return command
	}
	for name, put := range map[string]func(){
		"without an agent": func() {},
		"with one": func() {
			b.status(`"phase": "idle", "offered": "1.5.0", "other": {"slot": "B", "good": true, "version": "1.4.1"}`)
		},
	} {
		put()
		status, text := ask()
		command := asked()
		if status != http.StatusOK || text != command.String()+"\n" {
			t.Errorf("%s: %d %s\nwant %s", name, status, text, command.String())
		}
		for _, want := range []string{`"running":{"slot":"A","version":"1.4.2"}`, `"result":"fell-back"`, `"from":"1.4.2"`} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: lacks %s:\n%s", name, want, text)
			}
		}
		if strings.Contains(text, `"v1`) {
			t.Errorf("%s: a version with a v:\n%s", name, text)
		}
	}
	b.d.updates = updatePlaces{t.TempDir()}
	b.d.console = b.d.newConsole()
	if status, text := ask(); status != http.StatusNotFound || !strings.Contains(text, `"code":"not_found"`) || !strings.Contains(text, "is not the box") {
		t.Errorf("of a host that is no box: %d %s", status, text)
	}
}

// When a box has asked last is known also of one whose agent never answered; a box that was
// told no repository asks none.
func TestWhenUpdatesWereChecked(t *testing.T) {
	const name = "\nassaygate_update_checked_timestamp_seconds "
	b := newToldBox(t)
	for fields, want := range map[string]string{`"checked": "2031-05-04T08:00:00Z"`: "1.935648e+09\n", `"phase": ""`: "0\n"} {
		b.status(fields)
		if got := b.metrics(); !strings.Contains(got, name+want) {
			t.Errorf("%s:\n%s", fields, got)
		}
	}
	b.put("run/assaygate-update/status.json", "")
	if got := b.metrics(); !strings.Contains(got, name+"0\n") {
		t.Errorf("without an agent:\n%s", got)
	}
	config := b.d.config()
	config.Update = &UpdateSettings{}
	b.d.running.Store(&config)
	if got := b.metrics(); strings.Contains(got, name) {
		t.Errorf("without a repository:\n%s", got)
	}
	b.d.updates = updatePlaces{t.TempDir()}
	if got := b.metrics(); !strings.Contains(got, `outcome="none",slot="",update=""`) || strings.Contains(got, "way_back") {
		t.Errorf("of a host that is no box:\n%s", got)
	}
}
