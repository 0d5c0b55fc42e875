package main

import (
	"net"

	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/envelope/spool"
)

// newConsole is the console of this process. It outlives stores and
// configurations, and asks at each view how things stand.
func (d *daemon) newConsole() *console.Console {
	return console.New(console.Options{
		Store: d.openedStore, Box: func() string { return d.config().Box.Name }, Version: version,
		Hosts: d.consoleHosts, Log: d.log.With("part", "console"),
		Login:    console.Login{Users: func() map[string]console.User { return d.config().Console.Users }},
		Overview: d.consoleOverview(), Live: d.consoleLive(), Message: d.consoleMessage(), Captures: d.consoleCaptures(), Replay: d.consoleReplay(), Setup: d.consoleSetup(),
		Commission: d.consoleCommission(), Update: d.consoleUpdate(), Support: d.consoleSupport(),
	})
}

// openedStore is the store, or why there is none now.
func (d *daemon) openedStore() (*spool.Spool, error) {
	g, away := d.standing.now()
	if g == nil {
		return nil, away
	}
	return g.store, nil
}

// consoleHosts are the names that a person may ask for the console by: that of
// the address that it listens on, and those of the box.
func (d *daemon) consoleHosts() []string {
	c := d.config()
	host, _, _ := net.SplitHostPort(c.Console.Listen)
	return []string{host, c.Box.Name, c.Box.Name + ".local", hostName(), hostName() + ".local"}
}
