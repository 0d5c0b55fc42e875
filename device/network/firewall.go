package network

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

// Listener is one port that the configuration opens.
type Listener struct {
	Name    string         // the instrument's, or the part's: a comment for people
	Part    Part           //
	Address string         // host:port, as configured
	From    []netip.Prefix // who may connect; none: everybody
}

// Rules fill the chain "configured" of the image's firewall, in the language of
// nft: one transaction, which changes all or nothing. What they do not accept
// is dropped by the rest of the firewall. A listener on loopback, or on a port
// that the kernel chooses, needs no rule. The settings are valid.
//
// closed has a sentence for each listener that cannot be reached, so that
// somebody can be told.
func (s Settings) Rules(listeners []Listener) (text string, closed []string) {
	var b strings.Builder
	rule := func(format string, args ...any) { fmt.Fprintf(&b, "\t\t"+format+"\n", args...) }
	b.WriteString(written + "flush chain inet assaygate configured\ntable inet assaygate {\n\tchain configured {\n")
	all := s.interfaces()
	for _, name := range sortedNames(all) {
		one := all[name]
		if one.bare() {
			continue
		}
		mark := group(name)
		if one.DHCP {
			rule(`iifgroup %d meta nfproto ipv4 udp sport 67 udp dport 68 accept comment "%s: DHCP"`, mark, name)
			rule(`iifgroup %d ip6 saddr fe80::/10 udp sport 547 udp dport 546 accept comment "%s: DHCP"`, mark, name)
		}
		rule(`iifgroup %d ip daddr 224.0.0.251 udp dport 5353 accept comment "%s: mDNS"`, mark, name)
		rule(`iifgroup %d ip6 daddr ff02::fb udp dport 5353 accept comment "%s: mDNS"`, mark, name)
	}
	var done []string // a listener that several instruments share has one rule
	for _, one := range listeners {
		host, port, ok := splitListen(one.Address)
		switch {
		case !ok:
			closed = append(closed, fmt.Sprintf("%s: %q has no literal address; name one, or leave the host out", one.Name, one.Address))
			continue
		case port == 0 || host.IsLoopback():
			continue
		}
		lines := s.accept(one, host, port)
		if len(lines) == 0 {
			closed = append(closed, fmt.Sprintf("%s: no interface serves %s; say so with serves:", one.Name, one.Part))
		}
		for _, line := range lines {
			if !slices.Contains(done, line) {
				done = append(done, line)
				rule("%s%s", line, comment(one.Name))
			}
		}
	}
	b.WriteString("\t}\n}\n")
	return b.String(), closed
}

// accept are the rules of one listener, without comment.
func (s Settings) accept(one Listener, host netip.Addr, port uint16) []string {
	var marks []string
	for _, name := range s.ServedOn(one.Part, one.Address) {
		marks = append(marks, fmt.Sprint(group(name)))
	}
	if len(marks) == 0 {
		return nil
	}
	match := "iifgroup { " + strings.Join(marks, ", ") + " } "
	if host.IsValid() {
		match += family(host) + " daddr " + host.String() + " "
	}
	dport := fmt.Sprintf("tcp dport %d accept", port)
	if len(one.From) == 0 {
		return []string{match + dport}
	}
	var lines []string
	for _, kind := range []string{"ip", "ip6"} {
		if host.IsValid() && family(host) != kind {
			continue // nobody there can reach the address
		}
		var from []string
		for _, network := range disjoint(one.From) {
			if family(network.Addr()) == kind {
				from = append(from, network.String())
			}
		}
		if len(from) > 0 {
			lines = append(lines, match+kind+" saddr { "+strings.Join(from, ", ")+" } "+dport)
		}
	}
	return lines
}

func family(address netip.Addr) string {
	if address.Is4() {
		return "ip"
	}
	return "ip6"
}

// disjoint leaves out networks that lie within others: nft refuses a set with
// both.
func disjoint(networks []netip.Prefix) []netip.Prefix {
	var list []netip.Prefix
	for i, one := range networks {
		if !slices.ContainsFunc(networks, func(other netip.Prefix) bool {
			return other.Bits() < one.Bits() && other.Overlaps(one)
		}) && !slices.Contains(networks[:i], one) {
			list = append(list, one)
		}
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) })
	return list
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// comment says what a rule is for. A name that could end the comment is left
// out.
func comment(name string) string {
	if !plainName.MatchString(name) {
		return ""
	}
	return fmt.Sprintf(" comment %q", name)
}
