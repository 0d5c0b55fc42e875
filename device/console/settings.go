package console

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/device/console/login"
)

// mostUsers bounds how many may log in.
const mostUsers = 100

// Settings is the `console` section of the configuration.
type Settings struct {
	Listen string          `yaml:"listen"` // host:port; "": no console
	TLS    TLS             `yaml:"tls"`
	Users  map[string]User `yaml:"users"` // by name; none: loopback only, without login
}

// TLS names the files of the console's certificate. Without them it shows the
// box's own wherever it speaks TLS.
type TLS struct {
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
}

// User is one person who may log in, with a password or with its hash.
type User struct {
	PasswordHash string `yaml:"password_hash"` // as `assaygate console-password` prints it
	Password     string `yaml:"password"`      // hashed in memory; a stick's is taken out of the configuration
	Role         string `yaml:"role" allowed:"admin,viewer" required:"true"`
}

// Defaults returns the settings that hold where the configuration is silent.
func Defaults() Settings { return Settings{Listen: "127.0.0.1:8080"} }

func validateAddress(listen string) error {
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return errors.New(`listen: want host:port, such as "127.0.0.1:8080", or "" for no console`)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return errors.New("listen: the port is a number from 0 to 65535")
	}
	return nil
}

// Validate returns every error of the settings, each beginning with its key.
func (s Settings) Validate() error {
	var errs []error
	if s.Listen != "" {
		errs = append(errs, validateAddress(s.Listen))
	}
	switch {
	case s.TLS.Certificate != "" && s.TLS.Key == "":
		errs = append(errs, errors.New("tls.key: missing; a certificate needs its key"))
	case s.TLS.Certificate == "" && s.TLS.Key != "":
		errs = append(errs, errors.New("tls.certificate: missing; a key needs its certificate"))
	}
	if len(s.Users) > mostUsers {
		errs = append(errs, fmt.Errorf("users: there are %d, and at most %d may log in", len(s.Users), mostUsers))
	}
	names := slices.Sorted(maps.Keys(s.Users))
	for i, name := range names {
		if err := login.CheckName(name); err != nil {
			errs = append(errs, fmt.Errorf("users: the name %q %w", name, err))
			continue
		}
		if j := slices.IndexFunc(names[:i], func(other string) bool { return strings.EqualFold(other, name) }); j >= 0 {
			errs = append(errs, fmt.Errorf("users: %s and %s differ only in case; the audit could not tell them apart", names[j], name))
		}
		for _, err := range s.Users[name].wrong() {
			errs = append(errs, fmt.Errorf("users.%s.%w", name, err))
		}
	}
	return errors.Join(errs...)
}

// wrong is all that is wrong with a user.
func (u User) wrong() (errs []error) {
	switch {
	case u.PasswordHash == "" && u.Password == "":
		errs = append(errs, errors.New("password_hash: missing; `assaygate console-password` makes one"))
	case u.PasswordHash != "" && u.Password != "":
		errs = append(errs, errors.New("password: password_hash is there too; remove one of them"))
	case u.PasswordHash != "":
		if _, err := login.ParseHash(u.PasswordHash); err != nil {
			errs = append(errs, fmt.Errorf("password_hash: %w", err))
		}
	}
	if u.Role != "admin" && u.Role != "viewer" {
		errs = append(errs, errors.New("role: want admin or viewer"))
	}
	return errs
}

// Secure reports whether the console speaks TLS: beyond loopback always, on
// loopback where a certificate is named.
func (s Settings) Secure() bool { return s.TLS != (TLS{}) || !s.Loopback() }

// Loopback reports whether only this machine can reach the console.
func (s Settings) Loopback() bool {
	host, _, err := net.SplitHostPort(s.Listen)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// Closed returns why the console must not be opened with these settings, or nil:
// without users it asks nobody who he is. It is about the key users.
func (s Settings) Closed() error {
	if len(s.Users) == 0 && !s.Loopback() {
		return errors.New("beyond loopback the console needs at least one user; `assaygate console-password NAME --config FILE` adds one; or listen on 127.0.0.1")
	}
	return nil
}
