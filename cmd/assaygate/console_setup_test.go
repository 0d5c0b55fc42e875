//go:build unix

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
	"time"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/console/login"
	"github.com/assaygate/assaygate/envelope/spool"
)

// visitor is a person's browser at the console of a running gateway. No answer may
// hold a planted secret.
type visitor struct {
	r       *running
	address string
}

const planted = "Pl4nted"

func (v visitor) ask(method, path string, form url.Values, accept string) (status int, location, body string) {
	v.r.t.Helper()
	request, err := http.NewRequestWithContext(v.r.t.Context(), method, "http://"+v.address+path, strings.NewReader(form.Encode()))
	must(v.r.t, err)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.Header.Set("Accept", accept)
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	must(v.r.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(v.r.t, err)
	if strings.Contains(string(text), planted) {
		v.r.t.Errorf("%s %s shows a secret:\n%s", method, path, text)
	}
	return response.StatusCode, response.Header.Get("Location"), string(text)
}

func (v visitor) page(path string) string {
	v.r.t.Helper()
	status, _, body := v.ask(http.MethodGet, path, nil, "text/html")
	if status != http.StatusOK {
		v.r.t.Fatalf("GET %s: %d %s", path, status, body)
	}
	return body
}

var (
	metaToken = regexp.MustCompile(`<meta name="csrf" content="([^"]+)">`)
	hiddenOf  = regexp.MustCompile(`name="of" value="([^"]+)"`)
	hiddenID  = regexp.MustCompile(`name="draft" value="([^"]+)"`)
	textArea  = regexp.MustCompile(`(?s)<textarea [^>]*>\n(.*)</textarea>`)
)

func foundIn(t testing.TB, expression *regexp.Regexp, body string) string {
	t.Helper()
	parts := expression.FindStringSubmatch(body)
	if parts == nil {
		t.Fatalf("no %s in\n%s", expression, body)
	}
	return unescape(parts[1])
}

func unescape(text string) string {
	return strings.NewReplacer("&#34;", `"`, "&#39;", "'", "&lt;", "<", "&gt;", ">", "&#43;", "+", "&amp;", "&").Replace(text)
}

// edited is the form of the editor after a person has changed its text.
func (v visitor) edited(path string, change ...string) url.Values {
	v.r.t.Helper()
	body := v.page(path)
	text := foundIn(v.r.t, textArea, body)
	changed := strings.NewReplacer(change...).Replace(text)
	if len(change) > 0 && changed == text {
		v.r.t.Fatalf("nothing was changed by %q in\n%s", change, text)
	}
	earlier := foundIn(v.r.t, regexp.MustCompile(`name="earlier" value="([^"]+)"`), body)
	return url.Values{"csrf": {foundIn(v.r.t, metaToken, body)}, "of": {foundIn(v.r.t, hiddenOf, body)}, "earlier": {earlier}, "text": {changed}}
}

func (v visitor) problems(form url.Values) (list []console.Problem) {
	v.r.t.Helper()
	status, _, body := v.ask(http.MethodPost, "/setup/check", form, "application/json")
	if status != http.StatusOK {
		v.r.t.Fatalf("check: %d %s", status, body)
	}
	must(v.r.t, json.Unmarshal([]byte(body), &list))
	return list
}

// applies goes the way of a person from the editor to a change that is applied.
func (v visitor) applies(form url.Values) (status int, body string) {
	v.r.t.Helper()
	status, _, body = v.ask(http.MethodPost, "/setup/diff", form, "text/html")
	if status != http.StatusOK {
		return status, body
	}
	status, _, body = v.ask(http.MethodPost, "/setup/apply", url.Values{"csrf": form["csrf"], "draft": {foundIn(v.r.t, hiddenID, body)}, "minutes": {"0"}}, "text/html")
	return status, body
}

// acts are what the audit trail says of people, the newest first.
func (v visitor) acts() (list []string) {
	store, err := v.r.openedStore()
	must(v.r.t, err)
	rows, err := store.Trail(v.r.t.Context(), 0, 50)
	must(v.r.t, err)
	for _, row := range rows {
		if row.Who != "" {
			list = append(list, row.Who+": "+row.What)
		}
	}
	return list
}

// setupConfig is a configuration with secrets in every place that there is for one.
func setupConfig(directory, address, consoleAddress string) string {
	text := strings.Replace(withConsole(directory, address, consoleAddress), "destinations: []", `# password: Pl4nted-comment
destinations:
  - name: lims
    senaite: {url: "http://127.0.0.1:1/senaite", username: u, password: 'Pl4nted-inline', proxy: "http://me:Pl4nted-proxy@127.0.0.1:2/"}
  - name: other
    senaite:
      url: http://me:Pl4nted-url@127.0.0.1:3/senaite # Pl4nted-inline too
`, 1)
	return strings.ReplaceAll(text, "\n", "\r\n")
}

func startSetup(t *testing.T, text func(directory, address, consoleAddress string) string) (v visitor, path string) {
	t.Helper()
	directory, consoleAddress := t.TempDir(), freePort(t)
	path = filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte(text(directory, freePort(t), consoleAddress)), 0o600))
	return visitor{r: startFile(t, path), address: consoleAddress}, path
}

