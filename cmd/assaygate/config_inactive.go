package main

import (
	"fmt"
	"strings"
)

// inactive is a part of the configuration that is understood and not done: by
// this version, or on this host.
type inactive struct {
	// Where is the path of its key, and What says what is left out.
	Where, What string
	// Closes is what must not be opened, because without this part it would be
	// open to more than was meant: adminServer or consoleServer. "" means that
	// nothing is weakened by leaving it out.
	Closes string
	// Host: another host would do it.
	Host bool
}

// state says what part is not done by.
func (i inactive) state() string {
	if i.Host {
		return "not active on this host"
	}
	return "not active in this version"
}

// inactive lists the parts of the configuration that are not active.
func (c Config) inactive() []inactive {
	var list []inactive
	add := func(closes, where, format string, args ...any) {
		list = append(list, inactive{Where: where, What: fmt.Sprintf(format, args...), Closes: closes})
	}
	if c.Network != nil && !onImage(boardData) {
		list = append(list, c.networkRefused()...)
	}
	if c.Update != nil {
		add("", "update", "there are no updates")
	}
	return append(list, c.inactiveServers()...)
}

// inactiveServers lists what keeps admin and console closed.
func (c Config) inactiveServers() []inactive {
	var list []inactive
	add := func(where, what string) {
		list = append(list, inactive{Where: "admin." + where, What: what, Closes: adminServer})
	}
	if c.Admin.Listen != "" {
		if !loopback(c.Admin.Listen) {
			add("listen", "beyond loopback the admin endpoint needs allow_from and a token; use 127.0.0.1")
		}
		if len(c.Admin.AllowFrom) > 0 {
			add("allow_from", "addresses are not told apart")
		}
		if c.Admin.TokenFile != "" {
			add("token_file", "no token is asked for")
		}
		if c.Admin.TLS != (TLSSettings{}) {
			add("tls", "there is no TLS")
		}
	}
	if c.Console.Listen != "" {
		if err := c.Console.NotActive(); err != nil {
			where, what, _ := strings.Cut(err.Error(), ": ")
			what = strings.TrimPrefix(what, "not active in this version; ")
			list = append(list, inactive{Where: where, What: what, Closes: consoleServer})
		}
	}
	return list
}

// drivePart is what the reading of sticks is called in logs: no instrument's name.
const drivePart = "config_drive"
