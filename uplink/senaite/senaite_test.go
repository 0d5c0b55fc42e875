package senaite

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/uplink"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

var (
	_ uplink.Destination = (*Client)(nil)
	_ uplink.Scoped      = (*Client)(nil)
)

// secret is the patient's name, which no error may hold.
const secret = "Müller^Änne"

func result() envelope.Envelope {
	return envelope.Envelope{
		ID: "0190a1b2-0000-7000-8000-000000000000", Protocol: envelope.ASTM, Instrument: "afinion",
		ReceivedAt: time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC), Kind: envelope.KindResult, Clock: envelope.ClockSet,
		Metadata: envelope.Metadata{ASTM: "\x021H|\\^&\r\x03E5\r\n", LIS2A: "H|\\^&\r\x03", HL7: ""},
		Records: envelope.Records{
			H: []envelope.Object{{{Key: "type", Value: "H"}, {Key: "sender", Value: envelope.Object{{Key: "name", Value: "Afinion <2> & ~"}}}}},
			P: []envelope.Object{{{Key: "name", Value: secret}}},
		},
	}
}

func client(t *testing.T, s *senaitetest.Server, change ...func(*Settings)) *Client {
	t.Helper()
	settings := Defaults()
	settings.URL, settings.Username, settings.Password = s.URL, senaitetest.Username, senaitetest.Password
	for _, c := range change {
		c(&settings)
	}
	if err := settings.Validate(); err != nil {
		t.Fatal(err)
	}
	c, err := New("lims", settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.http.CloseIdleConnections)
	return c
}

// expect checks that an error has a kind and gives nothing away.
func expect(t *testing.T, err error, kind uplink.Kind, scope string) {
	t.Helper()
	var f *uplink.Failure
	if !errors.As(err, &f) || f.Kind != kind || f.Scope != scope {
		t.Errorf("error %v, want kind %s, scope %q", err, kind, scope)
		return
	}
	for _, hidden := range []string{"Müller", senaitetest.Password, url.QueryEscape(senaitetest.Password), "@127", "NoneType"} {
		if strings.Contains(err.Error(), hidden) {
			t.Errorf("the error tells too much: %v", err)
		}
	}
}

func set(t *testing.T, s *senaitetest.Server, mode senaitetest.Mode) {
	t.Helper()
	if err := s.Set(mode); err != nil {
		t.Fatal(err)
	}
}

func TestDeliver(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	c := client(t, s)
	e := result()
	for range 3 {
		if err := c.Deliver(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	pushes := s.Pushes()
	if len(pushes) != 3 || pushes[0].Consumer != senaitetest.StockConsumer || !pushes[0].Imported {
		t.Fatalf("pushes: %+v", pushes)
	}
	want, err := e.MarshalJSON()
	if err != nil || pushes[0].Message != string(want) {
		t.Errorf("pushed %s, want %s", pushes[0].Message, want)
	}
	if strings.Contains(pushes[0].Message, `\u003c`) {
		t.Error("characters of HTML are escaped")
	}
	if got := pushes[0].Header.Get("Content-Type"); got != "application/x-www-form-urlencoded" {
		t.Errorf("Content-Type: %s", got)
	}
	for endpoint, n := range map[string]int{"version": 1, "users/current": 1, "push": 3} {
		if got := s.Requests(endpoint); got != n {
			t.Errorf("%d requests for %s, want %d", got, endpoint, n)
		}
	}
}

// TestWire compares the request's body with what Python's requests sends.
func TestWire(t *testing.T) {
	var body string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/a b/@@API/senaite/v1/push":
			data, _ := io.ReadAll(r.Body)
			body = string(data)
			_, _ = io.WriteString(w, `{"success": true}`)
		case "/a b/@@API/senaite/v1/version":
			_, _ = io.WriteString(w, `{"version": "1"}`)
		default:
			_, _ = io.WriteString(w, `{"items": [{"username": "x"}]}`)
		}
		if user, password, _ := r.BasicAuth(); user != "a@b" || password != "p:/?#" {
			t.Errorf("%s %s has credentials %q %q", r.Method, r.URL, user, password)
		}
	}))
	defer server.Close()
	settings := Defaults()
	settings.URL = strings.Replace(server.URL, "//", "//a%40b:p%3A%2F%3F%23@", 1) + "/a%20b///#fragment"
	settings.Format = "lis2a"
	if err := settings.Validate(); err != nil {
		t.Fatal(err)
	}
	c, err := New("lims", settings)
	if err != nil {
		t.Fatal(err)
	}
	e := result()
	e.Metadata.LIS2A = "AZaz09 ~-._\x02\r\n\x03+&=%/'()*!,;:@$\"ü€😀<>"
	if err := c.Deliver(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	// urllib.parse.quote_plus of the same text
	const want = "consumer=senaite.core.lis2a.import&messages=AZaz09+~-._%02%0D%0A%03%2B%26%3D%25%2F%27%28%29%2A%21%2C%3B%3A%40%24%22%C3%BC%E2%82%AC%F0%9F%98%80%3C%3E"
	if body != want {
		t.Errorf("body\n%s, want\n%s", body, want)
	}
}

