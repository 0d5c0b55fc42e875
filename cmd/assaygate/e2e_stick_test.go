package main

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/console/login"
	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/device/port"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// stickBox is a running gateway with a socket for a stick, which is a directory.
type stickBox struct {
	*running
	root, stick, path string
	ports             port.System // its zero value has none
}

// baseConfig is what such a box runs at first.
const baseConfig = `version: 1
# of the first day
box: {name: box-1}
instruments:
  - name: lan
    astm: {listen: "127.0.0.1:0"}
destinations:
  - name: captures
    capture: {directory: ROOT/captures}
spool: {directory: ROOT/spool}
config_drive: {directory: ROOT/stick, confirm_within: 10s}
admin: {listen: ""}
console: {listen: "127.0.0.1:0"}
`

// newStickBox starts a box with the configuration, "" for the factory's, which is
// then the base configuration. ROOT in it is the box's directory. Before it
// starts, each of change may change the gateway.
func newStickBox(t *testing.T, config string, change ...func(*daemon)) *stickBox {
	t.Helper()
	root := t.TempDir()
	b := &stickBox{root: root, stick: filepath.Join(root, "stick"), path: filepath.Join(root, "config", "assaygate.yaml")}
	if err := os.MkdirAll(filepath.Dir(b.path), 0o700); err != nil {
		t.Fatal(err)
	}
	b.write(t, filepath.Join(root, "factory.yaml"), b.text(baseConfig))
	if config != "" {
		b.write(t, b.path, b.text(config))
	}
	b.start(t, change...)
	return b
}

func (b *stickBox) text(config string) string { return strings.ReplaceAll(config, "ROOT", b.root) }

func (b *stickBox) start(t *testing.T, change ...func(*daemon)) {
	t.Helper()
	b.startUntil(t, "gateway ready", change...)
}

// startUntil is start that waits for another line of the log.
func (b *stickBox) startUntil(t *testing.T, line string, change ...func(*daemon)) {
	t.Helper()
	log := &lockedBuffer{}
	d, err := prepare(flags{Config: b.path, Factory: filepath.Join(b.root, "factory.yaml")}, log)
	if err != nil {
		t.Fatal(err)
	}
	if d.panel.System = b.ports; b.ports == (port.System{}) { // no test listens to ports of this machine
		d.panel.System = port.System{Sys: filepath.Join(b.root, "sys"), Dev: filepath.Join(b.root, "dev")}
		if err := errors.Join(os.MkdirAll(filepath.Join(b.root, "sys", "class", "tty"), 0o700), os.MkdirAll(filepath.Join(b.root, "dev"), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	for _, one := range change {
		one(d)
	}
	ctx, stop := context.WithCancel(context.Background())
	b.running = &running{daemon: d, t: t, log: log, stop: stop, ended: make(chan error, 1)}
	r := b.running
	go func() { r.ended <- r.run(ctx) }()
	t.Cleanup(func() { r.end() })
	eventually(t, "the log says "+line, func() bool { return strings.Contains(log.text(), line) })
}

func (b *stickBox) write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// plug makes a stick of the files and plugs it in: a folder with one rename, as a
// mount is there at once.
func (b *stickBox) plug(t *testing.T, files map[string]string, after ...func(directory string)) {
	t.Helper()
	b.pull(t)
	made := filepath.Join(b.root, "stick.new")
	if err := os.Mkdir(made, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		b.write(t, filepath.Join(made, filepath.FromSlash(name)), text)
	}
	for _, do := range after {
		do(made)
	}
	if err := os.Rename(made, b.stick); err != nil {
		t.Fatal(err)
	}
}

// pull pulls the stick and waits until the box has seen it.
func (b *stickBox) pull(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(b.stick); err != nil {
		return
	}
	gone := strings.Count(b.log.text(), "the stick is gone")
	if err := os.RemoveAll(b.stick); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the box sees that the stick is gone", func() bool { return strings.Count(b.log.text(), "the stick is gone") > gone })
}

// wantReport waits for a report that begins with the verdict, and expects the
// texts in it.
func (b *stickBox) wantReport(t *testing.T, verdict string, texts ...string) string {
	t.Helper()
	var report string
	for end := time.Now().Add(time.Minute); !strings.HasPrefix(report, verdict); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no report within a minute that begins with %q; there is:\n%s\n%s", verdict, report, b.log.text())
		}
		data, _ := os.ReadFile(filepath.Join(b.stick, configdrive.ReportName)) // it may not be there yet
		report = string(data)
	}
	if !strings.Contains(report, "\r\n") || strings.Contains(strings.ReplaceAll(report, "\r\n", ""), "\n") {
		t.Error("the lines of the report do not all end in CR LF")
	}
	report = strings.ReplaceAll(report, "\r\n", "\n")
	for _, text := range texts {
		if !strings.Contains(report, text) {
			t.Errorf("the report does not say %q:\n%s", text, report)
		}
	}
	return report
}

func (b *stickBox) read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// limsConfig is the base configuration with a LIMS, whose settings end in that.
func (b *stickBox) limsConfig(end string) string {
	return b.text(strings.Replace(baseConfig, "destinations:\n", "destinations:\n  - name: LIMS\n    senaite: {url: \"http://127.0.0.1:1/s\", username: u, "+end+"}   # ours\n", 1))
}

func utf16le(text string) string {
	out := []byte{0xFF, 0xFE}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, unit)
	}
	return string(out)
}

