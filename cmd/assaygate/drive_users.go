package main

import (
	"fmt"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/console/login"
)

// hashPasswords puts a hash in place of each password that a user of the console
// has in the text. c is what the text says, and now are the users that the box has:
// whose password is the same keeps the hash, so that a stick that is plugged in
// again brings nothing new.
func (out *secretsOut) hashPasswords(c Config, now map[string]console.User) {
	for _, name := range sortedKeys(c.Console.Users) {
		secret, path := c.Console.Users[name].Password, "console.users."+name+".password"
		if secret == "" {
			continue
		}
		text, err := config.Rewrite(out.text, path, config.Pair{Key: "password_hash", Value: hashLike(now[name].PasswordHash, secret)})
		if err != nil {
			out.kept = append(out.kept, fmt.Sprintf("%s: the password stays in the configuration: %v", path, err))
			continue
		}
		out.text = text
		out.moved = append(out.moved, path+": only its hash is on the box")
		if err := login.CheckPassword(name, secret); err != nil {
			out.kept = append(out.kept, fmt.Sprintf("%s: it will be guessed: %v", path, err))
		}
	}
}

// hashLike is the hash of a password: the one that is there where it is one of it.
func hashLike(present, password string) string {
	if hash, err := login.ParseHash(present); err == nil && hash.Matches(password) {
		return present
	}
	return login.NewHash(password).String()
}
