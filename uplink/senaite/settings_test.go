package senaite

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gopkg.in/yaml.v3"
)

func TestValidate(t *testing.T) {
	for _, test := range []struct {
		change func(*Settings)
		want   string // beginning of the error; "" for none
	}{
		{func(s *Settings) {}, ""},
		{func(s *Settings) { s.Username, s.Password = "", "" }, ""},
		{func(s *Settings) { s.URL = "" }, "url: is missing"},
		{func(s *Settings) { s.URL = "lims.example.org/senaite" }, "url: must begin with https://"},
		{func(s *Settings) { s.URL = "ftp://lims.example.org" }, "url: must begin with https://"},
		{func(s *Settings) { s.URL = "https:///senaite" }, "url: has no host"},
		{func(s *Settings) { s.URL = "https://lims.example.org/?x=1" }, "url: must end before"},
		{func(s *Settings) { s.URL = "http://lims.example.org/senaite" }, "url: http:// would send"},
		{func(s *Settings) { s.URL = "http://10.0.0.1/senaite" }, "url: http:// would send"},
		{func(s *Settings) { s.URL, s.PlainHTTP = "http://lims.example.org/senaite", true }, ""},
		{func(s *Settings) { s.URL = "http://127.0.0.1:8080/senaite" }, ""},
		{func(s *Settings) { s.URL = "http://[::1]:8080/senaite" }, ""},
		{func(s *Settings) { s.URL = "http://localhost:8080/senaite" }, ""},
		{func(s *Settings) { s.URL = "http://localhost.example.org/" }, "url: http:// would send"},
		{func(s *Settings) { s.URL = "https://u:p@lims.example.org/" }, "username: the url has credentials too"},
		{func(s *Settings) { s.URL, s.Username, s.Password = "https://u:p@lims.example.org/", "", "" }, ""},
		{func(s *Settings) {
			s.URL, s.Username, s.Password, s.PasswordFile = "https://u:p@lims.example.org/", "", "", "f"
		}, "password_file: there is a password too"},
		{func(s *Settings) {
			s.URL, s.Username, s.Password, s.PasswordFile = "https://u@lims.example.org/", "", "", "f"
		}, ""},
		{func(s *Settings) { s.PasswordFile = "f" }, "password_file: there is a password too"},
		{func(s *Settings) { s.Username = "" }, "username: is missing"},
		{func(s *Settings) { s.Username = "<<<USER" }, "username: is not filled in yet"},
		{func(s *Settings) { s.Password = "<<<PASSWORD" }, "password: is not filled in yet"},
		{func(s *Settings) { s.URL = "<<<URL" }, "url: is not filled in yet"},
		{func(s *Settings) { s.Consumer.HL7 = "" }, "consumer: a name is missing"},
		{func(s *Settings) { s.Format = "xml" }, `format: "xml" is not one of json, astm, lis2a, hl7`},
		{func(s *Settings) { s.Proxy = "http://u:p@proxy.example.org:3128" }, ""},
		{func(s *Settings) { s.Proxy = "proxy.example.org:3128" }, "proxy: "},
		{func(s *Settings) { s.Proxy = "http://" }, "proxy: has no host"},
		{func(s *Settings) { s.Confirm.After = 0 }, "confirm.after: 0s is not between"},
		{func(s *Settings) { s.Confirm = Confirm{} }, ""},
		{func(s *Settings) { s.InFlight = 0 }, "in_flight: 0 is not between 1 and 64"},
	} {
		s := Defaults()
		s.URL, s.Username, s.Password = "https://lims.example.org/senaite", "u", "p"
		test.change(&s)
		err := s.Validate()
		if (err == nil) != (test.want == "") || err != nil && !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %s", s, err, test.want)
		}
	}
	s := Defaults()
	s.URL = "https://u:s3%cret@lims.example.org/"
	if err := s.Validate(); err == nil || strings.Contains(err.Error(), "s3") || strings.Contains(err.Error(), "%cr") {
		t.Errorf("a password that is not encoded: %v", err)
	}
	s.InFlight, s.Batch, s.Format = 99, 101, ""
	if err := s.Validate(); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("not all errors at once: %v", err)
	}
}

func TestYAML(t *testing.T) {
	s := Defaults()
	err := yaml.Unmarshal([]byte(`{url: "https://x/", consumer: {hl7: h}, confirm: {enabled: false, after: 5m}, in_flight: 3, batch: 4}`), &s)
	if err != nil || s.Consumer != (Consumer{stockConsumer, "h"}) || s.Confirm.After != 5*time.Minute || s.InFlight != 3 || s.Batch != 4 {
		t.Errorf("%+v, error %v", s, err)
	}
	if err := yaml.Unmarshal([]byte(`consumer: c`), &s); err != nil || s.Consumer != (Consumer{"c", "c"}) {
		t.Errorf("%+v, error %v", s.Consumer, err)
	}
	for text, want := range map[string]string{
		`consumer: {hl8: x}`:  "hl8: is not a key here; the keys are astm and hl7",
		`consumer: {hl7: []}`: "hl7: the name of a push consumer is wanted",
		`consumer: [a]`:       "a name is wanted, or {astm: NAME, hl7: NAME}",
	} {
		if err := yaml.Unmarshal([]byte(text), &s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestBinding(t *testing.T) {
	for text, want := range map[string]string{
		"https://u:p@lims.example.org/senaite/": "https://lims.example.org/senaite",
		"https://lims.example.org":              "https://lims.example.org",
		"http://127.0.0.1:8080/a%20b/#fragment": "http://127.0.0.1:8080/a%20b",
		"":                                      "",
	} {
		if got := (Settings{URL: text}).Binding(); got != want {
			t.Errorf("%s is bound to %q, want %q", text, got, want)
		}
	}
}

func TestPasswordFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	s := Defaults()
	s.URL, s.Username, s.PasswordFile = "https://x/", "u", path
	if _, err := New("lims", s); err == nil || !strings.Contains(err.Error(), "password_file: ") {
		t.Errorf("without the file: %v", err)
	}
	for text, want := range map[string]string{
		"pässword": "pässword", "p w \r\n": "p w ", "\uFEFFbom\n": "bom", "\n": "", "a\nb": "", "a\x00": "", "\xff\xfea\x00": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, password, err := s.credentials()
		if password != want || (err == nil) != (want != "") {
			t.Errorf("%q gives %q, error %v", text, password, err)
		}
	}
	s.CA = filepath.Join(t.TempDir(), "ca.pem")
	s.PasswordFile = ""
	if _, err := New("lims", s); err == nil || !strings.Contains(err.Error(), "ca: ") {
		t.Errorf("without the ca: %v", err)
	}
	if err := os.WriteFile(s.CA, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New("lims", s); err == nil || !strings.Contains(err.Error(), "holds no PEM certificate") {
		t.Errorf("a ca without certificates: %v", err)
	}
}
