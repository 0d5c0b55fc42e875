package senaite

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// parseURL is url.Parse with an error that quotes nothing: the URL may hold a
// password, and most often it is the password that cannot be read.
func parseURL(text string) (*url.URL, error) {
	if text == "" {
		return nil, errors.New("is missing; e.g. https://lims.example.org/senaite")
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return nil, errors.New("cannot be read; special characters in user name and password must be percent-encoded, or be given as username and password")
	}
	return u, nil
}

// validateURL checks the URL of a SENAITE site.
func validateURL(text string, plainHTTP bool) error {
	u, err := parseURL(text)
	switch {
	case err != nil:
		return err
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("must begin with https:// (or http://), e.g. https://lims.example.org/senaite")
	case u.Hostname() == "":
		return errors.New("has no host; e.g. https://lims.example.org/senaite")
	case u.RawQuery != "":
		return errors.New("must end before the question mark; e.g. https://lims.example.org/senaite")
	case u.Scheme == "http" && !plainHTTP && !loopback(u.Hostname()):
		return errors.New("http:// would send password and results unencrypted; use https://, or allow it with plain_http: true")
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// validateProxy checks the URL of a proxy; "" is none.
func validateProxy(text string) error {
	if text == "" {
		return nil
	}
	u, err := parseURL(text)
	if err != nil {
		return err
	}
	switch u.Scheme {
	case "http", "https", "socks5", "socks5h":
	default:
		return errors.New("must begin with http://, https:// or socks5://")
	}
	if u.Hostname() == "" {
		return errors.New("has no host; e.g. http://proxy.example.org:3128")
	}
	return nil
}
