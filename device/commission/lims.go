package commission

import "strings"

const (
	limsTitle     = "LIMS reachable"
	loginTitle    = "LIMS takes the password"
	consumerTitle = "Consumer known"
)

// nowhere is what is said of all layers beyond the store where there is none.
const nowhere = "No destination is configured: messages are kept, and wait."

// noSENAITE is the layer where the destination is none that is asked; ok is false
// where it is one.
func (f Facts) noSENAITE(key Key, title string) (l Layer, is bool) {
	switch f.LIMS.Kind {
	case NoLIMS:
		return layer(key, title, NotApplicable, nowhere, ""), true
	case Files:
		return layer(key, title, NotApplicable, "The destination is a directory.", ""), true
	}
	return Layer{}, false
}

// lims: does the LIMS answer?
func (f Facts) lims() Layer {
	p := f.LIMS.Probe
	is := func(v Verdict, seen, do string) Layer { return layer(LIMSLayer, limsTitle, v, seen, do) }
	why := ""
	if p.Why != "" {
		why = ": " + strings.TrimSuffix(p.Why, ".")
	}
	switch {
	case f.LIMS.Kind == NoLIMS:
		return is(NotApplicable, nowhere, "")
	case !p.Asked:
		return is(NotKnown, "It is being asked.", "")
	case f.LIMS.Kind == Files && p.Stage == Well:
		return is(OK, "The directory "+p.Where+" can be written.", "")
	case f.LIMS.Kind == Files:
		return is(Fault, "The directory "+p.Where+" cannot be written"+why+".", "Put right whose the directory is, or mount what it is on.")
	case p.Stage == Well || p.Stage == AtLogin:
		return is(OK, p.Where+" answers"+p.by()+".", "")
	}
	seen, do := p.broken()
	return is(Fault, seen+why+".", do)
}

// by names the proxy.
func (p Probe) by() string {
	if p.Proxy == "" {
		return ""
	}
	return " by the proxy " + p.Proxy
}

// broken tells at which stage a question ended, and what to do.
func (p Probe) broken() (seen, do string) {
	switch {
	case p.Proxy == "":
	case p.Stage == AtName:
		return "The name of the proxy " + p.Proxy + " is not found", "Look at the name in proxy for a slip, at the DNS server of the box, and at its network cable."
	case p.Stage == AtConnection:
		return "No connection to the proxy " + p.Proxy, "Compare host and port in proxy with those of the proxy; ask who keeps it whether it runs and lets the box in."
	}
	switch p.Stage {
	case AtSettings:
		return "The settings of the LIMS cannot be used", "Put the file right that they name."
	case AtName:
		return "The name of " + p.Where + " is not found", "Look at the url for a slip, at the DNS server of the box, and at its network cable."
	case AtConnection:
		return "No connection to " + p.Where, "Ask whether the LIMS runs, and whether a firewall lets the box through; compare host and port of the url."
	case AtProxy:
		return "The proxy " + p.Proxy + " does not let the box through to " + p.Where, "Put right user name and password in proxy, or ask who keeps the proxy to let this host through."
	case AtTLS:
		return "No TLS with " + p.Where, "Set ca to the certificate of the authority that signed the LIMS's one; compare the host of the url with the name in it, and look at the clock of the box."
	case AtAnswer:
		return p.Where + " takes the connection, and gives no answer as SENAITE does", "Compare the path of the url with the address of the SENAITE site; ask whether its JSON API is installed and the site is up."
	}
	return "The LIMS could not be asked", ""
}

// login: does it take the credentials?
func (f Facts) login() Layer {
	if l, is := f.noSENAITE(LoginLayer, loginTitle); is {
		return l
	}
	p := f.LIMS.Probe
	is := func(v Verdict, seen, do string) Layer { return layer(LoginLayer, loginTitle, v, seen, do) }
	switch p.Stage {
	case Well:
		return is(OK, "It takes user name and password.", "")
	case AtLogin:
		return is(Fault, "It refuses them: "+strings.TrimSuffix(p.Why, ".")+".",
			"Put right username and password of the destination, and ask whether the account is active in SENAITE.")
	}
	return is(NotKnown, "Not known until the LIMS answers.", "")
}

// consumer: has the LIMS what takes the messages apart? It says so only when it
// gets one.
func (f Facts) consumer() Layer {
	if l, is := f.noSENAITE(ConsumerLayer, consumerTitle); is {
		return l
	}
	is := func(v Verdict, seen, do string) Layer { return layer(ConsumerLayer, consumerTitle, v, seen, do) }
	switch {
	case f.LIMS.Unknown != "":
		return is(Fault, "SENAITE has no push consumer "+f.LIMS.Unknown+".", "Install the add-on in SENAITE that registers it, or set consumer to one that it has.")
	case f.LIMS.Taken > 0 || f.arrived():
		return is(OK, "It took a message for "+f.LIMS.Consumers+".", "")
	}
	return is(NotKnown, "Not known until a message was sent.", "")
}

// arrived reports whether the LIMS has taken the newest message.
func (f Facts) arrived() bool {
	if !f.taken() {
		return false
	}
	switch f.Newest.Delivery {
	case Delivered, Bare, Confirmed, Unconfirmed:
		return true
	}
	return false
}