const (
	runs   = "All is well: the new configuration runs."
	secret = "s3cret-of-the-lab"
)

func TestStickBringsAConfiguration(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, baseConfig)
	config := strings.ReplaceAll(b.limsConfig(`password: "`+secret+`"`), "\n", "\r\n")
	b.plug(t, map[string]string{"ASSAYGATE.YAML": utf16le(config), "Assaygate.yaml.txt": "x"})
	report := b.wantReport(t, runs, "ASSAYGATE.YAML: taken.", "Assaygate.yaml.txt: Windows hides the end of its name",
		"Name: box-1", "lan: listens on 127.0.0.1:0, open", "LIMS: http://127.0.0.1:1/s, 0 delivered, 0 waiting", "This box takes any stick", "MAC ", "Console: http://127.0.0.1:0/ on the box itself only", "Fingerprint (SHA-256) of the console's certificate, to compare with what the browser shows: ",
		"Public key of the box: "+spool.FormatKey(b.identity(t)))
	saved, file := b.read(t, b.path), filepath.Join(b.root, "config", "secrets", "LIMS")
	want := utf16le(strings.Replace(config, `password: "`+secret+`"`, `password_file: "`+file+`"`, 1))
	if saved != want {
		t.Errorf("saved is %q, want %q", saved, want)
	}
	if got := b.read(t, file); got != secret+"\n" {
		t.Errorf("the secret is %q", got)
	}
	for path, mode := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): os.ModeDir | 0o700, b.path: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: mode %v, error %v", path, info.Mode(), err)
		}
	}
	if got := b.read(t, filepath.Join(b.stick, "ASSAYGATE.YAML")); got != want {
		t.Errorf("the stick's file is %q", got)
	}
	if got := b.read(t, b.path+".previous"); got != b.text(baseConfig) {
		t.Errorf("the previous configuration is %q", got)
	}
	for _, text := range []string{report, b.log.text()} {
		if strings.Contains(text, secret) {
			t.Errorf("the secret is in:\n%s", text)
		}
	}

	// The same stick once more, and a gateway that starts with it in.
	taken := strings.Count(b.log.text(), "the configuration is in use")
	b.plug(t, map[string]string{"assaygate.yaml": want})
	b.wantReport(t, "All is well.", "assaygate.yaml: the box runs with this already; nothing was changed.")
	b.end()
	b.start(t)
	eventually(t, "a report of the new process", func() bool { return strings.Contains(b.log.text(), "the stick was dealt with") })
	b.wantReport(t, "All is well.", "assaygate.yaml: the box runs with this already")
	if taken != 1 || strings.Contains(b.log.text(), "the configuration is in use") {
		t.Errorf("the configuration was taken again:\n%s", b.log.text())
	}
}

func (b *stickBox) identity(t *testing.T) ed25519.PublicKey {
	t.Helper()
	g, away := b.standing.now()
	if g == nil {
		t.Fatal(away)
	}
	return g.store.Identity()
}

