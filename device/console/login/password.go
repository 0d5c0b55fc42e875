package login

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// leastPassword is the shortest new password, in characters.
	leastPassword = 10
	// longestPassword is the longest that is looked at, in bytes.
	longestPassword = 1024
	// leastDifferent is how many different characters a new password has.
	leastDifferent = 4
	// LongestName is the longest name of a user, in bytes.
	LongestName = 64
)

// CheckPassword says why nobody should take this password for the user, nil where
// it will do. Length counts, not kinds of characters: nobody can guess often here.
func CheckPassword(user, password string) error {
	different := map[rune]bool{}
	for _, r := range password {
		different[r] = true
	}
	switch {
	case !utf8.ValidString(password):
		return errors.New("it is not UTF-8")
	case len(password) > longestPassword:
		return fmt.Errorf("it has more than %d bytes", longestPassword)
	case strings.ContainsFunc(password, unicode.IsControl):
		return errors.New("it has more than one line, or a control character")
	case utf8.RuneCountInString(password) < leastPassword:
		return fmt.Errorf("it is too short: take at least %d characters, such as four words", leastPassword)
	case len(different) < leastDifferent:
		return errors.New("it repeats a few characters only; take four words")
	case user != "" && strings.EqualFold(strings.TrimSpace(password), user):
		return errors.New("it is the user's name")
	}
	return nil
}

// CheckName says why a user cannot be called that, nil where one can. Names stand
// in the audit and in the log, and as keys in the configuration, whose paths have
// dots.
func CheckName(name string) error {
	switch {
	case name == "":
		return errors.New("is empty")
	case len(name) > LongestName:
		return fmt.Errorf("is longer than %d characters", LongestName)
	case strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-@", r))
	}):
		return errors.New("cannot be used; take letters, digits, hyphens, underscores and @")
	}
	return nil
}
