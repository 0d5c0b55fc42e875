package main

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/assaygate/assaygate/image/update/agent"
)

// UpdateSettings is the `update` section: from where, and when, a box gets its
// releases over the network. Those on a stick need none of it but the window.
type UpdateSettings struct {
	Repository string        `yaml:"repository"` // "": updates come by stick only
	Window     string        `yaml:"window"`     // hours of the day, 02:00-05:00; "": at any time
	ForceAfter time.Duration `yaml:"force_after"`
	// CA is a file of PEM certificates that stand instead of the system's.
	CA string `yaml:"ca"`
	// Proxy is the URL of an HTTP or SOCKS 5 proxy, with its credentials.
	Proxy string `yaml:"proxy"`
	// Rate is how many bytes a second a download takes at most, 0 for as many as come.
	Rate int64 `yaml:"rate" config:"size"`
}

const (
	// usualRate leaves the line to the laboratory: a release is on the box in two
	// minutes.
	usualRate = 1 << 20
	// slowestRate is below what no release ever comes to its end.
	slowestRate = 1 << 10
)

// SetDefaults fills what the file need not say.
func (u *UpdateSettings) SetDefaults() { u.Rate = usualRate }

var dayWindow = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$`)

// Validate returns all that is wrong, each error beginning with its key.
func (u UpdateSettings) Validate() error {
	var errs []error
	if err := validateRepository(u.Repository); err != nil {
		errs = append(errs, fmt.Errorf("repository: %w", err))
	}
	if from, to, _ := strings.Cut(u.Window, "-"); u.Window != "" && (!dayWindow.MatchString(u.Window) || from == to) {
		errs = append(errs, fmt.Errorf("window: %q is not a part of the day; write for example \"02:00-05:00\"", u.Window))
	}
	if err := (agent.Settings{ForceAfter: u.ForceAfter}).Validate(); err != nil {
		errs = append(errs, err)
	}
	if err := validateUpdateProxy(u.Proxy); err != nil {
		errs = append(errs, fmt.Errorf("proxy: %w", err))
	}
	if u.Rate < 0 || u.Rate > 0 && u.Rate < slowestRate {
		errs = append(errs, fmt.Errorf("rate: %d bytes a second are too few for a release to come to its end; give at least 1KiB, or 0 for no bound", u.Rate))
	}
	return errors.Join(errs...)
}

func validateRepository(text string) error {
	if text == "" {
		return nil
	}
	at, err := url.Parse(text)
	switch {
	case err != nil || at.Scheme != "https" && at.Scheme != "http" || at.Hostname() == "":
		return errors.New("is not a URL; write for example https://updates.example.org/assaygate")
	case at.User != nil:
		return errors.New("holds a user or password; a repository needs none, remove it")
	case at.RawQuery != "" || at.Fragment != "":
		return errors.New("must end before the question mark or number sign; write for example https://updates.example.org/assaygate")
	}
	return nil
}

// validateUpdateProxy quotes nothing: the URL may hold a password.
func validateUpdateProxy(text string) error {
	if text == "" {
		return nil
	}
	at, err := url.Parse(text)
	if err != nil || at.Hostname() == "" {
		return errors.New("is not the URL of a proxy; write for example http://proxy.example.org:3128")
	}
	switch at.Scheme {
	case "http", "https", "socks5", "socks5h":
		return nil
	}
	return errors.New("must begin with http://, https:// or socks5://")
}