func TestStickWithAWrongConfigurationChangesNothing(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, baseConfig)
	b.plug(t, map[string]string{"assaygate.yaml": "version: 2\nbox: {name: \"a b\"}\nspol: {directory: x}\ndestinations:\n- name: l\n  senaite: {url: http://127.0.0.1/, username: u, password: " + secret + "}\n", "profiles/own.yaml": "x"})
	report := b.wantReport(t, "Not all is well: 3 things have to be put right (below). The configuration was not changed.",
		"1. assaygate.yaml, line 1, column 1: version: 2 is not known", "2. assaygate.yaml, line 2, column 7: box.name: ", "3. assaygate.yaml, line 3, column 1: spol: unknown key; did you mean spool?",
		"assaygate.yaml, profiles/own.yaml: not taken; the box goes on as before.", "lan: listens on 127.0.0.1:0, open")
	if b.read(t, b.path) != b.text(baseConfig) || strings.Contains(report, secret) {
		t.Errorf("saved is %s, reported was\n%s", b.read(t, b.path), report)
	}
	if _, err := os.Stat(b.path + ".previous"); err == nil {
		t.Error("something was saved")
	}

	// What would grow beyond any memory, and more mistakes than anybody reads.
	b.plug(t, map[string]string{"assaygate.yaml": "version: 1\nx: " + strings.Repeat("[", 5000)})
	b.wantReport(t, "Not all is well: one thing has", "line 2")
	var many strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&many, "x%d: 1\n", i)
	}
	b.plug(t, map[string]string{"assaygate.yaml": many.String()})
	if report := b.wantReport(t, "Not all is well: 20000 things have", "100. assaygate.yaml, line 100", "... and 19900 more."); len(report) > 1<<16 {
		t.Errorf("the report has %d bytes", len(report))
	}

	// Files that nothing names, and a password for nobody.
	b.plug(t, map[string]string{"profiles/own.yaml": "x", "tls/box.pem": "x", "password.txt": "x"})
	b.wantReport(t, "Not all is well: 3 things have", "password.txt: the configuration has no LIMS", "names no directory for them", "tls/box.pem: the configuration names no TLS files")

	// The name that Windows makes of it.
	b.plug(t, map[string]string{"assaygate.yaml.txt": b.text(baseConfig)})
	b.wantReport(t, "Nothing was done: the box takes no file of this stick", "assaygate.yaml.txt: Windows hides the end of its name")

	// A box that broke off behind the change of the configuration, before its report.
	b.pull(t)
	b.plug(t, map[string]string{"assaygate.yaml": b.text(baseConfig)})
	b.wantReport(t, "All is well.", "the box runs with this already")
}

func TestStickBringsProfilesAndTLS(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, baseConfig)
	mine, other := issued(t, t.TempDir(), "box"), issued(t, t.TempDir(), "other")
	shown, key, otherKey := b.read(t, mine.Certificate), b.read(t, mine.Key), b.read(t, other.Key)
	config := b.text(strings.Replace(strings.Replace(baseConfig, "    astm: {listen: \"127.0.0.1:0\"}\n",
		"    astm: {listen: \"127.0.0.1:0\"}\n    profile: own_model\n    tls: {certificate: ROOT/tls/box.pem, key: ROOT/tls/Box.key}\n", 1), "spool:", "profiles: ROOT/profiles\nspool:", 1))
	profile := strings.Replace(b.read(t, "../../device/profile/definitions/abbott_afinion2.yaml"), "name: abbott_afinion2", "name: own_model", 1)
	files := map[string]string{"assaygate.yaml": config, "profiles/own_model.yaml": profile, "TLS/BOX.pem": shown, "TLS/box.key": otherKey}
	b.plug(t, files)
	b.wantReport(t, "Not all is well", "instruments[0].tls: ", "The configuration was not changed.")
	if _, err := os.Stat(filepath.Join(b.root, "tls")); err == nil {
		t.Error("a certificate with another key was taken")
	}
	files["TLS/box.key"] = key
	b.plug(t, files)
	b.wantReport(t, runs, "TLS/box.key holds a private key and stays on the stick", "profiles/own_model.yaml")
	for path, want := range map[string]string{"tls/box.pem": shown, "tls/Box.key": key, "profiles/own_model.yaml": profile} {
		if got := b.read(t, filepath.Join(b.root, path)); got != want {
			t.Errorf("%s is %q", path, got)
		}
	}
}

// TestStickBringsNoFileOfTheBox: a certificate whose place is that of something
// that the box keeps, now or later, would seal its store or reset it.
func TestStickBringsNoFileOfTheBox(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, baseConfig)
	if err := os.Symlink("spool", filepath.Join(b.root, "link")); err != nil {
		t.Fatal(err)
	}
	kept := []string{
		"spool/sealed.json", "link/spool.db-journal", "later/spool.db", "config/owner.pub", "config/reset-requested", "config/last-reset", "config/stick-revision",
		"config/Stick-Taken.json", "config/change/redo/index.json", "config/secrets/LIMS", "config/assaygate.yaml.previous",
	}
	config := strings.Replace(baseConfig, "ROOT/spool}", "ROOT/later}", 1)
	files := map[string]string{}
	for i, path := range kept {
		config = strings.Replace(config, "spool:", fmt.Sprintf("  - {name: l%d, senaite: {url: \"https://127.0.0.1:1/s\", username: u, password: p, ca: ROOT/%s}}\nspool:", i, path), 1)
		files["tls/"+filepath.Base(path)] = b.read(t, issued(t, t.TempDir(), "ca").Certificate)
	}
	files["assaygate.yaml"] = b.text(config)
	b.plug(t, files)
	report := b.wantReport(t, fmt.Sprintf("Not all is well: %d things have to be put right (below). The configuration was not changed.", len(kept)))
	for _, path := range kept {
		if !strings.Contains(report, filepath.Join(b.root, path)+" on the box is something else") {
			t.Errorf("%s is not refused", path)
		}
	}
}

