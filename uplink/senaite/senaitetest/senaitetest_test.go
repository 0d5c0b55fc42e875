package senaitetest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const good = `{"H":[{"sender":{"name":"x"}}]}`

// ask makes a request and returns the status and the answer's JSON.
func ask(t *testing.T, s *Server, method, endpoint, kind, body string, anonymous bool) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/@@API/senaite/v1/"+endpoint, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", kind)
	if !anonymous {
		request.SetBasicAuth(Username, Password)
	}
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if s.CA() != nil {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(s.CA())
		client.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return -1, nil
	}
	var answer map[string]any
	_ = json.Unmarshal(text, &answer)
	return response.StatusCode, answer
}

const (
	form = "application/x-www-form-urlencoded"
	text = "application/json; charset=utf-8"
)

func TestPush(t *testing.T) {
	escaped, _ := json.Marshal(good)
	one := `{"consumer":"` + StockConsumer + `","messages":` + string(escaped) + `}`
	for name, test := range map[string]struct {
		kind, body string
		anonymous  bool
		status     int
		says       string
		taken      int
		imported   bool
	}{
		"form":              {kind: form, body: "consumer=" + StockConsumer + "&messages=" + url.QueryEscape(good), status: 200, taken: 1, imported: true},
		"form, two":         {kind: form, body: "consumer=" + StockConsumer + "&messages=a&messages=b", status: 200, taken: 2},
		"JSON":              {kind: text, body: one, status: 200, taken: 1, imported: true},
		"JSON, list of one": {kind: text, body: "[" + one + "]", status: 200, taken: 1, imported: true},
		"JSON, messages":    {kind: text, body: `{"consumer":"` + StockConsumer + `","messages":["a","b",{"H":[]}]}`, status: 200, taken: 3},
		"anonymous":         {kind: form, body: "consumer=" + StockConsumer + "&messages=a", anonymous: true, status: 401, says: "Anonymous user"},
		"two records":       {kind: text, body: "[" + one + "," + one + "]", status: 500, says: "multiple entries"},
		"no record":         {kind: text, body: "[]", status: 500, says: "No data sent"},
		"no JSON":           {kind: text, body: "{", status: 400, says: "JSON deserializable"},
		"a number":          {kind: text, body: "1", status: 500, says: "has no attribute"},
		"no consumer":       {kind: form, body: "messages=a", status: 500, says: "No consumer name provided"},
		"unknown consumer":  {kind: form, body: "consumer=x.y&messages=a", status: 500, says: "No consumer registered for name=x.y"},
		"no sender":         {kind: form, body: "consumer=" + StockConsumer + `&messages={"H":[{"sender":null}]}`, status: 500, says: "NoneType"},
		"no messages":       {kind: form, body: "consumer=" + StockConsumer, status: 500, says: "No messages"},
		"no header":         {kind: form, body: "consumer=" + StockConsumer + `&messages={"H":[]}`, status: 500, says: "out of range"},
		"no H":              {kind: form, body: "consumer=" + StockConsumer + `&messages={}`, status: 500, says: "len()"},
		"no name":           {kind: form, body: "consumer=" + StockConsumer + `&messages={"H":[{"sender":{"name":null}}]}`, status: 500, says: "string"},
		"a list":            {kind: form, body: "consumer=" + StockConsumer + `&messages=[]`, status: 500, says: "has no attribute"},
		"sender left out":   {kind: form, body: "consumer=" + StockConsumer + `&messages={"H":[{}]}`, status: 200, taken: 1},
		"two headers":       {kind: form, body: "consumer=" + StockConsumer + `&messages={"H":[{},{}]}`, status: 200, taken: 1},
		"not JSON at all":   {kind: form, body: "consumer=" + StockConsumer + "&messages=H|", status: 200, taken: 1},
	} {
		t.Run(name, func(t *testing.T) {
			s := New()
			defer s.Close()
			status, answer := ask(t, s, "POST", "push", test.kind, test.body, test.anonymous)
			if status != test.status || answer["success"] != (status == 200) {
				t.Errorf("status %d, answer %v", status, answer)
			}
			if says, _ := answer["message"].(string); !strings.Contains(says, test.says) {
				t.Errorf("it says %q, want %q", says, test.says)
			}
			pushes := s.Pushes()
			if len(pushes) != test.taken || test.taken > 0 && pushes[0].Imported != test.imported {
				t.Errorf("taken: %+v", pushes)
			}
		})
	}
}

