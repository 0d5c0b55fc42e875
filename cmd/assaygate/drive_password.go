package main

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/device/config"
)

// takePassword puts the password of a file password.txt in place of that of a
// destination, "" for the only one that has one. c is what the text says.
func (out *secretsOut) takePassword(c Config, destination string, data []byte, directory string) error {
	secret, err := readPassword(data)
	if err != nil {
		return err
	}
	i, err := c.lims(destination)
	if err != nil {
		return err
	}
	one, path := c.Destinations[i], fmt.Sprintf("destinations[%d].senaite.", i)
	file := filepath.Join(directory, one.Name)
	pair := config.Pair{Key: "password_file", Value: file}
	site, err := url.Parse(one.SENAITE.URL)
	hasUser := err == nil && site.User != nil
	switch s := one.SENAITE; {
	case s.PasswordFile != "" && filepath.Dir(absolute(s.PasswordFile)) == directory:
		file = absolute(s.PasswordFile) // it may be called otherwise
	case out.files[file] != nil:
		// It was moved there just now, and the file wins over it.
	case s.PasswordFile != "":
		out.text, err = rewrite(out.text, path+"password_file", pair)
	case s.Password != "":
		out.text, err = rewrite(out.text, path+"password", pair)
	case hasUser:
		name := site.User.Username()
		site.User = nil
		out.text, err = rewrite(out.text, path+"url", config.Pair{Key: "url", Value: site.String()}, config.Pair{Key: "username", Value: name}, pair)
	case s.Username != "":
		out.text, err = rewrite(out.text, path+"username", config.Pair{Key: "username", Value: s.Username}, pair)
	default:
		err = fmt.Errorf("%s has no username, and a password alone is of no use", one.Name)
	}
	if err != nil {
		return err
	}
	out.files[file] = []byte(secret + "\n")
	out.moved = append(out.moved, fmt.Sprintf("%s: its password is the one of this stick now", one.Name))
	return nil
}

// rewrite leaves the text alone on an error.
func rewrite(text []byte, path string, pairs ...config.Pair) ([]byte, error) {
	rewritten, err := config.Rewrite(text, path, pairs...)
	if err != nil {
		return text, fmt.Errorf("%s: %w", path, err)
	}
	return rewritten, nil
}

// lims returns the destination that a password is for.
func (c Config) lims(name string) (int, error) {
	found, names := -1, []string{}
	for i, one := range c.Destinations {
		if one.SENAITE == nil {
			continue
		}
		names = append(names, one.Name)
		if name == "" || strings.EqualFold(one.Name, name) {
			found = i
		}
	}
	switch {
	case len(names) == 0:
		return 0, errors.New("the configuration has no LIMS that a password could be for")
	case name == "" && len(names) > 1:
		return 0, fmt.Errorf("there are several destinations (%s): name the file password-%s.txt, for example", strings.Join(names, ", "), names[0])
	case found < 0:
		return 0, fmt.Errorf("no LIMS is called %s; there is %s", name, strings.Join(names, ", "))
	}
	return found, nil
}

// readPassword reads what an editor saved: one line, with what editors add. None
// of it is in the error.
func readPassword(data []byte) (string, error) {
	text, err := config.Text(data)
	if err != nil {
		return "", errors.New("the password is not plain text; save the file as UTF-8")
	}
	secret := strings.TrimRight(text, "\r\n")
	if err := validateSecret(secret); err != nil {
		return "", fmt.Errorf("the password cannot be used: %w", err)
	}
	return secret, nil
}