func TestStickBringsAPassword(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, strings.Replace(baseConfig, "destinations:\n", "destinations:\n  - {name: LIMS, senaite: {url: \"http://127.0.0.1:1/s\", username: u, password: old}}\n", 1))
	b.plug(t, map[string]string{"Password-lims.txt": utf16le(secret + "\r\n")})
	report := b.wantReport(t, runs, "LIMS: its password is the one of this stick now", "Password-lims.txt: removed from the stick.")
	file := filepath.Join(b.root, "config", "secrets", "LIMS")
	if got := b.read(t, file); got != secret+"\n" || strings.Contains(report, secret) {
		t.Errorf("the secret is %q, reported was\n%s", got, report)
	}
	if saved := b.read(t, b.path); !strings.Contains(saved, "password_file: \""+file+"\"") || strings.Contains(saved, "old") {
		t.Errorf("saved is %s", saved)
	}
	if _, err := os.Stat(filepath.Join(b.stick, "Password-lims.txt")); err == nil {
		t.Error("the password is still on the stick")
	}
	b.plug(t, map[string]string{"password.txt": "newer"})
	b.wantReport(t, runs, "password.txt: removed from the stick.")
	if got := b.read(t, file); got != "newer\n" {
		t.Errorf("the secret is %q", got)
	}
}

// TestStickKeepsTheSocket: after a configuration without the section, or with
// another place in it, no stick would be read any more, and a box has no other way
// in but a factory reset.
func TestStickKeepsTheSocket(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, "")
	section := regexp.MustCompile(`config_drive: .*\n`)
	for name, line := range map[string]string{
		"none": "", "another place": "config_drive: {directory: ROOT/stik}\n", "asks somebody else": "config_drive: {directory: ROOT/stick, write_request: ROOT/ask}\n",
	} {
		b.plug(t, map[string]string{"assaygate.yaml": b.text(section.ReplaceAllString(baseConfig, line))})
		b.wantReport(t, "Not all is well: one thing has to be put right", "config_drive: the box would read no stick any more, or could not write to it; write  config_drive: {directory: "+b.root+"/stick}")
		if _, err := os.Stat(b.path); err == nil {
			t.Errorf("%s: saved is %s", name, b.read(t, b.path))
		}
	}
	b.plug(t, map[string]string{"assaygate.yaml": b.text(section.ReplaceAllString(baseConfig, "config_drive: {directory: ROOT/stick, confirm_within: 20s}\n"))})
	b.wantReport(t, runs)
}

// TestStickOfABoxBefore: a stick that has configured one box is without its
// password when it comes to the next.
func TestStickOfABoxBefore(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, "")
	config := b.limsConfig("password_file: " + filepath.Join(b.root, "config", "secrets", "LIMS"))
	b.plug(t, map[string]string{"assaygate.yaml": config})
	b.wantReport(t, "Not all is well: one thing has to be put right", "assaygate.yaml, line 9, column", "destinations[0].senaite.password_file: the box has no such password: write")
	b.plug(t, map[string]string{"assaygate.yaml": config, "password.txt": secret})
	b.wantReport(t, runs)
}

func TestStickConfigurationIsTakenBack(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b := newStickBox(t, baseConfig)
	b.plug(t, map[string]string{"assaygate.yaml": strings.Replace(b.text(baseConfig), "127.0.0.1:0", taken.Addr().String(), 1)})
	b.wantReport(t, "The new configuration runs, on trial", "It is on trial", "Not open: ")
	b.wantReport(t, "Not all is well: the new configuration did not work here, and the one before is back.", "The new configuration was taken back: not within 10s", "lan: listens on 127.0.0.1:0, open")
	if b.read(t, b.path) != b.text(baseConfig) {
		t.Errorf("saved is %s", b.read(t, b.path))
	}
	// A start with the stick in says the same.
	b.end()
	if err := os.Remove(filepath.Join(b.stick, "assaygate-report.txt")); err != nil {
		t.Fatal(err)
	}
	b.start(t)
	b.wantReport(t, "Not all is well: the new configuration did not work here, and the one before is back.", "The new configuration was taken back: not within 10s")
}