// Why a file is refused may quote it: no page that tells of it shows a secret,
// nor the log.
func TestRefusedFileShowsNoSecrets(t *testing.T) {
	t.Parallel()
	v, path := startSetup(t, setupConfig)
	must(t, os.WriteFile(path, []byte(held(t, path)+"log: {level: Pl4nted-inline}\r\n"), 0o600))
	eventually(t, "it is refused", func() bool { return v.r.standingConfig().Refused != "" })
	if page := v.page("/setup"); !strings.Contains(page, "log.level: (kept) is not known") {
		t.Errorf("it is not said why:\n%s", page)
	}
	v.page("/")
	if page := v.page("/support"); !strings.Contains(page, "(kept) is not known") { // in the log
		t.Errorf("it is not logged why:\n%s", page)
	}
}

// A person changes the configuration in the console: no secret is seen on the way,
// and none is lost.
func TestConfigurationIsChangedInTheConsole(t *testing.T) {
	t.Parallel()
	v, path := startSetup(t, setupConfig)
	before := held(t, path)
	form := v.edited("/setup/config", "name: one", "name: two", "username: u, ", "username: v, ")
	if strings.Contains(form.Get("text"), "\r") || strings.Count(form.Get("text"), "(kept)") != 5 {
		t.Fatalf("shown is\n%s", form.Get("text"))
	}
	if problems := v.problems(form); len(problems) != 0 {
		t.Errorf("checked: %v", problems)
	}
	wrong := v.edited("/setup/config", "name: one", "nome: one")
	problems := v.problems(wrong)
	if len(problems) == 0 || problems[0].Line != 9 && problems[0].Line < 3 || !strings.Contains(fmt.Sprint(problems), "did you mean name?") {
		t.Errorf("a mistake: %v", problems)
	}
	status, _, body := v.ask(http.MethodPost, "/setup/check", wrong, "text/html")
	if status != http.StatusOK || !strings.Contains(body, "did you mean name?") || !strings.Contains(unescape(body), "nome: one") {
		t.Errorf("a mistake without a script: %d %s", status, body)
	}
	if status, body := v.applies(wrong); status != http.StatusConflict || !strings.Contains(body, "did you mean name?") {
		t.Errorf("a mistake is applied: %d %s", status, body)
	}
	status, _, body = v.ask(http.MethodPost, "/setup/diff", form, "text/html")
	for _, want := range []string{"name: two", `class="gone"`, "Destinations drained and started again: lims.", "Lines drained and started again"} {
		if status != http.StatusOK || !strings.Contains(unescape(body), want) {
			t.Errorf("the difference lacks %q: %d %s", want, status, body)
		}
	}
	if held(t, path) != before {
		t.Fatal("looking has changed the file")
	}
	if status, body := v.applies(form); status != http.StatusSeeOther {
		t.Fatalf("applied: %d %s", status, body)
	}
	eventually(t, "it is in use", func() bool { return v.r.standingConfig().By == "console" })
	want := strings.NewReplacer("name: one", "name: two", "username: u, ", "username: v, ").Replace(before)
	if now := held(t, path); now != want {
		t.Errorf("the file is\n%q, want\n%q", now, want)
	}
	eventually(t, "the change stands", func() bool { now := v.r.setupState(); return !now.OnTrial && now.Applying == "" })
	if by := v.r.standingConfig().By; by != "console" || v.acts()[0] != "console: "+string(spool.ConfigChanged) {
		t.Errorf("by %s; the audit says %q", by, v.acts())
	}
	if body := v.page("/setup/earlier"); !strings.Contains(body, "/setup/config?earlier=1") || !strings.Contains(body, "is what the file says now") {
		t.Errorf("earlier ones:\n%s", body)
	}
	// The one before comes back the same way, with its own secrets.
	if status, body := v.applies(v.edited("/setup/config?earlier=1")); status != http.StatusSeeOther {
		t.Fatalf("restored: %d %s", status, body)
	}
	eventually(t, "nothing is applied any more", func() bool { return v.r.setupState().Applying == "" })
	if now := held(t, path); now != before {
		t.Errorf("restored is\n%q, want\n%q", now, before)
	}
	if strings.Contains(v.r.log.text(), planted) {
		t.Error("a secret is in the log")
	}
}

