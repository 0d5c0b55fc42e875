package console

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// setUp is a console with that setup, and without a store: it is then that one has
// to be set up.
func setUp(t *testing.T, s Setup) browser {
	return browser{t, New(Options{
		Store: func() (*spool.Spool, error) { return nil, errors.New("the card is gone") },
		Box:   func() string { return "haematology-1" }, Log: slog.New(slog.DiscardHandler), Setup: s,
	})}
}

// All of Setup is for admins: a configuration tells much also without its secrets.
func TestSetupIsForAdmins(t *testing.T) {
	for _, one := range setUp(t, Setup{}).console.setupRoutes() {
		if one.least != Admin {
			t.Errorf("%s is for more than admins", one.pattern)
		}
	}
}

// A part that there is not is not found, and says so.
func TestSetupWithoutItsParts(t *testing.T) {
	b := setUp(t, Setup{})
	contains(t, b.page("/setup"), "There is nothing to set up here.")
	for _, one := range b.console.setupRoutes() {
		method, path, _ := strings.Cut(one.pattern, " ")
		if path == "/setup" {
			continue
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "http://127.0.0.1"+path, nil)
		r.Header.Set(tokenHeader, b.console.token)
		if w := b.send(r); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", one.pattern, w.Code)
		}
	}
}

func TestSetupTellsHowItStands(t *testing.T) {
	state := SetupState{File: "/data/config/assaygate.yaml", By: "stick", Owned: true}
	b := setUp(t, Setup{State: func() SetupState { return state }})
	contains(t, b.page("/setup"), "/data/config/assaygate.yaml", "by stick", "This box has an owner")
	state = SetupState{OnTrial: true, TrialBy: "anna", Left: 90 * time.Second, NeedsKeeping: true, Missing: []string{"console: <address> in use"}, ReadOnly: "there is no file"}
	contains(t, b.page("/setup"), "A change by anna is on trial, 1m30s are left.", "unless you keep it here", "console: &lt;address&gt; in use", "Keep it now", "Take it back", "not changed: there is no file")
	state = SetupState{Applying: "bert", Failed: []string{"line 3: nome: unknown key"}, TakenBack: "not within 10m0s", TakenBy: "anna", Refused: "spoilt"}
	contains(t, b.page("/setup"), "A change by bert is being applied.", "line 3: nome: unknown key", "by anna, was taken back:</strong> not within 10m0s", "another one runs: spoilt")
}