// TestStickKeepsItsSecretsOnTrial: a configuration that is taken back takes its
// password back too, so the stick must still have it; one that stands late gives
// it up then, and the stick is not taken again for that.
func TestStickKeepsItsSecretsOnTrial(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b := newStickBox(t, baseConfig)
	config := strings.Replace(b.limsConfig("password: "+secret), "127.0.0.1:0", taken.Addr().String(), 1)
	b.plug(t, map[string]string{"assaygate.yaml": config})
	b.wantReport(t, "The new configuration runs, on trial", "The passwords are still on this stick")
	b.wantReport(t, "Not all is well: the new configuration did not work here, and the one before is back.")
	time.Sleep(3 * time.Second)
	if got := b.read(t, filepath.Join(b.stick, "assaygate.yaml")); got != config {
		t.Errorf("the stick holds %s", got)
	}
	b.plug(t, map[string]string{"assaygate.yaml": config})
	b.wantReport(t, "The new configuration runs, on trial")
	if err := taken.Close(); err != nil {
		t.Fatal(err)
	}
	report := b.wantReport(t, runs, "assaygate.yaml on the stick holds no password any more: it names the file of each on the box")
	if strings.Contains(report, "still on this stick") {
		t.Errorf("reported was\n%s", report)
	}
	if got := b.read(t, filepath.Join(b.stick, "assaygate.yaml")); strings.Contains(got, secret) {
		t.Errorf("the stick holds %s", got)
	}
	dealt := strings.Count(b.log.text(), "the stick was dealt with")
	time.Sleep(5 * time.Second)
	if now := strings.Count(b.log.text(), "the stick was dealt with"); now != dealt {
		t.Errorf("the stick was dealt with %d times more", now-dealt)
	}
}

// TestReportSaysWhatKeepsTheBoxFromItsWork: an adapter that is not there, and a
// LIMS that refuses the password, are nothing wrong with a stick. Whoever asks the
// box how it is has to be told of both.
func TestReportSaysWhatKeepsTheBoxFromItsWork(t *testing.T) {
	t.Parallel()
	server := senaitetest.New()
	defer server.Close()
	server.SetCredentials("u", "another")
	b := newStickBox(t, "")
	config := strings.Replace(b.text(baseConfig), "instruments:\n", "instruments:\n  - name: xn\n    serial: {port: \"usb:1-1.3\", baud: 9600}\n", 1)
	config = strings.Replace(config, "destinations:\n", "destinations:\n  - name: lims\n    senaite: {url: \""+server.URL+"\", username: u, password: wrong}\n", 1)
	b.plug(t, map[string]string{"assaygate.yaml": config})
	b.wantReport(t, runs, "xn: serial usb:1-1.3, NOT OPEN (serial port usb:1-1.3: nothing is there of this name")
	b.takeIn(t)
	b.logs(1, "refuses the credentials")
	b.plug(t, map[string]string{"assaygate-report.txt": ""})
	b.wantReport(t, "Not all is well with lims (see Destinations).", "HELD: SENAITE refuses the credentials")

	// Nobody listens there; and the console, which is not open, has no address.
	config = strings.NewReplacer(server.URL, "http://127.0.0.1:1/s", "console: {listen: \"127.0.0.1:0\"}", "console: {listen: \":0\"}").Replace(config)
	b.plug(t, map[string]string{"assaygate.yaml": config})
	b.wantReport(t, runs, "Console: not open", "console.users: is not safe as it stands: beyond loopback the console needs at least one user")
	b.takeIn(t)
	eventually(t, "nobody is reached", func() bool {
		b.face.mu.Lock()
		defer b.face.mu.Unlock()
		_, failing := b.face.failing["lims"]
		if failing {
			b.face.failing["lims"] = time.Now().Add(-time.Hour) // nobody waits for it here
		}
		return failing
	})
	b.plug(t, map[string]string{"assaygate-report.txt": ""})
	b.wantReport(t, "Not all is well with lims", "NOT REACHED: ")
}

func TestStickExportsAndBegins(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, strings.Replace(baseConfig, "box-1}", "box-1, fleet: ward}", 1)+"privacy: # ours\n  astm:\n    allow: {H: [5, 12, 13, 14]}\n\n# the end\nshutdown_grace: 9s\n")
	const capture = "20260101T000000.000000Z-lan-1.astm"
	b.write(t, filepath.Join(b.root, "captures", capture), "capture")
	b.write(t, filepath.Join(b.root, "captures", "secrets", "lims"), secret) // as where somebody names the box's own directory
	b.plug(t, map[string]string{"export": "", "START.txt": "", "backup": "", "collect": ""})
	b.wantReport(t, "Not all is well: one thing has", "backup: this box has no owner", "export: no message and 1 capture file are in assaygate-export-box-1-", "start: a configuration to begin with is assaygate-start.yaml")
	folders, err := filepath.Glob(filepath.Join(b.stick, "assaygate-export-*"))
	if err != nil || len(folders) != 1 {
		t.Fatalf("exported to %q, error %v", folders, err)
	}
	if _, _, err := spool.Check(t.Context(), filepath.Join(folders[0], "spool"), b.identity(t), nil); err != nil {
		t.Error(err)
	}
	if got := b.read(t, filepath.Join(folders[0], "captures-captures", capture)); got != "capture" {
		t.Errorf("the capture is %q", got)
	}
	if names := stickNames(t, filepath.Join(folders[0], "captures-captures")); len(names) != 1 {
		t.Errorf("exported were %q", names)
	}

	// What start wrote is a configuration once its places are filled in.
	text := b.read(t, filepath.Join(b.stick, "assaygate-start.yaml"))
	if !strings.Contains(text, "\r\nbox: {name: box-1, fleet: ward}\r\n") || !strings.Contains(text, "privacy: # ours\r\n  astm:\r\n    allow: {H: [5, 12, 13, 14]}\r\nshutdown_grace: 9s\r\n") {
		t.Errorf("what stays as it is is not in it:\n%s", text)
	}
	if _, err := parseConfig([]byte(text), "start"); err == nil {
		t.Error("a place that is not filled in is passed over")
	}
	for _, place := range []string{"<<<URL", "<<<USER", "<<<PASSWORD"} {
		text = strings.Replace(text, place, map[string]string{"<<<URL": "http://127.0.0.1:1/s", "<<<USER": "u", "<<<PASSWORD": secret}[place], 1)
	}
	text = regexp.MustCompile("<<<SPEED").ReplaceAllString(text, "9600")
	text = strings.ReplaceAll(text, ":4010", "127.0.0.1:0")
	text = strings.ReplaceAll(text, ":2575", "127.0.0.1:0")
	b.plug(t, map[string]string{"assaygate.yaml": text})
	b.wantReport(t, runs)
}