func TestFormats(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	for format, want := range map[string]string{"astm": "\x021H|\\^&\r\x03E5\r\n", "lis2a": "H|\\^&\r\x03"} {
		c := client(t, s, func(s *Settings) { s.Format = format })
		if err := c.Deliver(t.Context(), result()); err != nil {
			t.Fatal(err)
		}
		pushes := s.Pushes()
		if got := pushes[len(pushes)-1].Message; got != want {
			t.Errorf("format %s: %q, want %q", format, got, want)
		}
	}
	c := client(t, s, func(s *Settings) { s.Format = "hl7" })
	expect(t, c.Deliver(t.Context(), result()), uplink.Invalid, "")
}

// TestFailures walks the ways in which a push fails after the first went well.
func TestFailures(t *testing.T) {
	for _, test := range []struct {
		mode senaitetest.Mode
		kind uplink.Kind
	}{
		{senaitetest.Down, uplink.Transient},
		{senaitetest.Cut, uplink.Unknown},
		{senaitetest.Half, uplink.Unknown},
		{senaitetest.Unsuccessful, uplink.Refusal},
		{senaitetest.NotJSON, uplink.Refusal},
		{senaitetest.Login, uplink.Hold},
		{senaitetest.Status(500), uplink.Refusal},
		{senaitetest.Status(400), uplink.Invalid},
		{senaitetest.Status(413), uplink.Invalid},
		{senaitetest.Status(422), uplink.Invalid},
		{senaitetest.Status(401), uplink.Hold},
		{senaitetest.Status(403), uplink.Hold},
		{senaitetest.Status(407), uplink.Hold},
		{senaitetest.Status(404), uplink.Transient},
		{senaitetest.Status(408), uplink.Transient},
		{senaitetest.Status(429), uplink.Transient},
		{senaitetest.Status(501), uplink.Transient},
		{senaitetest.Status(502), uplink.Transient},
		{senaitetest.Status(503), uplink.Transient},
		{senaitetest.Status(504), uplink.Unknown},
		{senaitetest.Status(204), uplink.Transient},
		{senaitetest.Status(302), uplink.Transient},
	} {
		t.Run(string(test.mode), func(t *testing.T) {
			s := senaitetest.New()
			defer s.Close()
			c := client(t, s)
			if err := c.Deliver(t.Context(), result()); err != nil {
				t.Fatal(err)
			}
			set(t, s, test.mode)
			if test.mode == senaitetest.Down {
				// On a connection that closes just now it may have been sent.
				c.http.CloseIdleConnections()
			}
			expect(t, c.Deliver(t.Context(), result()), test.kind, "")
			set(t, s, senaitetest.Up)
			if err := c.Deliver(t.Context(), result()); err != nil {
				t.Errorf("when it is up again: %v", err)
			}
		})
	}
}

// TestFailuresOfTheCheck: nothing that goes wrong before the push is held
// against the message.
func TestFailuresOfTheCheck(t *testing.T) {
	for _, mode := range []senaitetest.Mode{
		senaitetest.Down, senaitetest.Cut, senaitetest.NotJSON, senaitetest.Status(500), senaitetest.Status(400),
		senaitetest.Status(404), senaitetest.Status(413), senaitetest.Status(503), senaitetest.Status(504),
	} {
		s := senaitetest.New()
		c := client(t, s)
		set(t, s, mode)
		expect(t, c.Deliver(t.Context(), result()), uplink.Transient, "")
		expect(t, c.Probe(t.Context()), uplink.Transient, "")
		set(t, s, senaitetest.Up)
		if err := c.Probe(t.Context()); err != nil {
			t.Errorf("%s: the probe: %v", mode, err)
		}
		if err := c.Deliver(t.Context(), result()); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		s.Close()
	}
}

