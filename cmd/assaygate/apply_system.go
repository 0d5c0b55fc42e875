package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/network"
)

// applying is the system that a configuration is carried out on.
type applying struct {
	root                       string
	networkd, timesyncd, state string // directories
	board                      board.System
	command                    func(name string, args ...string) error
	out                        io.Writer
}

// apply carries one configuration out: the firewall first, so that nothing is
// open before it may be, then the rest. It does all that it can and returns
// what failed.
func (a applying) apply(c Config) error {
	settings := network.Settings{}
	if c.Network != nil {
		settings = *c.Network
	}
	return errors.Join(
		a.applyFirewall(settings, c.reached()),
		a.applyHostname(settings.Hostname),
		a.applyNetworkd(settings),
		a.applyTime(settings),
		a.applyUpdates(c),
	)
}

// rules is the file with the firewall's rules that were carried out last.
func (a applying) rules() string { return filepath.Join(a.state, "rules.nft") }

// applyFirewall gives the rules to the kernel in one transaction, always: what
// it has may have been changed. They come by a file so that a person can read
// what holds.
func (a applying) applyFirewall(settings network.Settings, listeners []network.Listener) error {
	rules, closed := settings.Rules(listeners)
	for _, one := range closed {
		fmt.Fprintf(a.out, "firewall: closed: %s\n", one)
	}
	path := a.rules()
	changed, err := writeChanged(path, rules)
	if err != nil {
		return fmt.Errorf("firewall: %w", err)
	}
	if err := a.command("nft", "-f", path); err != nil {
		return fmt.Errorf("firewall: stays as it was: %w", err)
	}
	if changed {
		fmt.Fprintln(a.out, "firewall: changed")
	}
	return nil
}

// applyHostname sets the name that DHCP servers and mDNS are told.
func (a applying) applyHostname(name string) error {
	if name == "" {
		name = a.board.Hostname()
	}
	path := filepath.Join(a.root, "proc/sys/kernel/hostname")
	if now, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(now)) == name {
		return nil
	}
	if err := os.WriteFile(path, []byte(name+"\n"), 0o644); err != nil {
		return fmt.Errorf("hostname: %w", err)
	}
	fmt.Fprintf(a.out, "hostname: %s\n", name)
	return nil
}

// applyNetworkd writes the files of the interfaces, removes those of an earlier
// configuration, and has networkd read them where it runs. At the box's start it
// does not yet: it is ordered behind this, and asking would wait for ever.
func (a applying) applyNetworkd(settings network.Settings) error {
	wanted := map[string]bool{}
	changed := false
	for _, file := range settings.Files() {
		wanted[file.Name] = true
		is, err := writeChanged(filepath.Join(a.networkd, file.Name), file.Text)
		if err != nil {
			return fmt.Errorf("network: %w", err)
		}
		changed = changed || is
	}
	old, err := filepath.Glob(filepath.Join(a.networkd, "[0-9][0-9]-"+network.Prefix+"*"))
	if err != nil {
		return err
	}
	var gone []string // VLANs that networkd made, and does not take away
	for _, path := range old {
		name := filepath.Base(path)
		if wanted[name] {
			continue
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("network: %w", err)
		}
		changed = true
		device, isDevice := strings.CutSuffix(name[len("10-"+network.Prefix):], ".netdev")
		if _, err := os.Stat(filepath.Join(a.root, "sys/class/net", device)); isDevice && err == nil {
			gone = append(gone, device)
		}
	}
	return a.told("network", changed, func() error {
		if a.command("systemctl", "is-active", "--quiet", "systemd-networkd.service") != nil {
			return nil
		}
		errs := []error{a.command("networkctl", "reload")}
		for _, device := range gone {
			errs = append(errs, a.command("networkctl", "delete", device))
		}
		return errors.Join(errs...)
	})
}

// told has a service read its files where they have changed, or where it could
// not be told the last time.
func (a applying) told(part string, changed bool, tell func() error) error {
	untold := filepath.Join(a.state, part+"-untold")
	if changed {
		fmt.Fprintf(a.out, "%s: changed\n", part)
	} else if _, err := os.Stat(untold); err != nil {
		return nil
	}
	if _, err := writeChanged(untold, "yes\n"); err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	if err := tell(); err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	return os.Remove(untold)
}

// applyTime names the time servers.
func (a applying) applyTime(settings network.Settings) error {
	path := filepath.Join(a.timesyncd, "assaygate.conf")
	changed, err := writeChanged(path, settings.Timesyncd())
	if err != nil {
		return fmt.Errorf("time: %w", err)
	}
	return a.told("time", changed, func() error {
		// Without a wait: at the box's start it may be ordered behind this.
		return a.command("systemctl", "--no-block", "try-restart", "systemd-timesyncd.service")
	})
}

// writeChanged puts a text in place of a file's, whole or not at all, and
// reports whether it was another. No text means no file. The directories are in
// memory, so nothing is synced.
func writeChanged(path, text string) (changed bool, err error) {
	return writeChangedAs(path, text, 0o644)
}

func writeChangedAs(path, text string, mode fs.FileMode) (changed bool, err error) {
	now, err := os.ReadFile(path)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case err != nil && !missing:
		return false, err
	case missing && text == "", err == nil && text != "" && bytes.Equal(now, []byte(text)):
		return false, nil
	case text == "":
		return true, os.Remove(path)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, err
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".new") // networkd reads no such name
	if err := os.WriteFile(temporary, []byte(text), mode); err != nil {
		return false, err
	}
	return true, os.Rename(temporary, path)
}
