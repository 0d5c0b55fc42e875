package console

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
)

// Settings is the `console` section of the configuration.
type Settings struct {
	Listen string          `yaml:"listen"` // host:port
	TLS    TLS             `yaml:"tls"`
	Users  map[string]User `yaml:"users"` // by name; none: loopback only, without login
}

// TLS names the files of the console's own certificate.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// User is one person who may log in.
type User struct {
	PasswordHash string `yaml:"password_hash" required:"true"` // as `assaygate console-password` prints it
	Role         string `yaml:"role" allowed:"admin,viewer" required:"true"`
}

// Defaults returns the settings that hold where the configuration is silent.
func Defaults() Settings { return Settings{Listen: "127.0.0.1:8080"} }

// Validate returns every error of the settings, each beginning with its key.
func (s Settings) Validate() error {
	var errs []error
	if _, port, err := net.SplitHostPort(s.Listen); err != nil {
		errs = append(errs, errors.New(`listen: want host:port, such as "127.0.0.1:8080"`))
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		errs = append(errs, errors.New("listen: the port is a number from 0 to 65535"))
	}
	switch {
	case s.TLS.Certificate != "" && s.TLS.Key == "":
		errs = append(errs, errors.New("tls.key: missing; a certificate needs its key"))
	case s.TLS.Certificate == "" && s.TLS.Key != "":
		errs = append(errs, errors.New("tls.certificate: missing; a key needs its certificate"))
	}
	var names []string
	for name := range s.Users {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		user := s.Users[name]
		if user.PasswordHash == "" {
			errs = append(errs, fmt.Errorf("users.%s.password_hash: missing; `assaygate console-password` makes one", name))
		}
		if user.Role != "admin" && user.Role != "viewer" {
			errs = append(errs, fmt.Errorf("users.%s.role: want admin or viewer", name))
		}
	}
	return errors.Join(errs...)
}

// NotActive returns why the console must not be opened with these settings, or
// nil. This version has neither login nor TLS: where they are asked for, or
// where others than this machine could connect, a console without them would be
// open to more people than was meant.
func (s Settings) NotActive() error {
	if len(s.Users) > 0 {
		return errors.New("console.users: not active in this version; without users the console opens on loopback, without login")
	}
	if s.TLS != (TLS{}) {
		return errors.New("console.tls: not active in this version; without it the console opens on loopback")
	}
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return fmt.Errorf("console.listen: %w", err)
	}
	if addr, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !addr.Unmap().IsLoopback()) {
		return errors.New("console.listen: beyond loopback the console needs users, which are not active in this version; use 127.0.0.1")
	}
	return nil
}