// A stick that is made from start again must not shut people out of the console.
func TestStickBeginsWithTheUsersOfTheConsole(t *testing.T) {
	t.Parallel()
	begin := func(c console.Settings) string { return strings.Join(consoleToBegin(c), "\n") + "\n" }
	hash := login.NewHash("four words or more").String()
	users := begin(console.Settings{
		Listen: ":8443", TLS: console.TLS{Certificate: "/data/tls/c.pem", Key: "/data/tls/c.key"},
		Users: map[string]console.User{"anna": {PasswordHash: hash, Role: "admin"}, "@ward": {Password: secret, Role: "viewer"}},
	})
	if strings.Contains(users, hash) || strings.Contains(users, secret) {
		t.Errorf("it has a password:\n%s", users)
	}
	for _, text := range []string{users, begin(console.Settings{Listen: "127.0.0.1:8080"}), begin(console.Settings{})} {
		c, err := parseConfig([]byte("version: 1\n"+strings.ReplaceAll(text, "<<<PASSWORD", "some other words")), "start")
		if err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		if text == users && (len(c.Console.Users) != 2 || c.Console.Users["anna"].Role != "admin" || c.Console.Users["@ward"].Role != "viewer" || c.Console.TLS.Key != "/data/tls/c.key") {
			t.Errorf("%+v of\n%s", c.Console, text)
		}
	}
	// What is behind # is a console too.
	_, example, _ := strings.Cut(begin(console.Settings{Listen: "127.0.0.1:8080"}), "network:\n")
	c, err := parseConfig([]byte("version: 1"+strings.ReplaceAll("\n"+example, "\n# ", "\n")), "start")
	if err != nil || c.Console.Closed() != nil || len(c.Console.Users) != 1 {
		t.Errorf("%+v, %v of\n%s", c.Console, err, example)
	}
}

// A user's password becomes a hash, on the box and on the stick.
func TestStickBringsAUser(t *testing.T) {
	t.Parallel()
	b := newStickBox(t, "")
	const password = "correct horse battery"
	config := b.text(strings.Replace(baseConfig, "console: {listen: \"127.0.0.1:0\"}", "console: {listen: \":0\", users: {anna: {password: \""+password+"\", role: admin}}} # hers", 1))
	if !strings.Contains(config, password) {
		t.Fatal("the configuration of the tests has another console")
	}
	b.plug(t, map[string]string{"assaygate.yaml": config})
	report := b.wantReport(t, runs, "console.users.anna.password: only its hash is on the box", "holds no password any more", "Console: https://ADDRESS:0/ with an address of this box", "Fingerprint (SHA-256)")
	print, err := b.fingerprint()
	if err != nil || !strings.Contains(report, print) {
		t.Errorf("the report lacks %s, %v", print, err)
	}
	for name, text := range map[string]string{"box": b.read(t, b.path), "stick": b.read(t, filepath.Join(b.stick, "assaygate.yaml")), "report": report, "log": b.log.text()} {
		if strings.Contains(text, password) {
			t.Errorf("the password is in the %s:\n%s", name, text)
		}
	}
	text := b.read(t, filepath.Join(b.stick, "assaygate.yaml"))
	if text != b.read(t, b.path) || !strings.Contains(text, "password_hash: \"$argon2id$") || !strings.Contains(text, "# hers") {
		t.Errorf("on the stick:\n%s", text)
	}
	// The one of before, from a computer.
	b.plug(t, map[string]string{"assaygate.yaml": config})
	b.wantReport(t, "All is well.", "the box runs with this already; nothing was changed")
	if again := b.read(t, b.path); again != text {
		t.Errorf("the configuration is another one:\n%s", again)
	}
}

