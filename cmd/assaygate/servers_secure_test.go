//go:build unix

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/certificate"
)

// users is a console section with one user, for the test's own network.
const users = `{listen: "0.0.0.0:0", users: {anna: {password: "correct horse battery", role: admin}}}`

// serving is a gateway with these sections beside its store, which is in the
// directory.
func serving(t *testing.T, directory, sections string) *running {
	return start(t, fmt.Sprintf("box: {name: box}\nspool: {directory: %q}\nadmin: {listen: \"127.0.0.1:0\"}\n%s\n", filepath.Join(directory, "spool"), sections))
}

// atPort is where this machine reaches what listens on every address.
func atPort(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + port
}

// trusts is a client that takes one certificate and no other, and follows nothing.
func trusts(t *testing.T, fingerprint string) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
			InsecureSkipVerify: true,
			VerifyConnection: func(s tls.ConnectionState) error {
				if got := certificate.Fingerprint(tls.Certificate{Certificate: [][]byte{s.PeerCertificates[0].Raw}}); got != fingerprint {
					t.Errorf("shows %s, want %s", got, fingerprint)
				}
				return nil
			},
		}},
	}
}

func TestConsoleBeyondLoopbackSpeaksTLS(t *testing.T) {
	directory := t.TempDir()
	r := serving(t, directory, "console: "+users)
	at := atPort(t, r.addresses[consoleServer])
	print, err := r.fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	client := trusts(t, print)
	response, err := client.Get("https://" + at + "/static/style.css")
	if err != nil || response.StatusCode != http.StatusOK || response.TLS.Version < tls.VersionTLS12 {
		t.Fatalf("%v, %v", response, err)
	}
	response.Body.Close()

	for _, old := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
		if conn, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true, MinVersion: old, MaxVersion: old}); err == nil {
			t.Errorf("speaks TLS %x", old)
			conn.Close()
		}
	}

	// People type an address without https, or a program does.
	for path, want := range map[string]string{"/": "https://" + at + "/", "/messages?state=parked&x=%20": "https://" + at + "/messages?state=parked&x=%20"} {
		response, err := client.Get("http://" + at + path)
		if err != nil || response.StatusCode != http.StatusTemporaryRedirect || response.Header.Get("Location") != want {
			t.Errorf("%s: %v, %v", path, response, err)
			continue
		}
		response.Body.Close()
	}
	response, err = client.Post("http://"+at+"/login", "application/x-www-form-urlencoded", strings.NewReader("password=secret"))
	if err != nil || response.StatusCode != http.StatusBadRequest {
		t.Errorf("a password in plain HTTP: %v, %v", response, err)
	} else {
		response.Body.Close()
	}
	if strings.Contains(r.log.text(), "TLS handshake error") {
		t.Error("the log tells of every browser that asks in plain HTTP")
	}

	// The next start of the same box shows the same.
	r.end()
	again := serving(t, directory, "console: "+users)
	if same, err := again.fingerprint(); same != print {
		t.Errorf("%s, %v", same, err)
	}
}

// What the redirect gives back is never of another's making.
func TestRedirectsToTheSamePlace(t *testing.T) {
	local := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 8080}
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: box:8080":                       "https://box:8080/",
		"GET /a HTTP/1.1\r\nHost: box.local":                     "https://box.local:8080/a",
		"HEAD /a?b=c HTTP/1.1\r\nHost: [::1]:8080":               "https://[::1]:8080/a?b=c",
		"GET //evil.example/ HTTP/1.1\r\nHost: box:1":            "https://box:1//evil.example/",
		"GET http://evil.example/ HTTP/1.1\r\nHost: box:8080":    "https://evil.example:8080/",
		"GET / HTTP/1.1\r\nHost: evil.example/@box:1":            "",
		"GET / HTTP/1.1\r\nHost: ":                               "",
		"POST / HTTP/1.1\r\nHost: box:8080\r\nContent-Length: 0": "",
		"OPTIONS * HTTP/1.1\r\nHost: box:8080":                   "",
		"GET /%0d%0aX:%20y HTTP/1.1\r\nHost: box:8080":           "https://box:8080/%0d%0aX:%20y",
	} {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request + "\r\n\r\n")))
		if err != nil {
			if want != "" {
				t.Errorf("%q: %v", request, err)
			}
			continue
		}
		if got, _ := secureURL(r, local); got != want {
			t.Errorf("%q is sent to %q, want %q", request, got, want)
		}
	}
}

