package main

// inactive is a part of the configuration that is understood and not done: by
// this version, on this host, or because it would be open to more than was meant.
type inactive struct {
	// Where is the path of its key, and What says what is left out.
	Where, What string
	// Closes is what must not be opened: adminServer or consoleServer. "" means that
	// nothing is weakened by leaving it out.
	Closes string
	// Host: another host would do it.
	Host bool
	// Unsafe: the configuration lacks what protects it.
	Unsafe bool
}

// state says what part is not done by.
func (i inactive) state() string {
	switch {
	case i.Host:
		return "not active on this host"
	case i.Unsafe:
		return "not safe as it stands"
	}
	return "not active in this version"
}

// inactive lists the parts of the configuration that are not active.
func (c Config) inactive() []inactive {
	var list []inactive
	if c.Network != nil && !onImage(boardData) {
		list = append(list, c.networkRefused()...)
	}
	if c.Update != nil && !onImage(boardData) {
		list = append(list, inactive{Where: "update", Host: true, What: "this host is not the box (it has no " + boardData + "), and gets no updates of a box; put a new program in place of this one, and remove the section"})
	}
	return append(list, c.unsafe()...)
}

// unsafe lists what keeps admin and console closed: beyond loopback each of them
// has to know who asks.
func (c Config) unsafe() []inactive {
	var list []inactive
	add := func(closes, where, what string) {
		list = append(list, inactive{Where: where, What: what, Closes: closes, Unsafe: true})
	}
	if c.Admin.Listen != "" && !loopback(c.Admin.Listen) {
		if len(c.Admin.AllowFrom) == 0 {
			add(adminServer, "admin.allow_from", "beyond loopback the admin endpoint needs the networks that may ask, such as [10.20.0.0/24]; name them, or listen on 127.0.0.1")
		}
		if c.Admin.TokenFile == "" && c.Admin.TLS.ClientCA == "" {
			add(adminServer, "admin.token_file", "beyond loopback the admin endpoint needs a token (token_file) or certificates of who asks (tls.client_ca); name one of them, or listen on 127.0.0.1")
		}
	}
	if c.Console.Listen != "" {
		if err := c.Console.Closed(); err != nil {
			add(consoleServer, "console.users", err.Error())
		}
	}
	return list
}

// drivePart is what the reading of sticks is called in logs: no instrument's name.
const drivePart = "config_drive"