// signed signs a stick for a box with this key.
func signed(t *testing.T, key ed25519.PrivateKey, m owner.Manifest) func(string) {
	t.Helper()
	return func(directory string) {
		names, _, err := owner.FilesBelow(directory)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := owner.Sign(directory, names, m, key); err != nil {
			t.Fatal(err)
		}
	}
}

func TestStickOfAnOwnedBox(t *testing.T) {
	t.Parallel()
	mine, other := ownerKey(1), ownerKey(2)
	b := newStickBox(t, baseConfig+"owner: {public_key: \""+owner.FormatKey(publicOf(mine))+"\"}\n")
	config := b.limsConfig("password: " + secret)
	files := map[string]string{"assaygate.yaml": config, "export": "", "readme.txt": "not ours"}
	refused := "Nothing was changed: this stick was not accepted."
	for name, test := range map[string]struct {
		sign   func(string)
		reason string
	}{
		"unsigned":    {func(string) {}, "this stick is not signed by it"},
		"another key": {signed(t, other, owner.Manifest{Revision: 5}), "is not signed by this box's owner"},
		"another box": {signed(t, mine, owner.Manifest{Revision: 5, Serials: []string{"nobody"}}), "signed for box nobody"},
		"changed": {func(d string) {
			signed(t, mine, owner.Manifest{Revision: 5})(d)
			b.write(t, filepath.Join(d, "assaygate.yaml"), config+"# more\n")
		}, "assaygate.yaml was changed after it was signed"},
		"more": {func(d string) {
			signed(t, mine, owner.Manifest{Revision: 5})(d)
			b.write(t, filepath.Join(d, "collect"), "")
		}, "collect is not signed"},
		"less": {func(d string) {
			signed(t, mine, owner.Manifest{Revision: 5})(d)
			os.Remove(filepath.Join(d, "export"))
		}, "signed, but not on the stick: export"},
	} {
		b.plug(t, files, test.sign)
		b.wantReport(t, refused, test.reason, "Owner: "+owner.FormatKey(publicOf(mine)), "an empty file called collect on a stick that the owner signs")
		if names := stickNames(t, b.stick); slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(n, "assaygate-export") }) {
			t.Errorf("%s: exported: %q", name, names)
		}
	}
	if b.read(t, b.path) != b.text(baseConfig)+"owner: {public_key: \""+owner.FormatKey(publicOf(mine))+"\"}\n" {
		t.Errorf("saved is %s", b.read(t, b.path))
	}

	b.plug(t, files, signed(t, mine, owner.Manifest{Revision: 5}), func(d string) { os.Remove(filepath.Join(d, "readme.txt")) })
	b.wantReport(t, runs, "The passwords stay on this stick, because it is signed", "export: no message")
	if got := b.read(t, filepath.Join(b.stick, "assaygate.yaml")); got != config {
		t.Errorf("the signed file was changed to %s", got)
	}
	// The same stick again, then an older one.
	b.plug(t, files, signed(t, mine, owner.Manifest{Revision: 5}))
	b.wantReport(t, "All is well.", "the box runs with this already")
	b.plug(t, map[string]string{"assaygate.yaml": config}, signed(t, mine, owner.Manifest{Revision: 4}))
	b.wantReport(t, refused, "signed as revision 4, but this box took revision 5 before")
	b.plug(t, map[string]string{"backup.txt": "", "collect": ""}, signed(t, mine, owner.Manifest{Revision: 6}))
	b.wantReport(t, "All is well.", "backup: the backup is assaygate-backup-box-1-", "collect: the support bundle is assaygate-support-box-1-", ".tar.gz.age")
}