func TestCredentials(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	c := client(t, s)
	s.SetCredentials(senaitetest.Username, "another")
	// SENAITE lets anonymous ask for the version, so the second answer tells.
	expect(t, c.Deliver(t.Context(), result()), uplink.Hold, "")
	before := s.Requests("")
	for range 3 {
		expect(t, c.Deliver(t.Context(), result()), uplink.Hold, "")
	}
	if n := s.Requests("") - before; n != 3 {
		t.Errorf("%d requests for 3 attempts while held", n)
	}
	s.SetCredentials(senaitetest.Username, senaitetest.Password)
	if err := c.Deliver(t.Context(), result()); err != nil {
		t.Error(err)
	}
	// Changed while in use: the push tells, and the check comes again.
	s.SetCredentials(senaitetest.Username, "another")
	expect(t, c.Deliver(t.Context(), result()), uplink.Hold, "")
	checks := s.Requests("users/current")
	s.SetCredentials(senaitetest.Username, senaitetest.Password)
	if err := c.Deliver(t.Context(), result()); err != nil {
		t.Error(err)
	}
	if n := s.Requests("users/current") - checks; n != 1 {
		t.Errorf("%d checks after a 401", n)
	}
}

func TestNoCredentials(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	c := client(t, s, func(s *Settings) { s.Username, s.Password = "", "" })
	err := c.Deliver(t.Context(), result())
	expect(t, err, uplink.Hold, "")
	if !strings.Contains(err.Error(), "no username is set") {
		t.Error(err)
	}
}

func TestPoison(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	c := client(t, s)
	s.Poison(func(message string) bool { return strings.Contains(message, "Müller") })
	expect(t, c.Deliver(t.Context(), result()), uplink.Refusal, "")
	s.Poison(nil)
	e := result()
	e.Records.H[0].Set("sender", nil)
	expect(t, c.Deliver(t.Context(), e), uplink.Refusal, "")
	if err := c.Deliver(t.Context(), result()); err != nil {
		t.Error(err)
	}
}

func TestConsumers(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	c := client(t, s, func(s *Settings) { s.Consumer.HL7 = "senaite.core.hl7.import" })
	hl7, vendor := result(), result()
	hl7.Protocol, vendor.Protocol = envelope.HL7, envelope.Vendor
	expect(t, c.Deliver(t.Context(), hl7), uplink.Hold, "senaite.core.hl7.import")
	if c.Scope(hl7) != "senaite.core.hl7.import" || c.Scope(vendor) != senaitetest.StockConsumer {
		t.Errorf("scopes: %s, %s", c.Scope(hl7), c.Scope(vendor))
	}
	if err := c.Deliver(t.Context(), vendor); err != nil {
		t.Error(err)
	}
	s.Register("senaite.core.hl7.import")
	if err := c.Deliver(t.Context(), hl7); err != nil {
		t.Error(err)
	}
}

func TestTLS(t *testing.T) {
	s := senaitetest.NewTLS()
	defer s.Close()
	err := client(t, s).Deliver(t.Context(), result())
	expect(t, err, uplink.Transient, "")
	if !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without the ca: %v", err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, s.CA(), 0o600); err != nil {
		t.Fatal(err)
	}
	c := client(t, s, func(s *Settings) { s.CA = ca })
	if err := c.Deliver(t.Context(), result()); err != nil {
		t.Error(err)
	}
	c = client(t, s, func(s *Settings) { s.CA = ca })
	c.Clock = func() time.Time { return time.Date(2023, 4, 5, 0, 0, 0, 0, time.UTC) }
	err = c.Deliver(t.Context(), result())
	expect(t, err, uplink.Transient, "")
	if !strings.Contains(err.Error(), "not yet valid") || !strings.Contains(err.Error(), "the clock of the box is not set") {
		t.Errorf("in 2023: %v", err)
	}
	plain := senaitetest.New()
	defer plain.Close()
	c = client(t, plain, func(s *Settings) { s.URL = strings.Replace(s.URL, "http:", "https:", 1) })
	err = c.Deliver(t.Context(), result())
	expect(t, err, uplink.Transient, "")
	if !strings.Contains(err.Error(), "does not speak TLS") {
		t.Error(err)
	}
}

