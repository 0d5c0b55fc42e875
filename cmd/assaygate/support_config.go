package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/assaygate/assaygate/device/config"
)

// secretKey finds the keys under which secrets stand. Those of files end in
// _file: a path is none.
var secretKey = regexp.MustCompile(`(?i)passw|passphrase|secret|token|hash|credential|private`)

func isSecret(key string) bool { return secretKey.MatchString(key) && !strings.HasSuffix(key, "_file") }

const removed = "[removed]"

// publicConfig is a configuration for the eyes of others: without its secrets,
// and without its comments, where people keep old ones. What does not read as a
// configuration cannot be told apart: of that nothing is shown, nor of what is
// wrong with it, which could quote it.
func publicConfig(text []byte, name string) ([]byte, error) {
	c, err := parseConfig(text, name)
	if err != nil {
		wrong := 1
		var errs config.Errors
		if errors.As(err, &errs) {
			wrong = len(errs)
		}
		return nil, fmt.Errorf("%s is left out, because it cannot be read: %s; see assaygate check on the box", name, count(wrong, "error"))
	}
	secrets := map[string]bool{}
	if _, err := c.document.Render(func(key, value string) string {
		if isSecret(key) && value != "" {
			secrets[value] = true
		}
		return value
	}); err != nil {
		return nil, err
	}
	return c.document.Render(func(_, value string) string {
		if holdsSecret(value, secrets) {
			return removed
		}
		return publicURL(value)
	})
}

// holdsSecret finds a secret, also where it stands elsewhere, as by an alias.
func holdsSecret(value string, secrets map[string]bool) bool {
	const telling = 4 // below that, a text holds it by chance
	for secret := range secrets {
		if value == secret || len(secret) >= telling && strings.Contains(value, secret) {
			return true
		}
	}
	return false
}

// publicURL takes user, password and query out of a URL, also out of one that a
// password with its own delimiters has broken.
func publicURL(value string) string {
	scheme, rest, is := strings.Cut(value, "://")
	if !is {
		return value
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		rest = removed + rest[at:]
	}
	if address, _, has := strings.Cut(rest, "?"); has {
		rest = address + "?" + removed
	}
	return scheme + "://" + rest
}