// A secret goes nowhere but where it was meant for.
func TestSecretsDoNotMove(t *testing.T) {
	t.Parallel()
	v, path := startSetup(t, setupConfig)
	before := held(t, path)
	for name, test := range map[string]struct {
		change []string
		want   string
	}{
		"another host":        {[]string{"127.0.0.1:1/", "127.0.0.1:9/"}, "was given for another server"},
		"another scheme":      {[]string{"http://127.0.0.1:1/", "https://127.0.0.1:1/"}, "was given for another server"},
		"no proxy":            {[]string{`, proxy: "http://me:(kept)@127.0.0.1:2/"`, ""}, "was given for another server"},
		"another proxy":       {[]string{"127.0.0.1:2/", "127.0.0.1:9/"}, "was changed, so that what is not shown of it cannot be kept"},
		"another ca":          {[]string{"username: u", "username: u, ca: " + path}, "was given for another server"},
		"plain":               {[]string{"username: u", "username: u, plain_http: true"}, "was given for another server"},
		"another name":        {[]string{"name: lims", "name: evil"}, "nothing was kept under this name"},
		"names exchanged":     {[]string{"name: lims", "name: other", "name: other", "name: lims"}, "nothing was kept under this name"},
		"the host of a URL":   {[]string{"127.0.0.1:3/senaite # (kept)", "127.0.0.1:9/senaite"}, "was changed, so that what is not shown of it cannot be kept"},
		"an anchor":           {[]string{"senaite: {url", "senaite: &a {url", "  - name: other\n", "  - {name: evil, senaite: {<<: *a, url: 'http://127.0.0.1:9'}}\n  - name: other\n"}, "with an anchor that other places might name"},
		"a file of the box":   {[]string{"password: '(kept)'", "password_file: " + path, "password: \"(kept)\"", "password_file: " + path}, "was not given for this server"},
		"hidden from view":    {[]string{"password: \"(kept)\"", "password: &x new"}, "cannot be told from the rest"},
		"quoted by an error":  {[]string{"username: u, password", "in_flight: x, username: u, password"}, "in_flight"},
		"a comment elsewhere": {[]string{"# password: (kept)\n", "", "version: 1", "version: 1 # password: (kept)"}, "this comment held something"},
	} {
		form := v.edited("/setup/config", test.change...)
		if problems := v.problems(form); len(problems) == 0 || !strings.Contains(fmt.Sprint(problems), test.want) {
			t.Errorf("%s: %v", name, problems)
		}
		if status, body := v.applies(form); status != http.StatusConflict || !strings.Contains(unescape(body), test.want) {
			t.Errorf("%s is applied: %d %s", name, status, body)
		}
	}
	if held(t, path) != before {
		t.Error("the file was changed")
	}
	// Typed again it may go elsewhere.
	form := v.edited("/setup/config", "127.0.0.1:1/", "127.0.0.1:9/", `password: "(kept)"`, "password: typed", `, proxy: "http://me:(kept)@127.0.0.1:2/"`, "")
	status, _, body := v.ask(http.MethodPost, "/setup/diff", form, "text/html")
	if status != http.StatusOK || !strings.Contains(body, "password: (new)") || strings.Contains(body, "typed") || !strings.Contains(body, "What waits for lims was meant for another address") {
		t.Errorf("the difference: %d %s", status, body)
	}
	if status, body := v.applies(form); status != http.StatusSeeOther || !strings.Contains(held(t, path), "password: typed") {
		t.Errorf("typed again: %d %s", status, body)
	}
}