func stickNames(t *testing.T, directory string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestStickGivesABoxItsOwner(t *testing.T) {
	t.Parallel()
	mine, other := owner.FormatKey(publicOf(ownerKey(1))), owner.FormatKey(publicOf(ownerKey(2)))
	b := newStickBox(t, "")
	named := func(key string) string { return b.text(baseConfig) + "owner: {public_key: \"" + key + "\"}\n" }
	b.plug(t, map[string]string{"profiles/x.yaml": "x"})
	b.wantReport(t, "Not all is well", "The box has no configuration yet that these files could be for", "The factory's")
	b.plug(t, map[string]string{"assaygate.yaml": named(mine)})
	b.wantReport(t, runs, "Owner: "+mine)
	if got := b.read(t, filepath.Join(b.root, "config", pinFile)); got != mine+"\n" {
		t.Errorf("the owner is %q", got)
	}
	b.plug(t, map[string]string{"assaygate.yaml": named(other)})
	b.wantReport(t, "Nothing was changed: this stick was not accepted.", "not signed")

	// A box without owner that has a configuration gets none from a stick.
	free := newStickBox(t, baseConfig)
	free.plug(t, map[string]string{"assaygate.yaml": free.text(baseConfig) + "owner: {public_key: \"" + mine + "\"}\n"})
	free.wantReport(t, "Not all is well: one thing has", errOwnerStays.Error(), "assaygate.yaml, line 14")
	if free.read(t, free.path) != free.text(baseConfig) {
		t.Errorf("saved is %s", free.read(t, free.path))
	}
}

// TestStickThatGivesTheOwnerCounts: a signed one is the newest that was taken, so
// no older one of that owner is.
func TestStickThatGivesTheOwnerCounts(t *testing.T) {
	t.Parallel()
	mine := ownerKey(1)
	b := newStickBox(t, "")
	config := b.text(baseConfig) + "owner: {public_key: \"" + owner.FormatKey(publicOf(mine)) + "\"}\n"
	b.plug(t, map[string]string{"assaygate.yaml": config}, signed(t, mine, owner.Manifest{Revision: 5}))
	b.wantReport(t, runs)
	b.plug(t, map[string]string{"assaygate.yaml": config + "# older\n"}, signed(t, mine, owner.Manifest{Revision: 4}))
	b.wantReport(t, "Nothing was changed: this stick was not accepted.", "signed as revision 4, but this box took revision 5 before")
	b.plug(t, map[string]string{"assaygate.yaml": config}, signed(t, mine, owner.Manifest{Revision: 5}))
	b.wantReport(t, "All is well.")
}

// TestStickRestoresABox backs one box up and makes another one of it.
func TestStickRestoresABox(t *testing.T) {
	t.Parallel()
	mine := ownerKey(1)
	old := newStickBox(t, strings.Replace(baseConfig, "box-1", "old-box", 1)+"owner: {public_key: \""+owner.FormatKey(publicOf(mine))+"\"}\n")
	old.plug(t, map[string]string{"backup": ""}, signed(t, mine, owner.Manifest{Revision: 7}))
	old.wantReport(t, "All is well.")
	made, err := filepath.Glob(filepath.Join(old.stick, "assaygate-backup-*.age"))
	if err != nil || len(made) != 1 {
		t.Fatalf("made %q, error %v", made, err)
	}
	identity := spool.FormatKey(old.identity(t))
	old.end()

	// The new box stands where the old one did, with nothing of it.
	aside := filepath.Join(t.TempDir(), "backup.age")
	if err := os.Rename(made[0], aside); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config", "spool", "stick", "captures"} {
		if err := os.RemoveAll(filepath.Join(old.root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(old.root, "config"), 0o700); err != nil {
		t.Fatal(err)
	}
	old.start(t)
	fresh := old
	key := filepath.Join(t.TempDir(), "owner.key")
	text, err := owner.MarshalKey(mine)
	if err != nil {
		t.Fatal(err)
	}
	fresh.write(t, key, string(text))
	fresh.plug(t, nil, func(d string) {
		fresh.run1(t, "owner", "restore", "--key", key, "--box", spool.FormatKey(fresh.identity(t)), aside, d)
	})
	fresh.wantReport(t, runs, "restore.age: backup of box old-box", "Do not use the old one any more", "Name: old-box", "Public key of the box: "+identity)
}

// TestTakenBackIdentity: a backup that is taken back takes the old box's identity
// with it; two boxes must not sign as one until somebody restarts this one.
func TestTakenBackIdentity(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	b := newStickBox(t, baseConfig)
	own, other := b.identity(t), ownerKey(1)
	text, err := owner.MarshalKey(other)
	if err != nil {
		t.Fatal(err)
	}
	err = b.adopt(t.Context(), change{
		config: []byte(strings.Replace(b.text(baseConfig), "127.0.0.1:0", taken.Addr().String(), 1)), by: byStick, trial: 3 * time.Second,
		files: map[string][]byte{filepath.Join(b.root, "spool", spool.IdentityFile): []byte(text)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Reopen(t.Context(), func() error { return nil }); err != nil {
		t.Fatal(err)
	}
	is := func(key ed25519.PublicKey) func() bool {
		return func() bool {
			g, _ := b.standing.now()
			return g != nil && key.Equal(g.store.Identity())
		}
	}
	eventually(t, "the identity of the backup is used", is(publicOf(other)))
	eventually(t, "the box has its own identity again", is(own))
	if b.changes.onTrial() != nil {
		t.Error("it was not taken back")
	}
}

// run1 runs a command line and expects that it does its work.
func (b *stickBox) run1(t *testing.T, args ...string) {
	t.Helper()
	var out, errs lockedBuffer
	if status := execute(args, &out, &errs); status != done {
		t.Fatalf("assaygate %s: %d\n%s", strings.Join(args, " "), status, errs.text())
	}
}
