package main

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/assaygate/assaygate/device/config"
)

// secretsOut is the text of a configuration with the secrets taken out of it, and
// where they are now.
type secretsOut struct {
	text []byte
	// files are the secrets, by absolute path.
	files map[string][]byte
	// moved and kept say to a person what became of each; kept are those that
	// still stand in the text.
	moved, kept []string
}

// takeSecretsOut moves the passwords in a configuration's text into files of
// their own in the directory. All else of the text stays as a person wrote it. c
// is what the text says.
func takeSecretsOut(text []byte, c Config, directory string) secretsOut {
	out := secretsOut{text: text, files: map[string][]byte{}}
	for i, one := range c.Destinations {
		if one.SENAITE == nil {
			continue
		}
		path := fmt.Sprintf("destinations[%d].senaite.", i)
		file := filepath.Join(directory, one.Name)
		if secret := one.SENAITE.Password; secret != "" {
			out.move(path+"password", file, secret, nil)
		}
		if site, err := url.Parse(one.SENAITE.URL); err == nil && site.User != nil {
			if secret, has := site.User.Password(); has {
				name := site.User.Username()
				site.User = nil
				out.move(path+"url", file, secret, []config.Pair{{Key: "url", Value: site.String()}, {Key: "username", Value: name}})
			}
		}
		if proxy, err := url.Parse(one.SENAITE.Proxy); err == nil && proxy.User != nil {
			if _, has := proxy.User.Password(); has {
				out.kept = append(out.kept, path+"proxy: its password stays in the configuration, because there is no file for it")
			}
		}
	}
	return out
}

// move puts a key with the secret's file in place of one with the secret, with
// further ones before it.
func (out *secretsOut) move(path, file, secret string, before []config.Pair) {
	if err := validateSecret(secret); err != nil {
		out.kept = append(out.kept, fmt.Sprintf("%s: the password stays in the configuration: %v", path, err))
		return
	}
	text, err := config.Rewrite(out.text, path, append(before, config.Pair{Key: "password_file", Value: file})...)
	if err != nil {
		out.kept = append(out.kept, fmt.Sprintf("%s: the password stays in the configuration: %v", path, err))
		return
	}
	out.text = text
	out.files[file] = []byte(secret + "\n")
	out.moved = append(out.moved, fmt.Sprintf("%s: the password is in a file of its own on the box now", path))
}

// validateSecret holds a secret to what a file of one line can give back.
func validateSecret(secret string) error {
	switch {
	case secret == "":
		return fmt.Errorf("it is empty")
	case !utf8.ValidString(secret):
		return fmt.Errorf("it is not UTF-8")
	case strings.ContainsFunc(secret, unicode.IsControl):
		return fmt.Errorf("it has more than one line, or a control character")
	}
	return nil
}

// urlUser is the user in a URL, nil where there is none.
func urlUser(text string) *url.Userinfo {
	site, err := url.Parse(text)
	if err != nil {
		return nil
	}
	return site.User
}