// What is typed for a user of the console is kept as a hash; what stood there as it
// was stays, so that nobody is logged out by another's change.
func TestTypedPasswordsBecomeHashes(t *testing.T) {
	const text = "version: 1\nconsole:\n  users:\n    anna: {password: \"stood there before\", role: admin}\n    ward: {password: \"some other words\", role: viewer}\n"
	to, err := parseConfig([]byte(text), "draft")
	must(t, err)
	now := map[string]console.User{"anna": {Password: "stood there before", Role: "admin"}, "ward": {PasswordHash: login.NewHash("another").String(), Role: "viewer"}}
	got, err := parseConfig(hashTyped([]byte(text), to, now), "file")
	must(t, err)
	if anna := got.Console.Users["anna"]; anna != now["anna"] {
		t.Errorf("anna is %+v", anna)
	}
	ward := got.Console.Users["ward"]
	hash, err := login.ParseHash(ward.PasswordHash)
	if err != nil || ward.Password != "" || ward.Role != "viewer" || !hash.Matches("some other words") {
		t.Errorf("ward is %+v: %v", ward, err)
	}
}

// Two people at a time, and a stick: nobody undoes what another one did unseen.
func TestTwoChangeTheConfiguration(t *testing.T) {
	t.Parallel()
	v, path := startSetup(t, setupConfig)
	one, other := v.edited("/setup/config", "name: one", "name: anna"), v.edited("/setup/config", "name: one", "name: bert")
	_, _, body := v.ask(http.MethodPost, "/setup/diff", other, "text/html")
	late := url.Values{"csrf": other["csrf"], "draft": {foundIn(t, hiddenID, body)}}
	if status, body := v.applies(one); status != http.StatusSeeOther {
		t.Fatalf("the first: %d %s", status, body)
	}
	if status, _, body := v.ask(http.MethodPost, "/setup/apply", late, "text/html"); status != http.StatusConflict || !strings.Contains(body, "was changed meanwhile") {
		t.Errorf("the second: %d %s", status, body)
	}
	if problems := v.problems(other); len(problems) != 1 || !strings.Contains(problems[0].Text, "was changed meanwhile") {
		t.Errorf("the second is checked: %v", problems)
	}
	if !strings.Contains(held(t, path), "name: anna") {
		t.Error("the first change is gone")
	}
	// A stick has the lock: the console waits, and finds another file then.
	v.r.changes.one.Lock()
	third := v.edited("/setup/config", "name: anna", "name: carl")
	status, body := v.applies(third)
	if status != http.StatusSeeOther || !strings.Contains(v.page("/setup"), "is being applied") {
		t.Errorf("while a stick is taken: %d %s", status, body)
	}
	if status, body := v.applies(third); status != http.StatusConflict || !strings.Contains(body, "another change is being applied") {
		t.Errorf("one more meanwhile: %d %s", status, body)
	}
	must(t, os.WriteFile(path, []byte("#stick\n"+held(t, path)), 0o600))
	v.r.changes.one.Unlock()
	eventually(t, "the page says that it was not applied", func() bool { return strings.Contains(v.page("/setup"), "was changed meanwhile") })
	if !strings.Contains(held(t, path), "#stick") {
		t.Error("what the stick has brought is gone")
	}
}

// Who changes the address of the console finds it there, and says that it stays.
func TestTheConsoleMoves(t *testing.T) {
	t.Parallel()
	v, path := startSetup(t, setupConfig)
	next := visitor{r: v.r, address: freePort(t)}
	form := v.edited("/setup/config", v.address, next.address)
	_, _, body := v.ask(http.MethodPost, "/setup/diff", form, "text/html")
	if !strings.Contains(body, "It is about the way to this console") || !strings.Contains(body, "and is then at "+next.address) {
		t.Errorf("nobody says that it has to be kept: %s", body)
	}
	if status, body := v.applies(form); status != http.StatusSeeOther {
		t.Fatalf("applied: %d %s", status, body)
	}
	eventually(t, "the console is there", func() bool { return knocks(next.address) })
	eventually(t, "it was changed", func() bool { now := v.r.standingConfig(); return now.OnTrial && len(now.Missing) == 0 })
	v.r.tendTrial(t.Context())
	if body = next.page("/"); !strings.Contains(body, "unless somebody keeps it on the page Setup") {
		t.Errorf("the overview does not say it: %s", body)
	}
	body = next.page("/setup")
	if !strings.Contains(body, "unless you keep it here within that time") {
		t.Errorf("the page does not say it: %s", body)
	}
	token := url.Values{"csrf": {foundIn(t, metaToken, body)}}
	if status, _, body := next.ask(http.MethodPost, "/setup/keep", token, ""); status != http.StatusSeeOther {
		t.Errorf("kept: %d %s", status, body)
	}
	if v.r.standingConfig().OnTrial || !strings.Contains(held(t, path), next.address) {
		t.Error("it does not stand")
	}
	if status, body := next.applies(next.edited("/setup/config", next.address, v.address)); status != http.StatusSeeOther {
		t.Fatalf("back again: %d %s", status, body)
	}
	eventually(t, "the console is there", func() bool { return knocks(v.address) && !knocks(next.address) })
	if status, _, body := v.ask(http.MethodPost, "/setup/back", token, ""); status != http.StatusSeeOther {
		t.Errorf("taken back: %d %s", status, body)
	}
	eventually(t, "the console is where it was", func() bool { return knocks(next.address) && !knocks(v.address) })
	if body := next.page("/setup"); !strings.Contains(body, "taken back by console") {
		t.Errorf("nobody says it: %s", body)
	}
	eventually(t, "all is in the audit", func() bool {
		return strings.Contains(fmt.Sprint(next.acts()), "[console: configuration taken back console: configuration changed console: configuration kept console: configuration changed")
	})
}

