package commission

import (
	"fmt"
	"strings"
)

const (
	addressTitle    = "Address of the box"
	connectionTitle = "Connection of the analyser"
	reachTitle      = "Way to the analyser"
)

// address: is the listener open?
func (f Facts) address() Layer {
	a := f.Address
	is := func(v Verdict, seen, do string) Layer { return layer(AddressLayer, addressTitle, v, seen, do) }
	switch {
	case a.Open:
		return is(OK, "The box listens on "+a.Address+f.shared()+".", "")
	case a.Files:
		return is(Fault, "The box does not listen on "+a.Address+": its TLS files cannot be used: "+strings.TrimSuffix(a.Why, ".")+".",
			"Put the files right that tls names; the listener opens by itself then.")
	case a.Why != "":
		return is(Fault, "The box cannot listen on "+a.Address+": "+strings.TrimSuffix(a.Why, ".")+".",
			"Take a port that no other program of the box uses, or an address that it has; the listener opens by itself when it can.")
	}
	return is(NotKnown, "The listener on "+a.Address+" is being opened.", "")
}

// shared names the others behind the address.
func (f Facts) shared() string {
	if len(f.Shared) == 0 {
		return ""
	}
	return ", also for " + strings.Join(f.Shared, ", ")
}

// connection: does the analyser connect, and is it let in? What came over a
// connection proves one, whatever was refused beside it.
func (f Facts) connection() Layer {
	c := f.Connections
	is := func(v Verdict, do, seen string, args ...any) Layer {
		return layer(ConnectionLayer, connectionTitle, v, fmt.Sprintf(seen, args...), do)
	}
	why := ""
	if c.Why != "" {
		why = ": " + strings.TrimSuffix(c.Why, ".")
	}
	came := f.Traffic.Received > 0 || f.came()
	switch {
	case came:
		return is(OK, "", "Open now: %d%s.", c.Open, c.turnedAway())
	case c.TLS.Now > 0:
		return is(Fault, "Make both sides agree on TLS: switch it on at the analyser with the authority of the box's certificate, or remove tls from the line.",
			"TLS handshakes that failed: %d%s.", c.TLS.Now, why)
	case c.Made == 0 && c.Open == 0 && c.Origin.Now > 0:
		return is(Fault, "Add the analyser's network to allow_from, or give the analyser an address in it.",
			"Connections refused for their address: %d%s. allow_from is %s.", c.Origin.Now, why, c.Networks)
	case c.Crowded.Now > 0 && c.Open == 0:
		return is(Fault, "Look whether the analyser opens connection after connection and closes none; else raise limits.connections or limits.per_address.",
			"Connections that a limit has closed: %d%s.", c.Crowded.Now, why)
	case c.Open > 0 || c.Made > 0:
		return is(OK, "", "Open now: %d, made since the check began: %d%s.", c.Open, c.Made, c.turnedAway())
	case f.due():
		return is(Fault, "At the analyser look at host address and port ("+f.Address.Address+" of this box), at the network cable, and whether its host connection is on. A firewall between them has to let it through.",
			"Nobody has connected.")
	}
	return is(Waiting, f.send(), "Nobody has connected so far.")
}

// turnedAway tells of refusals beside a connection that stands.
func (c Connections) turnedAway() string {
	if n := c.Origin.All + c.Crowded.All + c.TLS.All; n > 0 {
		return fmt.Sprintf("; others refused: %d", n)
	}
	return ""
}

// reach: does the analyser take the connection that the box makes?
func (f Facts) reach() Layer {
	r := f.Reach
	is := func(v Verdict, seen, do string) Layer { return layer(ReachLayer, reachTitle, v, seen, do) }
	if r.Up {
		return is(OK, "The box is connected to "+r.Address+".", "")
	}
	do := map[ReachProblem]string{
		NoName:    "Write the analyser's IP address instead of its name, or have the name put into the DNS.",
		NoAnswer:  "Look whether the analyser is on, at its network cable, and at its address; ask whether a firewall stands between them.",
		NoService: "The analyser is there and takes no connection: switch its host interface on, and compare the port; it may take only one connection, which another program has.",
		NoTLS:     "Make both sides agree on TLS.",
		Lost:      "Look at address, network cable and host interface of the analyser.",
	}[r.Problem]
	if do == "" {
		return is(NotKnown, "The box is connecting to "+r.Address+".", "")
	}
	return is(Fault, "The box cannot connect to "+r.Address+": "+strings.TrimSuffix(r.Why, ".")+".", do)
}