func TestConsoleOnLoopbackWithACertificate(t *testing.T) {
	directory := t.TempDir()
	box := issued(t, directory, "box")
	r := serving(t, directory, fmt.Sprintf("console: {listen: \"127.0.0.1:0\", tls: {certificate: %q, key: %q}}", box.Certificate, box.Key))
	print, err := certificate.FingerprintOf(box.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if told, err := r.fingerprint(); told != print {
		t.Errorf("told %s, %v", told, err)
	}
	url := "https://" + r.addresses[consoleServer] + "/"
	response, err := trusts(t, print).Get(url)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%v, %v", response, err)
	}
	response.Body.Close()

	// Renewed, as a program renews it.
	issued(t, directory, "box")
	renewed, err := certificate.FingerprintOf(box.Certificate)
	if err != nil || renewed == print {
		t.Fatal(err)
	}
	response, err = trusts(t, renewed).Get(url)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

// A certificate that is not there keeps the console closed, and nothing else.
func TestConsoleWaitsForItsCertificate(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "late.pem")
	r := serving(t, directory, fmt.Sprintf("console: {listen: \"127.0.0.1:0\", tls: {certificate: %q, key: %q}}", file, strings.TrimSuffix(file, ".pem")+".key"))
	r.logs(1, "the server stays closed until its TLS files can be used")
	if err := r.health.Ready(); err != nil {
		t.Errorf("readiness waits for it: %v", err)
	}
	issued(t, directory, "late")
	address := ""
	eventually(t, "the console is open", func() bool { address = addressOf(t, r, consoleServer); return address != "" })
	print, err := certificate.FingerprintOf(file)
	if err != nil {
		t.Fatal(err)
	}
	response, err := trusts(t, print).Get("https://" + address + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

func TestClosedWithoutProtection(t *testing.T) {
	r := start(t, fmt.Sprintf(`box: {name: box}
spool: {directory: %q}
admin: {listen: "0.0.0.0:0", token_file: /none}
console: {listen: "0.0.0.0:0"}
`, filepath.Join(t.TempDir(), "spool")))
	r.logs(1, "beyond loopback the admin endpoint needs the networks that may ask")
	r.logs(1, "beyond loopback the console needs at least one user")
	if r.addresses[adminServer] != "" || r.addresses[consoleServer] != "" {
		t.Errorf("listens on %v", r.addresses)
	}
}

// A damaged certificate is replaced, with an error in the log.
func TestDamagedCertificateIsReplaced(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "spool", certificateFile)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("-----BEGIN"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := serving(t, directory, "console: "+users)
	r.logs(1, `"level":"ERROR","msg":"the box's own certificate could not be used`)
	print, err := r.fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&versionCommand{Data: directory}).Run(&streams{out: &out, err: io.Discard}); err != nil || !strings.Contains(out.String(), print) {
		t.Errorf("%s, %v", &out, err)
	}
}

// A few who hold all connections that there are do not keep others out: theirs make
// room, the oldest first, and those of others stay.
func TestConnectionsMakeRoom(t *testing.T) {
	g := &serverGate{}
	enter := func(from byte) (c, out *gated) {
		c = &gated{gate: g, address: netip.AddrFrom4([4]byte{10, 0, 0, from})}
		return c, g.enter(c)
	}
	first := map[byte]*gated{}
	for i := range serverConnections - 1 {
		from := byte(1 + i%4)
		c, out := enter(from)
		if out != nil {
			t.Fatalf("%d connections are too many", i)
		}
		if first[from] == nil {
			first[from] = c
		}
	}
	mine, out := enter(5) // the last one
	if out != nil {
		t.Fatal("there is none for another one")
	}
	second, out := enter(5)
	if out == nil || out == second || out != first[out.address.As4()[3]] {
		t.Fatalf("%+v goes", out)
	}
	out.gate.leave(out) // as its closing does
	if g.all != serverConnections || len(g.open[out.address]) != serverConnectionsEach-1 && len(g.open[out.address]) != serverConnectionsEach-2 {
		t.Errorf("%d are counted", g.all)
	}
	for range serverConnections {
		if c, out := enter(6); out == mine || out == second || out == nil || out != c && out.address == c.address {
			t.Fatalf("%+v goes", out)
		}
	}
	if g.all != serverConnections || len(g.open[mine.address]) != 2 {
		t.Errorf("%d are counted, %d of them mine", g.all, len(g.open[mine.address]))
	}
	for _, list := range g.open {
		for _, c := range slices.Clone(list) {
			g.leave(c)
		}
	}
	if g.all != 0 || len(g.open) != 0 {
		t.Errorf("%d are left", g.all)
	}
}

// A crowd gets no more connections than there are, and the server still answers
// others, and to what asks it whether it lives.
func TestConnectionsAreBounded(t *testing.T) {
	r := serving(t, t.TempDir(), `console: {listen: "127.0.0.1:0"}`)
	address := r.addresses[consoleServer]
	var open []net.Conn
	for range serverConnectionsEach {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		open = append(open, conn)
	}
	eventually(t, "the next one is closed", func() bool {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "GET /static/style.css HTTP/1.1\r\nHost: localhost\r\n\r\n")
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		return err != nil
	})
	r.logs(1, `"reason":"connections"`)
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	client := http.Client{Transport: &http.Transport{DialContext: other.DialContext, DisableKeepAlives: true}}
	response, err := client.Get("http://" + address + "/static/style.css")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("from elsewhere: %v, %v", response, err)
	}
	response.Body.Close()
	for _, conn := range open {
		conn.Close()
	}
	eventually(t, "there is room again", func() bool {
		response, err := http.Get("http://" + address + "/static/style.css")
		if err == nil {
			response.Body.Close()
		}
		return err == nil
	})
}

// A body that does not come, and a reader that does not read, end; a stream that
// says little does not.
func TestBodiesHaveDeadlines(t *testing.T) {
	var deadlines int
	server := httptest.NewServer(steadily(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, is := r.Body.(*steadyBody)
		if is {
			deadlines++
			_, _ = io.Copy(w, body)
		}
	})))
	defer server.Close()
	response, err := http.Post(server.URL, "text/plain", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if text, err := io.ReadAll(response.Body); err != nil || string(text) != "x" || deadlines != 1 {
		t.Errorf("%q, %v", text, err)
	}
	if response, err = http.Get(server.URL); err != nil || deadlines != 1 {
		t.Errorf("a request without a body: %v", err)
	}
	response.Body.Close()
}