// Without a file there is nothing to change, and the page says why.
func TestSetupWithoutAFile(t *testing.T) {
	t.Parallel()
	directory, address := t.TempDir(), freePort(t)
	log := &lockedBuffer{}
	d, err := prepare(flags{HL7: "127.0.0.1:0", Data: directory, Console: address}, log)
	must(t, err)
	v := visitor{r: follow(t, d, log, "gateway ready"), address: address}
	if body := v.page("/setup/config"); !strings.Contains(body, "readonly") || !strings.Contains(body, errNoFile.Error()) {
		t.Errorf("the editor is\n%s", body)
	}
	if status, body := v.applies(v.edited("/setup/config", "version: 1", "version: 1 #")); status == http.StatusSeeOther {
		t.Errorf("applied: %s", body)
	}
}

// While there is no store a change is made all the same: it may be what puts it
// right.
func TestSetupWithoutAStore(t *testing.T) {
	t.Parallel()
	directory, address := t.TempDir(), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.Mkdir(filepath.Join(directory, "spool"), 0o700))
	must(t, os.WriteFile(filepath.Join(directory, "spool", "spool.db"), []byte("no database at all, and long enough to be seen as none, whoever looks at it"), 0o600))
	must(t, os.WriteFile(path, []byte(withConsole(directory, freePort(t), address)), 0o600))
	log := &lockedBuffer{}
	d, err := prepare(flags{Config: path}, log)
	must(t, err)
	v := visitor{r: follow(t, d, log, "the store is closed"), address: address}
	if status, body := v.applies(v.edited("/setup/config", "/spool", "/elsewhere")); status != http.StatusSeeOther {
		t.Fatalf("applied: %d %s", status, body)
	}
	v.r.logs(1, "gateway ready")
	if text := log.text(); !strings.Contains(text, `"act":"configuration changed","who":"console"`) {
		t.Errorf("nobody knows who did it: %s", text)
	}
}

// A process that is killed between the change and the word that it stays goes on
// waiting for that word, and takes the change back without it.
func TestKilledBeforeItIsKept(t *testing.T) {
	t.Parallel()
	directory, address, consoleAddress, next := t.TempDir(), freePort(t), freePort(t), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	text := withConsole(directory, address, consoleAddress) + "config_drive: {directory: '" + directory + "/stick', confirm_within: 10s}\n"
	must(t, os.WriteFile(path, []byte(text), 0o600))
	p := spawn(t, path)
	v := visitor{r: &running{t: t}, address: consoleAddress}
	form := v.edited("/setup/config", consoleAddress, next)
	if status, body := v.applies(form); status != http.StatusSeeOther {
		t.Fatalf("applied: %d %s", status, body)
	}
	eventually(t, "the console is there", func() bool { return knocks(next) })
	time.Sleep(2 * time.Second) // it must not stand by itself
	p.kill()
	if !strings.Contains(held(t, path), next) || strings.Contains(p.log.text(), "the configuration stands") {
		t.Fatalf("there is %s\n%s", held(t, path), p.log.text())
	}
	p = spawn(t, path)
	eventually(t, "the console is there again", func() bool { return knocks(next) })
	body := visitor{r: v.r, address: next}.page("/setup")
	if !strings.Contains(body, "is on trial") || !strings.Contains(body, "unless you keep it") {
		t.Errorf("after a restart: %s", body)
	}
	p.kill()
}
