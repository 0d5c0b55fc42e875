//go:build unix

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// startFile runs a gateway on a configuration file, as `run --config` does.
func startFile(t testing.TB, path string) *running {
	t.Helper()
	log := &lockedBuffer{}
	d, err := prepare(flags{Config: path}, log)
	if err != nil {
		t.Fatal(err)
	}
	r := follow(t, d, log, "gateway ready")
	first, _ := r.standing.now()
	r.store = first.store
	return r
}

// edit writes the configuration in place, as some editors do.
func edit(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("version: 1\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// logs waits until the log has the text so many times.
func (r *running) logs(times int, text string) {
	r.t.Helper()
	defer func() {
		if r.t.Failed() {
			r.t.Log(r.log.text())
		}
	}()
	eventually(r.t, fmt.Sprintf("the log says %q %d times", text, times), func() bool { return strings.Count(r.log.text(), text) >= times })
}

const inUse = "the configuration is in use"

// askLine sends a unit of ASTM and expects ACK.
func askLine(t testing.TB, line io.ReadWriter, unit []byte) {
	t.Helper()
	answer := make([]byte, 1)
	if _, err := line.Write(unit); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(line, answer); err != nil || answer[0] != lis01.ACK {
		t.Fatalf("answered with %q, %v", answer, err)
	}
}

// halves are the two frames of a message.
func halves(message string) (first, second []byte) {
	half := len(message) / 2
	return lis01.AppendFrame(nil, lis01.Frame{Number: '1', Text: []byte(message[:half])}),
		lis01.AppendFrame(nil, lis01.Frame{Number: '2', Text: []byte(message[half:]), End: true})
}

// What is the same in both configurations goes on in the middle of a message,
// over TCP as on a serial line; what is new is opened, what is gone is closed.
func TestReloadTouchesOnlyWhatHasChanged(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	instrumentEnd, terminalPath := terminal(t)
	a, b, c, console, admin := freePort(t), freePort(t), freePort(t), freePort(t), freePort(t)
	with := func(second string) string {
		return fmt.Sprintf(`spool: {directory: %q}
admin: {listen: %q}
console: {listen: %q}
destinations: [{name: files, capture: {directory: %q}}]
instruments:
  - {name: a, astm: {listen: %q}}
  - {name: s, serial: {port: %q}}
%s`, filepath.Join(directory, "spool"), admin, console, filepath.Join(directory, "captures"), a, terminalPath, second)
	}
	path := configFile(t, directory, with(fmt.Sprintf("  - {name: c, hl7: {listen: %q}}\n", c)))
	r := startFile(t, path)
	r.addresses[adminServer] = admin

	first, second := halves(astmText("A", "1", "one"))
	line := dial(t, a)
	for _, one := range []io.ReadWriter{line, instrumentEnd} {
		askLine(t, one, []byte{lis01.ENQ})
		askLine(t, one, first)
	}
	leaving := dial(t, c)
	if !sendHL7(leaving, hl7Answers(leaving), hl7Text("C", "c1", "c1")) {
		t.Fatal("C is not served")
	}
	// The client keeps its connection to the admin endpoint.
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	metricsOf := func() string { return string(seen{}.fetch(t, client, "", "http://"+admin+"/metrics")) }
	if text := metricsOf(); !strings.Contains(text, `assaygate_line_up{instrument="c"} 1`) {
		t.Errorf("C is not in the metrics:\n%s", text)
	}

	edit(t, path, with(fmt.Sprintf("  - {name: b, hl7: {listen: %q}}\n", b)))
	r.logs(1, inUse)
	if conn, err := net.Dial("tcp", c); err == nil {
		conn.Close()
		t.Error("C still listens")
	}
	_ = leaving.SetReadDeadline(time.Now().Add(patience))
	if _, err := leaving.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("C's connection: %v", err)
	}
	coming := dial(t, b)
	if !sendHL7(coming, hl7Answers(coming), hl7Text("B", "b1", "b1")) {
		t.Error("B is not served")
	}
	for _, one := range []io.ReadWriter{line, instrumentEnd} {
		askLine(t, one, second)
		if _, err := one.Write([]byte{lis01.EOT}); err != nil {
			t.Error(err)
		}
	}
	if !sendASTM(line, astmText("A", "2", "two")) {
		t.Error("A's connection was not kept")
	}
	text := metricsOf()
	for line, want := range map[string]bool{
		`assaygate_line_up{instrument="b"} 1`: true, `instrument="c"`: false,
		`assaygate_messages_total{instrument="a",outcome="received",protocol="astm"} 2`: true,
		`assaygate_messages_total{instrument="s",outcome="received",protocol="astm"} 1`: true,
		`assaygate_config_refused 0`: true,
	} {
		if strings.Contains(text, line) != want {
			t.Errorf("%s in the metrics: %v", line, !want)
		}
	}
	// When updates may come is no line's concern.
	edit(t, path, with(fmt.Sprintf("  - {name: b, hl7: {listen: %q}}\nupdate: {window: '02:00-05:00'}\n", b)))
	r.logs(2, inUse)
	if !sendASTM(line, astmText("A", "3", "three")) || !sendHL7(coming, hl7Answers(coming), hl7Text("B", "b2", "b2")) {
		t.Error("a line was touched for the window of updates")
	}
	if log := r.log.text(); strings.Count(log, `"listening"`) != 5 || strings.Contains(log, "line down") {
		t.Errorf("something was opened again, or lost:\n%s", log)
	}
}

// However an editor or a secret store puts a new file in place, it is seen.
func TestReloadOfFilesAsEditorsWriteThem(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(path string, text []byte) error{
		"in place": func(path string, text []byte) error { return os.WriteFile(path, text, 0o600) },
		"renamed over": func(path string, text []byte) error {
			return firstError(os.WriteFile(path+".tmp", text, 0o600), os.Rename(path+".tmp", path))
		},
		"moved away before, as vim": func(path string, text []byte) error {
			return firstError(os.Rename(path, path+"~"), os.WriteFile(path, text, 0o600), os.Remove(path+"~"))
		},
		"a link that moves, as Kubernetes": func(path string, text []byte) error {
			directory := filepath.Dir(path)
			old, err := os.Readlink(filepath.Join(directory, "..data"))
			return firstError(err, os.Mkdir(filepath.Join(directory, "..next"), 0o700),
				os.WriteFile(filepath.Join(directory, "..next", filepath.Base(path)), text, 0o600),
				os.Symlink("..next", filepath.Join(directory, "..tmp")),
				os.Rename(filepath.Join(directory, "..tmp"), filepath.Join(directory, "..data")),
				os.RemoveAll(filepath.Join(directory, old)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			directory := t.TempDir()
			text := base(directory) + "instruments: []\ndestinations: []\n"
			path := configFile(t, directory, text)
			if strings.Contains(name, "link") {
				must(t, firstError(os.Mkdir(filepath.Join(directory, "..first"), 0o700),
					os.Rename(path, filepath.Join(directory, "..first", "assaygate.yaml")),
					os.Symlink("..first", filepath.Join(directory, "..data")),
					os.Symlink(filepath.Join("..data", "assaygate.yaml"), path)))
			}
			r := startFile(t, path)
			must(t, write(path, []byte("version: 1\n"+strings.Replace(text, "instruments: []", "instruments: [{name: new, hl7: {listen: '127.0.0.1:0'}}]", 1))))
			r.logs(1, inUse)
			for len(r.bound) > 0 {
				b := <-r.bound
				r.addresses[b.name] = b.address
			}
			conn := dial(t, r.addresses["new"])
			if !sendHL7(conn, hl7Answers(conn), hl7Text("A", "1", "1")) {
				t.Error("the new instrument is not served")
			}
		})
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A wrong file changes nothing: each mistake is said with its place, once, and
// without what it says.
func TestReloadRefusesAWrongFile(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	text := base(directory) + lanInstruments + "destinations: []\n"
	path := configFile(t, directory, text)
	r := startFile(t, path)
	r.wantMetrics("assaygate_config_refused 0")
	line := dial(t, r.addresses["lan"])
	first, second := halves(astmText("A", "1", "one"))
	askLine(t, line, []byte{lis01.ENQ})
	askLine(t, line, first)

	edit(t, path, text+"bauds: 1\nlog: {level: hunter2}\nnetwork: {hostname: '!'}\n")
	r.logs(3, "the configuration is refused; the running one goes on")
	r.wantMetrics("assaygate_config_refused 1")
	log := r.log.text()
	for _, want := range []string{
		`"file":"` + path + `","line":12,"column":1,"key":"bauds"`, `"line":13,"column":7,"key":"log.level"`, `"line":14,`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("no %s in\n%s", want, log)
		}
	}
	if status, body := r.answer("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz says %d %s", status, body)
	}
	if why := r.standingConfig().Refused; !strings.Contains(why, "bauds") {
		t.Errorf("refused for %q", why)
	}
	askLine(t, line, second)

	// A profile that cannot be read is no better, nor a password that is not there.
	edit(t, path, text[:strings.Index(text, "destinations:")]+`destinations: [{name: lims, senaite: {url: "http://127.0.0.1:1/s", username: u, password_file: /none/at/all}}]`+"\n")
	r.logs(1, "password_file: open /none/at/all")
	// That file comes: nobody watches its directory, and all the same it is seen.
	secret := filepath.Join(t.TempDir(), "pw")
	wanting := text[:strings.Index(text, "destinations:")] + fmt.Sprintf("destinations: [{name: lims, senaite: {url: 'http://127.0.0.1:1/s', username: u, password_file: %q}}]\n", secret)
	edit(t, path, wanting)
	r.logs(1, "password_file: open "+secret)
	must(t, os.WriteFile(secret, []byte("p"), 0o600))
	r.logs(1, inUse)
	edit(t, path, text)
	r.logs(2, inUse)
	must(t, os.Remove(path))
	r.logs(1, "put the file back")
	edit(t, path, text)
	eventually(t, "the file is right again", func() bool { return r.standingConfig().Refused == "" })
	r.wantMetrics("assaygate_config_refused 0")
	if strings.Count(r.log.text(), inUse) != 2 {
		t.Error("something was gone over to that is not different")
	}
	rows, err := r.store.Trail(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for _, row := range rows {
		if row.What == string(spool.ConfigChanged) && row.Detail == "by file" {
			changed++
		}
	}
	if changed != 2 {
		t.Errorf("the audit has %d changes, want 2: %+v", changed, rows)
	}
}

// Level and format of the log change in all loggers that were made before.
func TestLogChangesWhileItIsInUse(t *testing.T) {
	var out bytes.Buffer
	log := newLog(LogSettings{Level: "info", Format: "json"}, &out)
	part := log.With("part", "x").WithGroup("g")
	part.Debug("one", "k", 1)
	part.Info("two", "k", 1)
	setLog(log, LogSettings{Level: "debug", Format: "text"})
	part.Debug("three", "k", 1)
	setLog(log, LogSettings{Level: "error", Format: "json"})
	part.Warn("four")
	got := out.String()
	if strings.Contains(got, "one") || strings.Contains(got, "four") ||
		!strings.Contains(got, `"msg":"two","part":"x","g":{"k":1}`) || !strings.Contains(got, `level=DEBUG msg=three part=x g.k=1`) {
		t.Errorf("the log is\n%s", got)
	}
}

// New TLS files are looked at when they come: what is wrong with them is said
// before an instrument connects, and needs no other configuration.
func TestNewTLSFilesAreLookedAt(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	box := issued(t, directory, "box")
	path := configFile(t, directory, base(directory)+fmt.Sprintf("instruments: [{name: lan, hl7: {listen: '127.0.0.1:0'}, tls: {certificate: %q, key: %q}}]\ndestinations: []\n", box.Certificate, box.Key))
	r := startFile(t, path)
	good := held(t, box.Key)
	must(t, os.WriteFile(box.Key, []byte("no key"), 0o600))
	r.logs(1, "new TLS files cannot be used; those of before stay in use")
	must(t, os.WriteFile(box.Key, []byte(good), 0o600))
	r.logs(1, "new TLS files are in use")
	if strings.Contains(r.log.text(), inUse) {
		t.Error("the configuration was gone over to anew")
	}
}

// What is no file in place of the configuration keeps nobody: not the running
// gateway, not its end, and not the file that comes back.
func TestReloadOfWhatIsNoFile(t *testing.T) {
	t.Parallel()
	directory, address := t.TempDir(), freePort(t)
	path := filepath.Join(directory, "assaygate.yaml")
	must(t, os.WriteFile(path, []byte(listensAt(directory, address)), 0o600))
	r := startFile(t, path)
	for i, put := range []func() error{
		func() error { return syscall.Mkfifo(path, 0o600) },
		func() error { return os.Symlink(path, path) },
		func() error { return os.Symlink("/dev/zero", path) },
	} {
		must(t, os.Remove(path))
		must(t, put())
		r.logs(i+1, "the configuration is refused; the running one goes on")
	}
	must(t, os.Remove(path))
	must(t, os.WriteFile(path, []byte(strings.Replace(listensAt(directory, address), "name: one", "name: two", 1)), 0o600))
	r.logs(1, inUse)
	must(t, os.Remove(path))
	must(t, syscall.Mkfifo(path, 0o600))
	r.logs(4, "the configuration is refused; the running one goes on")
}
