package main

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// updateOrders are what the update agent gets to know of the configuration, as root
// writes them for it: the agent speaks with servers, and sees neither the rest of the
// configuration nor any other file of the gateway's.
type updateOrders struct {
	Repository string        `json:"repository,omitempty"`
	Window     string        `json:"window,omitempty"`
	ForceAfter time.Duration `json:"force_after,omitempty"` // nanoseconds
	Proxy      string        `json:"proxy,omitempty"`
	Rate       int64         `json:"rate,omitempty"` // bytes a second
	// CA are the PEM certificates of update.ca. Where that cannot be used, CAError says
	// why, and the repository is not asked.
	CA       string `json:"ca,omitempty"`
	CAError  string `json:"ca_error,omitempty"`
	Timezone string `json:"timezone,omitempty"`
}

// mostOrders bounds what is read of them; most of it is certificates.
const mostOrders = 2 << 20

// updateOrders is what the configuration says to the update agent.
func (c Config) updateOrders() updateOrders {
	o := updateOrders{Timezone: c.Box.Timezone}
	if c.Update == nil {
		return o
	}
	o.Repository, o.Window, o.ForceAfter, o.Proxy, o.Rate = c.Update.Repository, c.Update.Window, c.Update.ForceAfter, c.Update.Proxy, c.Update.Rate
	if c.Update.CA != "" {
		authorities, err := certificatesIn(c.Update.CA)
		o.CA = authorities
		if err != nil {
			o.CAError = fmt.Sprintf("the certificates of update.ca cannot be used: %v", err)
		}
	}
	return o
}

// mostAuthorities bounds a file of certificates.
const mostAuthorities = 1 << 20

// certificatesIn returns the certificates of a file, and nothing else that stands
// there: what the configuration names may be any file, and who gets to read this
// may read no other of the gateway's.
func certificatesIn(path string) (string, error) {
	text, err := readPlain(path, mostAuthorities)
	if err != nil {
		return "", err
	}
	var list []byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", fmt.Errorf("%s holds a certificate that cannot be read", path)
		}
		list = append(list, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
	if list == nil {
		return "", fmt.Errorf("%s holds no certificate in PEM form", path)
	}
	return string(list), nil
}

// applyUpdates writes the orders for the update agent, which looks at them every few
// seconds. The directory, which the system makes, gives the file the agent's group:
// a proxy may have a password.
func (a applying) applyUpdates(c Config) error {
	path := filepath.Join(a.state, "update", "settings.json")
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, os.ErrNotExist) {
		return nil // this system has no update agent
	}
	text, err := json.MarshalIndent(c.updateOrders(), "", "  ")
	if err != nil {
		return err
	}
	changed, err := writeChangedAs(path, string(text)+"\n", 0o640)
	if err != nil {
		return fmt.Errorf("updates: %w", err)
	}
	if changed {
		fmt.Fprintln(a.out, "updates: changed")
	}
	return nil
}
