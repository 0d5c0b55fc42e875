package main

import (
	"maps"
	"regexp"
	"strings"

	"github.com/assaygate/assaygate/device/config"
)

// configMask says what of a configuration a browser may see: no password, no
// hash of one, no credentials in an address, and no comment that holds one, be it
// one of the file or of the others.
func configMask(others map[string]bool) config.Mask {
	return config.Mask{Value: maskedValue, Comment: func(comment string, hidden []string) string {
		secrets := maps.Clone(others)
		if secrets == nil {
			secrets = map[string]bool{}
		}
		for _, one := range hidden {
			secrets[one] = true
		}
		return maskedComment(comment, secrets)
	}}
}

// maskedValue is what is shown of a value.
func maskedValue(key, value string) string {
	if isSecret(key) && value != "" {
		return config.Kept
	}
	return maskedURL(value)
}

// maskedURL hides the password of an address and its query. A user without a
// password may be a token.
func maskedURL(value string) string {
	scheme, rest, is := strings.Cut(value, "://")
	if !is {
		return value
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		user, _, has := strings.Cut(rest[:at], ":")
		if has {
			user += ":"
		} else {
			user = ""
		}
		rest = user + config.Kept + rest[at:]
	}
	if address, query, has := strings.Cut(rest, "?"); has && query != "" {
		rest = address + "?" + config.Kept
	}
	return scheme + "://" + rest
}

// commentedSecret finds what people leave in comments: a key that was in use, or
// what a password is.
var commentedSecret = regexp.MustCompile(`(?i)([a-z0-9_.-]*(?:passw|passphrase|secret|token|hash|credential|private)[a-z0-9_.-]*["']?\s*(?:[:=]|\s(?:is|was)\s)\s*)(\S.*)$`)

// maskedComment is what is shown of a comment.
func maskedComment(comment string, secrets map[string]bool) string {
	if found := commentedSecret.FindStringSubmatchIndex(comment); found != nil && isSecret(keyIn(comment[found[2]:found[3]])) {
		comment = comment[:found[4]] + config.Kept
	}
	if holdsSecret(comment, secrets) {
		return "# " + config.Kept
	}
	words := strings.Fields(comment)
	for _, word := range words {
		if masked := maskedURL(word); masked != word {
			comment = strings.Replace(comment, word, masked, 1)
		}
	}
	return comment
}

// keyIn is the key in front of a commented value.
func keyIn(text string) string {
	key, _, _ := strings.Cut(strings.TrimRight(text, " \t:="), " ")
	return strings.Trim(key, `"'`)
}

// redact takes out of an error what of it could be one of the values that a
// browser may not see.
func redact(text string, secrets map[string]bool) string {
	for secret := range secrets {
		if len(secret) > 1 {
			text = strings.ReplaceAll(text, secret, config.Kept)
		}
	}
	return text
}

// secretsIn are the values of a text that a browser may not see.
func secretsIn(document *config.Document) map[string]bool {
	secrets := map[string]bool{}
	if document == nil {
		return secrets
	}
	// Nothing that Render is given to write can fail.
	_, _ = document.Render(func(key, value string) string {
		if masked := maskedValue(key, value); masked != value {
			secrets[value] = true
			if user := urlUser(value); user != nil {
				if password, has := user.Password(); has {
					secrets[password] = true
				}
			}
		}
		return value
	})
	return secrets
}