// The text comes to the browser and back as it is, whatever it is.
func TestTheEditorKeepsTheText(t *testing.T) {
	const text = "\n\nname: </textarea><script>alert(1)</script> &amp; \"\t\n# ü\n\n"
	var sent Draft
	b := setUp(t, Setup{
		Config: func(int) (ConfigText, error) { return ConfigText{Text: text, Of: "digest"}, nil },
		Check: func(d Draft) []Problem {
			sent = d
			return []Problem{{Line: 3, Column: 1, Key: "name", Text: "<bad>", Severity: SeverityError}, {Text: "hm", Severity: SeverityWarning}}
		},
	})
	page := b.page("/setup/config")
	_, inner, _ := strings.Cut(page, "<textarea ")
	_, inner, _ = strings.Cut(inner, ">\n") // the browser drops this line end
	inner, _, _ = strings.Cut(inner, "</textarea>")
	unescaped := strings.NewReplacer("&lt;", "<", "&gt;", ">", "&#34;", `"`, "&amp;", "&").Replace(inner)
	if unescaped != text {
		t.Errorf("the editor shows %q", unescaped)
	}
	form := url.Values{"csrf": {b.token("/setup/config")}, "of": {"digest"}, "text": {text}, "earlier": {"7"}}
	contains(t, b.post("/setup/check", form).Body.String(), "1 wrong, 1 to look at", `data-line="3">line 3</a>: <code>name</code>: &lt;bad&gt;`, "hm (a warning)")
	if want := (Draft{Text: text, Of: "digest", Earlier: 7}); sent != want {
		t.Errorf("what is checked is %+v", sent)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "http://127.0.0.1/setup/check", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", "application/json")
	r.Header.Set(tokenHeader, b.console.token)
	w := b.send(r)
	var problems []Problem
	if err := json.Unmarshal(w.Body.Bytes(), &problems); err != nil || len(problems) != 2 || problems[0].Line != 3 {
		t.Errorf("a script gets %s, %v", w.Body, err)
	}
	form.Set("text", strings.Repeat("ü", draftLimit/2+1))
	contains(t, b.post("/setup/check", form).Body.String(), "this is too long for a configuration")
	form.Set("text", strings.Repeat("ü", setupLimit))
	if w := b.post("/setup/check", form); w.Code != http.StatusForbidden {
		t.Errorf("what no form sends: %d", w.Code)
	}
}

// A draft is applied once, by the person who made it, as it was when the difference
// was shown; what is typed in it goes into no page.
func TestADraftIsApplied(t *testing.T) {
	var applied []string
	var refuse error
	b := setUp(t, Setup{
		State: func() SetupState { return SetupState{TrialLasts: 10 * time.Minute} }, Check: func(Draft) []Problem { return nil },
		Config: func(int) (ConfigText, error) { return ConfigText{}, nil },
		Compare: func(d Draft) (Comparison, error) {
			if d.Text == "wrong" {
				return Comparison{}, Problems{{Line: 2, Text: "is wrong", Severity: SeverityError}}
			}
			return Comparison{Lines: []DiffLine{{"a: <1>", 1, 0}, {"a: 2", 0, 1}}, Effects: []string{"Lines started: x."}, Keeping: true}, nil
		},
		Apply: func(d Draft, who string, within time.Duration) error {
			applied = append(applied, fmt.Sprint(d.Text, " ", who, " ", within))
			return refuse
		},
	})
	diff := func(text string) *httptest.ResponseRecorder {
		return b.post("/setup/diff", url.Values{"csrf": {b.console.token}, "text": {text}})
	}
	if w := diff("wrong"); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "is wrong") {
		t.Errorf("a wrong one: %d %s", w.Code, w.Body)
	}
	page := diff("password: typed").Body.String()
	contains(t, page, "a: &lt;1&gt;", `class="gone"`, "removed</span>", "added</span>", "Lines started: x.", "It is about the way to this console", "10 minutes, as configured")
	if strings.Contains(page, "typed") {
		t.Error("what was typed is in the page")
	}
	_, id, _ := strings.Cut(page, `name="draft" value="`)
	id, _, _ = strings.Cut(id, `"`)
	contains(t, b.page("/setup/config?draft="+id), "password: typed") // who goes on editing
	apply := func(minutes string) *httptest.ResponseRecorder {
		return b.post("/setup/apply", url.Values{"csrf": {b.console.token}, "draft": {id}, "minutes": {minutes}})
	}
	refuse = errors.New("not now")
	if w := apply("5"); w.Code != http.StatusConflict || !strings.Contains(w.Body.String(), "not now") {
		t.Errorf("refused: %d %s", w.Code, w.Body)
	}
	refuse = nil
	if w := apply("0"); w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/setup" {
		t.Errorf("applied: %d %s", w.Code, w.Body)
	}
	if w := apply("0"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "not there any more") {
		t.Errorf("applied again: %d %s", w.Code, w.Body)
	}
	if want := []string{"password: typed console 5m0s", "password: typed console 0s"}; !reflect.DeepEqual(applied, want) {
		t.Errorf("applied is %q", applied)
	}
}

func TestDraftsAreBounded(t *testing.T) {
	var d drafts
	now := time.Now()
	first := d.keep(Draft{Text: "first"}, "anna", now)
	if _, is := d.of(first, "bert", now); is {
		t.Error("another person gets it")
	}
	if one, is := d.of(first, "anna", now.Add(draftLife)); !is || one.Text != "first" {
		t.Error("its person does not get it")
	}
	if _, is := d.of(first, "anna", now.Add(draftLife+1)); is {
		t.Error("it is there for ever")
	}
	for n := range 2 * mostDrafts {
		d.keep(Draft{}, "anna", now.Add(time.Duration(n+1)))
	}
	if _, is := d.of(first, "anna", now); is || len(d.held) != mostDrafts {
		t.Errorf("%d are held", len(d.held))
	}
	d.keep(Draft{}, "anna", now.Add(2*draftLife))
	if len(d.held) != 1 {
		t.Errorf("%d old ones are held", len(d.held)-1)
	}
}

func TestHunks(t *testing.T) {
	var lines []DiffLine
	for n := range 30 {
		lines = append(lines, DiffLine{fmt.Sprint(n), n + 1, n + 1})
	}
	if parts := hunks(lines); parts != nil {
		t.Errorf("without a difference: %v", parts)
	}
	for _, n := range []int{0, 1, 8, 29} {
		lines[n].New = 0
	}
	var got []string
	for _, part := range hunks(lines) {
		got = append(got, part[0].Text+"-"+part[len(part)-1].Text)
	}
	if want := "0-11 26-29"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
}