func TestProxy(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	var through int
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		through++
		// Basic dXNlcjpwcm94eXBhc3M= is user:proxypass.
		if r.Header.Get("Proxy-Authorization") != "Basic dXNlcjpwcm94eXBhc3M=" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		request, _ := http.NewRequestWithContext(r.Context(), r.Method, r.URL.String(), r.Body)
		request.Header = r.Header
		request.Header.Del("Proxy-Authorization")
		response, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.WriteHeader(response.StatusCode)
		_, _ = io.Copy(w, response.Body)
	}))
	defer proxy.Close()
	good := strings.Replace(proxy.URL, "//", "//user:proxypass@", 1)
	if err := client(t, s, func(s *Settings) { s.Proxy = good }).Deliver(t.Context(), result()); err != nil {
		t.Error(err)
	}
	if through != 3 {
		t.Errorf("%d requests through the proxy", through)
	}
	err := client(t, s, func(s *Settings) { s.Proxy = proxy.URL }).Deliver(t.Context(), result())
	expect(t, err, uplink.Hold, "")
	// A tunnel is refused in another way.
	err = client(t, s, func(s *Settings) {
		s.Proxy = proxy.URL
		s.URL = strings.Replace(s.URL, "http:", "https:", 1)
	}).Deliver(t.Context(), result())
	expect(t, err, uplink.Hold, "")
}

// TestHang ends with ctx; what was sent may have been taken.
func TestHang(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	c := client(t, s)
	if err := c.Deliver(t.Context(), result()); err != nil {
		t.Fatal(err)
	}
	set(t, s, senaitetest.Hang)
	c.http.Timeout = 200 * time.Millisecond
	err := c.Deliver(t.Context(), result())
	expect(t, err, uplink.Unknown, "")
	if !strings.Contains(err.Error(), "no answer in time") {
		t.Error(err)
	}
	c.http.Timeout = requestLimit
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	expect(t, c.Deliver(ctx, result()), uplink.Unknown, "")
}

func TestRedirectIsNotFollowed(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was asked for", r.Method, r.URL)
	}))
	defer elsewhere.Close()
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, elsewhere.URL+r.URL.Path+"?q="+url.QueryEscape(secret), http.StatusMovedPermanently)
	}))
	defer here.Close()
	settings := Defaults()
	settings.URL, settings.Username, settings.Password = here.URL, "u", senaitetest.Password
	c, err := New("lims", settings)
	if err != nil {
		t.Fatal(err)
	}
	err = c.Deliver(t.Context(), result())
	expect(t, err, uplink.Transient, "")
	if !strings.Contains(err.Error(), elsewhere.URL) {
		t.Error(err)
	}
}

// TestAnswers has answers that are not SENAITE's.
func TestAnswers(t *testing.T) {
	answer := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "version"):
			_, _ = io.WriteString(w, `{"version": "1"}`)
		case strings.HasSuffix(r.URL.Path, "current"):
			_, _ = io.WriteString(w, `{"items": [{"authenticated": true}]}`)
		default:
			_, _ = io.WriteString(w, answer)
		}
	}))
	defer server.Close()
	settings := Defaults()
	settings.URL = server.URL
	c, err := New("lims", settings)
	if err != nil {
		t.Fatal(err)
	}
	for text, success := range map[string]bool{
		`{"success": true}`: true, `{"success": 1}`: true, `{"success": "yes"}`: true, `{"success": [0]}`: true, `{"success": {"a": 1}}`: true,
		`{"success": false}`: false, `{"success": null}`: false, `{}`: false, `{"success": 0}`: false, `{"success": ""}`: false,
		`{"success": []}`: false, `{"success": {}}`: false, `[]`: false, `null`: false, `true`: false, ``: false,
		`{"success": true, "x": "` + strings.Repeat("x", maxAnswer) + `"}`: false,
	} {
		answer = text
		err := c.Deliver(t.Context(), result())
		if success && err != nil {
			t.Errorf("%.40s: %v", text, err)
		}
		if !success {
			expect(t, err, uplink.Refusal, "")
		}
	}
}

// TestAnswerThatBreaksOff: without a length, the end of half an answer is no
// error of the connection; what it was about may have been taken.
func TestAnswerThatBreaksOff(t *testing.T) {
	for text, want := range map[string]uplink.Kind{
		`{"succ`: uplink.Unknown, `{"success": tr`: uplink.Unknown, `{"success": true`: uplink.Unknown,
		`<html>`: uplink.Refusal, `{"success": false}`: uplink.Refusal, `{success}`: uplink.Refusal,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasSuffix(r.URL.Path, "version"):
				io.WriteString(w, `{"version": "1"}`)
				return
			case strings.HasSuffix(r.URL.Path, "current"):
				io.WriteString(w, `{"items": [{"authenticated": true}]}`)
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n"+text)
			conn.Close()
		}))
		s := Defaults()
		s.URL, s.Username, s.Password = server.URL, "u", "p"
		client, err := New("lims", s)
		if err != nil {
			t.Fatal(err)
		}
		var f *uplink.Failure
		if err := client.Deliver(t.Context(), envelope.Envelope{ID: "1"}); !errors.As(err, &f) || f.Kind != want {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
		server.Close()
	}
}
