//go:build unix

package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/certificate"
)

// asks is the status for a token, "" for none.
func asks(t *testing.T, client *http.Client, url, token string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", token)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// elsewhere is an address of this machine that is not loopback.
func elsewhere(t *testing.T) net.IP {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range addresses {
		if network, is := one.(*net.IPNet); is && network.IP.IsGlobalUnicast() && network.IP.To4() != nil {
			return network.IP
		}
	}
	t.Skip("this machine has only loopback")
	return nil
}

func TestAdminWithAToken(t *testing.T) {
	directory := t.TempDir()
	file := write(t, filepath.Join(directory, "token"), "  a-token-of-some-length\n")
	config := write(t, filepath.Join(directory, "assaygate.yaml"), fmt.Sprintf(`version: 1
box: {name: box}
spool: {directory: %q}
admin: {listen: "0.0.0.0:0", allow_from: [198.51.100.0/24], token_file: %q}
console: {listen: "127.0.0.1:0"}
`, filepath.Join(directory, "spool"), file))
	r := prepared(t, flags{Config: config})
	at := atPort(t, r.addresses[adminServer])
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for token, want := range map[string]int{
		"": 401, "Bearer a-token-of-some-length": 200, "bearer  a-token-of-some-length ": 200, "Bearer a-token-of-some-lengt": 401, "Bearer": 401,
		"Basic a-token-of-some-length": 401, "a-token-of-some-length": 401, "Bearer   a-token-of-some-length\t": 200,
	} {
		for _, path := range []string{"/healthz", "/metrics", "/none"} {
			if want == 200 && path == "/none" {
				want = 404
			}
			if got := asks(t, client, "http://"+at+path, token); got != want {
				t.Errorf("%s with %q: %d, want %d", path, token, got, want)
			}
		}
	}
	r.logs(1, `"reason":"token"`) // and no more, for all of them

	write(t, file, "another token, rather long")
	if got := asks(t, client, "http://"+at+"/healthz", "Bearer another token, rather long"); got != 200 {
		t.Errorf("with the new token: %d", got)
	}
	if got := asks(t, client, "http://"+at+"/healthz", "Bearer a-token-of-some-length"); got != 401 {
		t.Errorf("with the old one: %d", got)
	}
	write(t, file, "\n")
	if got := asks(t, client, "http://"+at+"/healthz", "Bearer x"); got != 401 {
		t.Errorf("with an empty one: %d", got)
	}
	r.logs(1, "the token of the admin endpoint cannot be used")
	write(t, file, "a third one, rather long")

	text := r.metricsText(t)
	if !strings.Contains(text, `assaygate_http_refused_total{reason="token",server="admin"}`) || strings.Contains(text, `assaygate_http_refused_total{reason="token",server="admin"} 0`) {
		t.Errorf("not counted:\n%s", text)
	}

	// The box's own question knows the token.
	write(t, config, strings.Replace(string(mustRead(t, config)), "0.0.0.0:0", "0.0.0.0:"+at[len("127.0.0.1:"):], 1))
	var out bytes.Buffer
	if err := (&healthCommand{Config: config, Wait: 10 * time.Second}).Run(&streams{out: &out, err: &out}); err != nil || !strings.HasPrefix(out.String(), "healthy") {
		t.Errorf("%s, %v", &out, err)
	}
	if err := (&healthCommand{Admin: at}).Run(&streams{out: &out, err: &out}); err == nil || !strings.Contains(err.Error(), "wants another token") {
		t.Errorf("without the configuration: %v", err)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (r *running) metricsText(t *testing.T) string {
	t.Helper()
	_, text := get(t, adminHandler(r.health, r.metrics), "/metrics", "")
	return text
}

// Who comes from elsewhere gets no answer at all, with whatever token.
func TestAdminAllowsAddresses(t *testing.T) {
	gate := &serverGate{from: []Network{networkOf(t, "198.51.100.0/24"), networkOf(t, "2001:db8::/32")}}
	local := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9110}
	for address, want := range map[string]bool{
		"198.51.100.7": true, "::ffff:198.51.100.7": true, "2001:db8::1": true, "127.0.0.1": true, "::1": true, "10.0.0.1": true,
		"198.51.101.7": false, "10.0.0.2": false, "2001:db9::1": false, "fe80::1": false,
	} {
		remote := (&net.TCPAddr{IP: net.ParseIP(address)}).AddrPort().Addr().Unmap()
		if gate.allows(remote, local) != want {
			t.Errorf("%s: %v", address, !want)
		}
	}
	here := elsewhere(t)
	directory := t.TempDir()
	file := write(t, filepath.Join(directory, "token"), "a-token-of-some-length")
	r := start(t, fmt.Sprintf(`spool: {directory: %q}
admin: {listen: "0.0.0.0:0", allow_from: [198.51.100.0/24], token_file: %q}
console: {listen: "127.0.0.1:0"}
`, filepath.Join(directory, "spool"), file))
	// From an address of this machine to another one of it: that is not the box itself.
	from := net.Dialer{LocalAddr: &net.TCPAddr{IP: here}}
	conn, err := from.DialContext(t.Context(), "tcp", atPort(t, r.addresses[adminServer]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer a-token-of-some-length\r\n\r\n")
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("got %d bytes", n)
	}
	r.logs(1, `"reason":"address"`)
}

func networkOf(t *testing.T, text string) (n Network) {
	t.Helper()
	if err := n.UnmarshalText([]byte(text)); err != nil {
		t.Fatal(err)
	}
	return n
}

// Certificates in place of a token, and the box's own beside them.
func TestAdminWithCertificates(t *testing.T) {
	directory := t.TempDir()
	monitor, stranger := issued(t, directory, "monitor"), issued(t, directory, "stranger")
	config := write(t, filepath.Join(directory, "assaygate.yaml"), fmt.Sprintf(`version: 1
box: {name: box}
spool: {directory: %q}
admin: {listen: "0.0.0.0:0", allow_from: [198.51.100.0/24], tls: {client_ca: %q}}
console: {listen: "127.0.0.1:0"}
`, filepath.Join(directory, "spool"), monitor.Certificate))
	r := prepared(t, flags{Config: config})
	at := atPort(t, r.addresses[adminServer])
	pair, _, err := r.ownCertificate()
	if err != nil {
		t.Fatal(err)
	}
	print := certificate.Fingerprint(pair)
	with := func(file, key string) *http.Client {
		client := trusts(t, print)
		if file != "" {
			shown, err := tls.LoadX509KeyPair(file, key)
			if err != nil {
				t.Fatal(err)
			}
			client.Transport.(*http.Transport).TLSClientConfig.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
		}
		return client
	}
	if got := asks(t, with(monitor.Certificate, monitor.Key), "https://"+at+"/metrics", ""); got != 200 {
		t.Errorf("the monitor gets %d", got)
	}
	if _, err := with("", "").Get("https://" + at + "/metrics"); err == nil {
		t.Error("nobody's certificate is let in")
	}
	if _, err := with(stranger.Certificate, stranger.Key).Get("https://" + at + "/metrics"); err == nil {
		t.Error("a stranger is let in")
	}
	r.logs(1, `"reason":"certificate"`)

	write(t, config, strings.Replace(string(mustRead(t, config)), "0.0.0.0:0", "0.0.0.0:"+at[len("127.0.0.1:"):], 1))
	var out bytes.Buffer
	if err := (&healthCommand{Config: config, Wait: 10 * time.Second}).Run(&streams{out: &out, err: &out}); err != nil || !strings.HasPrefix(out.String(), "healthy") {
		t.Errorf("%s, %v", &out, err)
	}
	if err := (&healthCommand{Admin: at}).Run(&streams{out: &out, err: &out}); err == nil || !strings.Contains(err.Error(), "speaks TLS") {
		t.Errorf("without the configuration: %v", err)
	}
}

// prepared is a gateway of a configuration file, as `run` has it.
func prepared(t *testing.T, f flags) *running {
	t.Helper()
	log := &lockedBuffer{}
	d, err := prepare(f, log)
	if err != nil {
		t.Fatal(err)
	}
	return follow(t, d, log, "gateway ready")
}
