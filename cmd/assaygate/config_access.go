package main

import (
	"errors"
	"os"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/console/login"
)

// shortestToken is what a token of the admin endpoint should have at least, in
// characters.
const shortestToken = 16

// accessWarnings are those on who gets in at console and admin endpoint.
func (c Config) accessWarnings() []config.Error {
	var list []config.Error
	warn := func(path, format string, args ...any) { list = append(list, c.document.At(path, format, args...)) }
	admins := 0
	for _, name := range sortedKeys(c.Console.Users) {
		user, path := c.Console.Users[name], "console.users."+name
		if user.Role == "admin" {
			admins++
		}
		if user.Password == "" {
			continue
		}
		warn(path+".password", "stands here for everybody to read who reads this file; put its hash in its place: assaygate console-password %s --config FILE", name)
		if err := login.CheckPassword(name, user.Password); err != nil {
			warn(path+".password", "will be guessed: %v", err)
		}
	}
	if len(c.Console.Users) > 0 && admins == 0 {
		warn("console.users", "none has the role admin, so nobody can change anything in the console")
	}
	if a := c.Admin; a.Listen != "" && !loopback(a.Listen) && a.TokenFile != "" && a.TLS == (TLSSettings{}) {
		warn("admin.token_file", "without tls the token crosses the network for everybody to read; give admin.tls a certificate, or a client_ca")
	}
	return list
}

// errEmpty is why a token cannot be used.
var errEmpty = errors.New("it is empty")

// adminToken reads the token of the admin endpoint.
func adminToken(file string) (string, error) {
	text, err := os.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}
