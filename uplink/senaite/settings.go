package senaite

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
	"unicode/utf8"
)

// Settings is a destination's `senaite` section of the configuration.
type Settings struct {
	// URL is the SENAITE site. User name and password in it are taken as
	// Username and Password.
	URL          string `yaml:"url" required:"true"`
	Username     string `yaml:"username"`
	Password     string `yaml:"password"`
	PasswordFile string `yaml:"password_file"`
	// Consumer names the push consumers that messages are for.
	Consumer Consumer `yaml:"consumer"`
	// Format is what is pushed: the whole envelope, or one text of it.
	Format string `yaml:"format" allowed:"json,astm,lis2a,hl7"`
	// CA is a file of PEM certificates that stand instead of the system's.
	CA string `yaml:"ca"`
	// Proxy is the URL of an HTTP or SOCKS 5 proxy, with its credentials. The
	// environment names none.
	Proxy string `yaml:"proxy"`
	// PlainHTTP allows an http:// URL that is not loopback.
	PlainHTTP bool    `yaml:"plain_http"`
	Confirm   Confirm `yaml:"confirm"`
	// InFlight is for uplink.Options: requests of different lanes at a time.
	InFlight int `yaml:"in_flight"`
	// Batch is how many messages a request may hold.
	Batch int `yaml:"batch"`
}

// Confirm says whether results are read back; see uplink.ReadBack.
type Confirm struct {
	Enabled bool          `yaml:"enabled"`
	After   time.Duration `yaml:"after"` // the delivery; results that do not stand there then are missing
	// Require says which results are missing where they do not stand there: those
	// that the sample has an analysis for, or all of the message.
	Require string `yaml:"require" allowed:"ordered,all"`
}

// The values of Confirm.Require.
const (
	requireOrdered = "ordered"
	requireAll     = "all"
)

// Defaults returns the settings that hold where the configuration says nothing.
func Defaults() Settings {
	return Settings{
		Consumer: Consumer{stockConsumer, stockConsumer},
		Format:   formatJSON,
		Confirm:  Confirm{Enabled: true, After: 10 * time.Minute, Require: requireOrdered},
		InFlight: 1,
		Batch:    1,
	}
}

// unfilled begins a place that a person has to fill in, in a configuration to
// begin with. Sent as it is, it would only be a user whom SENAITE refuses.
const unfilled = "<<<"

// mostInFlight: a Zope has a handful of threads, and people use them too.
const mostInFlight = 64

// mostInBatch: SENAITE imports a batch in one transaction, which the time limit
// of a request bounds.
const mostInBatch = 100

// Validate reports every setting that cannot work, each error beginning with
// its key. It does not look at files.
func (s Settings) Validate() error {
	errs := s.validateCredentials()
	add := func(key string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	for _, one := range []struct{ key, value string }{{"url", s.URL}, {"username", s.Username}, {"password", s.Password}} {
		if strings.HasPrefix(one.value, unfilled) {
			add(one.key, errors.New("is not filled in yet: write yours in place of what begins with "+unfilled))
		}
	}
	if !strings.HasPrefix(s.URL, unfilled) {
		add("url", validateURL(s.URL, s.PlainHTTP))
	}
	add("consumer", s.Consumer.validate())
	add("proxy", validateProxy(s.Proxy))
	switch s.Format {
	case formatJSON, formatASTM, formatLIS2A, formatHL7:
	default:
		add("format", fmt.Errorf("%q is not one of json, astm, lis2a, hl7", s.Format))
	}
	if s.Confirm.Enabled && (s.Confirm.After < time.Second || s.Confirm.After > 7*24*time.Hour) {
		add("confirm.after", fmt.Errorf("%s is not between 1s and 7d", s.Confirm.After))
	}
	if s.Confirm.Enabled && s.Confirm.Require != requireOrdered && s.Confirm.Require != requireAll {
		add("confirm.require", fmt.Errorf("%q is not one of ordered, all", s.Confirm.Require))
	}
	if s.InFlight < 1 || s.InFlight > mostInFlight {
		add("in_flight", fmt.Errorf("%d is not between 1 and %d", s.InFlight, mostInFlight))
	}
	if s.Batch < 1 || s.Batch > mostInBatch {
		add("batch", fmt.Errorf("%d is not between 1 and %d", s.Batch, mostInBatch))
	}
	return errors.Join(errs...)
}

func (s Settings) validateCredentials() (errs []error) {
	username, password := s.Username, s.Password
	if u, err := parseURL(s.URL); err == nil && u.User != nil {
		if username != "" || password != "" {
			errs = append(errs, errors.New("username: the url has credentials too; leave one of them out"))
		}
		username = u.User.Username()
		password, _ = u.User.Password()
	}
	if password != "" && s.PasswordFile != "" {
		errs = append(errs, errors.New("password_file: there is a password too; leave one of them out"))
	}
	if username == "" && (password != "" || s.PasswordFile != "") {
		errs = append(errs, errors.New("username: is missing; a password alone is of no use"))
	}
	return errs
}

// Binding is what messages are bound to while they wait: the URL without
// credentials.
func (s Settings) Binding() string {
	u, err := parseURL(s.URL)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/")
}

// credentials returns what every request carries.
func (s Settings) credentials() (username, password string, err error) {
	u, err := parseURL(s.URL)
	if err != nil {
		return "", "", fmt.Errorf("url: %w", err)
	}
	username, password = s.Username, s.Password
	if u.User != nil {
		username = u.User.Username()
		password, _ = u.User.Password()
	}
	if s.PasswordFile != "" {
		if password, err = readSecret(s.PasswordFile); err != nil {
			return "", "", fmt.Errorf("password_file: %w", err)
		}
	}
	return username, password, nil
}

// readSecret reads a file that holds one line. What editors add to it is taken
// off: a byte order mark, and the line's end.
func readSecret(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	text := strings.TrimRight(strings.TrimPrefix(string(data), "\uFEFF"), "\r\n")
	control := func(r rune) bool { return r < ' ' }
	if text == "" || !utf8.ValidString(text) || strings.ContainsFunc(text, control) {
		return "", fmt.Errorf("%s must hold one line of UTF-8 text", path)
	}
	return text, nil
}