func TestQuestions(t *testing.T) {
	s := NewTLS()
	defer s.Close()
	for _, anonymous := range []bool{true, false} {
		if status, answer := ask(t, s, "GET", "version", "", "", anonymous); status != 200 || answer["version"] == nil {
			t.Errorf("version: %d, %v", status, answer)
		}
		status, answer := ask(t, s, "GET", "users/current", "", "", anonymous)
		items, _ := answer["items"].([]any)
		if status != 200 || len(items) != 1 || items[0].(map[string]any)["authenticated"] == anonymous {
			t.Errorf("users/current: %d, %v", status, answer)
		}
	}
	if status, _ := ask(t, s, "GET", "push", "", "", false); status != 404 {
		t.Errorf("GET push: %d", status)
	}
	if n := s.Requests("version"); n != 2 {
		t.Errorf("%d requests for version", n)
	}
}

func TestModes(t *testing.T) {
	s := New()
	defer s.Close()
	push := func() int {
		status, answer := ask(t, s, "POST", "push", form, "consumer="+StockConsumer+"&messages="+url.QueryEscape(good), false)
		if status == 200 && answer["success"] != true {
			return 0
		}
		return status
	}
	for _, test := range []struct {
		mode   Mode
		status int // 0: no success; -1: half an answer
	}{
		{Up, 200},
		{Down, 0},
		{Down, 0},
		{Up, 200},
		{Cut, 0},
		{Unsuccessful, 0},
		{Half, -1},
		{NotJSON, 0},
		{Status(500), 500},
		{Status(403), 403},
		{Status(429), 429},
		{Status(503), 503},
		{Up, 200},
	} {
		if err := s.Set(test.mode); err != nil {
			t.Fatal(err)
		}
		if got := push(); got != test.status {
			t.Errorf("%s: %d, want %d", test.mode, got, test.status)
		}
	}
	taken := len(s.Pushes())
	if taken != 4 { // what got half an answer was taken
		t.Errorf("%d taken", taken)
	}
	s.Poison(func(message string) bool { return message == good })
	if got := push(); got != 500 {
		t.Errorf("poison: %d", got)
	}
	s.Poison(nil)

	// What hangs is let go by the next mode; what is slow takes its time.
	if err := s.Set(Hang); err != nil {
		t.Fatal(err)
	}
	answered := make(chan int, 1)
	go func() { answered <- push() }()
	for s.Requests("push") < 13 { // 14 pushes, two of them while down
		select {
		case got := <-answered:
			t.Fatalf("answered %d", got)
		case <-time.After(time.Millisecond):
		}
	}
	if err := s.Set(Up); err != nil {
		t.Fatal(err)
	}
	if got := <-answered; got == 200 {
		t.Errorf("what hung was answered with %d", got)
	}
	s.Slow(30 * time.Millisecond)
	start := time.Now()
	if got := push(); got != 200 || time.Since(start) < 30*time.Millisecond {
		t.Errorf("slow: %d after %s", got, time.Since(start))
	}
}

func TestAddress(t *testing.T) {
	s := New()
	address := strings.TrimSuffix(strings.TrimPrefix(s.URL, "http://"), "/senaite")
	if _, err := NewAt(address); err == nil {
		t.Error("two servers on one address")
	}
	s.Close()
	again, err := NewAt(address)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.URL != s.URL {
		t.Errorf("at %s, want %s", again.URL, s.URL)
	}
	again.SetCredentials("a@b", "p/w")
	if got := again.Credentials(); !strings.HasPrefix(got, "http://a%40b:p%2Fw@127.0.0.1:") {
		t.Errorf("credentials: %s", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := again.Wait(ctx, 1); err == nil {
		t.Error("waited for nothing")
	}
}
