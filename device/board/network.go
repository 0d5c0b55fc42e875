package board

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Interface is one network interface with hardware, for a report: what a person
// needs to find the box, or to let it into a network.
type Interface struct {
	Name      string
	MAC       string // lower case, with colons; "" where it has none
	Up        bool   // it is in use, and its cable carries something
	Addresses []netip.Prefix
}

// Interfaces lists the network interfaces that have hardware, those on USB last.
// It knows none where the system does not tell.
func (s System) Interfaces() []Interface {
	var list []Interface
	for _, name := range s.physical() {
		one := Interface{Name: visible(name), MAC: strings.ToLower(visible(read(s.sys("class", "net", name), "address")))}
		one.Up = read(s.sys("class", "net", name), "operstate") == "up"
		one.Addresses = addressesOf(name)
		list = append(list, one)
	}
	return list
}

// addressesOf asks the running system, without the addresses of the link alone,
// which are of no use to anybody else.
func addressesOf(name string) (list []netip.Prefix) {
	found, err := net.InterfaceByName(name)
	if err != nil {
		return nil
	}
	addresses, err := found.Addrs()
	if err != nil {
		return nil
	}
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if err == nil && !prefix.Addr().IsLinkLocalUnicast() {
			list = append(list, prefix)
		}
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int { return strings.Compare(a.String(), b.String()) })
	return list
}
