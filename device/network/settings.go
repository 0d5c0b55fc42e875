// Package network turns what the configuration says of the network into the
// files that the image's systemd-networkd and systemd-timesyncd read, and into
// the firewall's rules. It writes no file and runs no command: `assaygate
// apply` does, as root. What a text of the configuration may hold is judged by
// Validate; nothing that it refuses can stand in a file.
package network

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Settings is the `network` section, for the image. Its zero value stands for
// what a box does without the section: DHCP on eth0.
type Settings struct {
	Interfaces map[string]Interface `yaml:"interfaces"` // by name, as the kernel has it; NAME.ID is the VLAN with that number on NAME
	NTP        []string             `yaml:"ntp"`        // names or addresses of time servers, besides those that DHCP brings
	Hostname   string               `yaml:"hostname"`   // "": assaygate-SERIAL
}

// Interface is one network interface of the box.
type Interface struct {
	MAC       string   `yaml:"mac"`  // of the adapter, where the name alone may move: aa:bb:cc:dd:ee:ff
	Path      string   `yaml:"path"` // where it is plugged in, likewise: ID_PATH of udev
	DHCP      bool     `yaml:"dhcp"`
	Addresses []string `yaml:"addresses"` // the box's own, with their prefix: 10.20.0.5/24
	Gateway   string   `yaml:"gateway"`
	DNS       []string `yaml:"dns"`
	// Serves says what can be reached over the interface. Left out it is
	// everything where the box has one interface, and only the instruments'
	// ports where it has several.
	Serves []Part `yaml:"serves" allowed:"instruments,console,admin"`
}

// bare reports whether the interface has no address: only VLANs go over it.
func (i Interface) bare() bool { return !i.DHCP && len(i.Addresses) == 0 }

// Part is what a port of the box belongs to.
type Part string

// The parts.
const (
	Instruments Part = "instruments"
	Console     Part = "console"
	Admin       Part = "admin"
)

// maxInterfaces is more than a box has sockets for.
const maxInterfaces = 32

// Default is what holds for interfaces where the configuration names none.
func Default() map[string]Interface { return map[string]Interface{"eth0": {DHCP: true}} }

// interfaces are the configured ones, else the default.
func (s Settings) interfaces() map[string]Interface {
	if len(s.Interfaces) == 0 {
		return Default()
	}
	return s.Interfaces
}

// Validate returns all that is wrong, each error beginning with its key.
func (s Settings) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if len(s.Interfaces) > maxInterfaces {
		add("interfaces: %d are more than the %d that a box can have", len(s.Interfaces), maxInterfaces)
		return errors.Join(errs...)
	}
	for _, name := range sortedNames(s.Interfaces) {
		s.validateName(name, add)
		s.validateInterface(name, add)
	}
	s.validateTogether(add)
	for i, server := range s.NTP {
		if !isHost(server) {
			add("ntp[%d]: %q is not the name or address of a host", i, server)
		}
	}
	if s.Hostname != "" && (!hostLabel.MatchString(s.Hostname) || strings.EqualFold(s.Hostname, "localhost")) {
		add("hostname: %q is not a host's name; take up to 63 letters, digits and hyphens", s.Hostname)
	}
	return errors.Join(errs...)
}

// validateInterface finds what is wrong in one interface alone.
func (s Settings) validateInterface(name string, add func(string, ...any)) {
	one, key := s.Interfaces[name], "interfaces."+name
	_, _, isVLAN := vlan(name)
	if one.bare() && len(s.vlansOn(name)) == 0 {
		add("%s: has neither dhcp: true nor addresses", key)
	}
	switch {
	case isVLAN && (one.MAC != "" || one.Path != ""):
		add("%s: a VLAN is found by its name; give mac or path to the interface that it is on", key)
	case one.MAC != "" && one.Path != "":
		add("%s.path: stands beside mac; one of them finds the adapter, remove the other", key)
	}
	if one.MAC != "" && macAddress(one.MAC) == "" {
		add("%s.mac: %q is not the address of an adapter; write for example dc:a6:32:01:02:03", key, one.MAC)
	}
	if one.Path != "" && !adapterPath.MatchString(one.Path) {
		add("%s.path: %q is not a path of udev; `udevadm info /sys/class/net/NAME` shows it as ID_PATH", key, one.Path)
	}
	var networks []netip.Prefix
	for i, text := range one.Addresses {
		own, err := netip.ParsePrefix(text)
		switch {
		case err != nil:
			add("%s.addresses[%d]: %s is not an address with its prefix; write for example 10.20.0.5/24", key, i, text)
		case !usableAddress(own):
			add("%s.addresses[%d]: %s is not an address that a host can have; write for example 10.20.0.5/24", key, i, text)
		default:
			networks = append(networks, own)
		}
	}
	if one.Gateway != "" {
		validateGateway(key, one, networks, add)
	}
	for i, server := range one.DNS {
		if plainAddress(server) == "" {
			add("%s.dns[%d]: %s is not an address", key, i, server)
		}
	}
}

func validateGateway(key string, one Interface, networks []netip.Prefix, add func(string, ...any)) {
	gateway, err := netip.ParseAddr(one.Gateway)
	within := func(p netip.Prefix) bool { return p.Contains(gateway) }
	own := func(p netip.Prefix) bool { return p.Addr() == gateway }
	switch {
	case err != nil || gateway.Zone() != "":
		add("%s.gateway: %s is not an address", key, one.Gateway)
	case len(one.Addresses) == 0 && one.DHCP:
		add("%s.gateway: DHCP brings one; remove it, or give addresses", key)
	case len(networks) != len(one.Addresses) || len(one.Addresses) == 0: // said already
	case slices.ContainsFunc(networks, own):
		add("%s.gateway: %s is the box's own address; give the router's", key, one.Gateway)
	case !gateway.IsLinkLocalUnicast() && !slices.ContainsFunc(networks, within):
		add("%s.gateway: %s is in none of the networks of addresses, so it cannot be reached", key, one.Gateway)
	}
}

// validateTogether finds what does not fit between the interfaces.
func (s Settings) validateTogether(add func(string, ...any)) {
	type owner struct {
		name   string
		prefix netip.Prefix
	}
	var taken []owner
	gateways, adapters := map[bool]string{}, map[string]string{}
	for _, name := range sortedNames(s.Interfaces) {
		one := s.Interfaces[name]
		for i, text := range one.Addresses {
			own, err := netip.ParsePrefix(text)
			if err != nil {
				continue
			}
			for _, other := range taken {
				if other.name != name && other.prefix.Overlaps(own.Masked()) {
					add("interfaces.%s.addresses[%d]: %s is in the network of %s; two interfaces need two networks", name, i, text, other.name)
					break
				}
			}
			taken = append(taken, owner{name, own.Masked()})
		}
		if gateway, err := netip.ParseAddr(one.Gateway); err == nil {
			if other, is := gateways[gateway.Is4()]; is {
				add("interfaces.%s.gateway: %s has one; a box has one way out, remove one of them", name, other)
			} else {
				gateways[gateway.Is4()] = name
			}
		}
		for _, found := range []string{macAddress(one.MAC), one.Path} {
			if other, is := adapters[found]; is && found != "" {
				add("interfaces.%s: is the same adapter as %s", name, other)
			}
			adapters[found] = name
		}
		for _, other := range sortedNames(s.Interfaces) {
			if other < name && group(other) == group(name) {
				add("interfaces.%s: cannot stand beside %s; take another name", name, other)
			}
		}
	}
}

// vlansOn lists the VLANs on an interface, in order of their names.
func (s Settings) vlansOn(name string) []string {
	var list []string
	for _, other := range sortedNames(s.interfaces()) {
		if on, _, is := vlan(other); is && on == name {
			list = append(list, other)
		}
	}
	return list
}

// ServedOn lists the interfaces over which a part can be reached that listens
// on the address. A static address of an interface names that one and no other;
// for any other address the interfaces' serves decides. There are none where
// the address is not host:port with a literal host.
func (s Settings) ServedOn(part Part, address string) []string {
	host, _, ok := splitListen(address)
	if !ok {
		return nil
	}
	all := s.interfaces()
	names := slices.DeleteFunc(sortedNames(all), func(name string) bool { return all[name].bare() })
	several := len(names) > 1
	for _, name := range names {
		if slices.ContainsFunc(all[name].Addresses, func(text string) bool {
			own, err := netip.ParsePrefix(text)
			return err == nil && own.Addr() == host
		}) {
			return []string{name}
		}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		one := all[name]
		if host.IsValid() && !one.DHCP {
			return true // only DHCP brings addresses that are not written down
		}
		if one.Serves != nil {
			return !slices.Contains(one.Serves, part)
		}
		return part != Instruments && several
	})
}

// splitListen takes an address to listen on apart. The host is the zero Addr
// where it stands for every address of the box.
func splitListen(address string) (host netip.Addr, port uint16, ok bool) {
	text, number, err := net.SplitHostPort(address)
	if err != nil {
		return netip.Addr{}, 0, false
	}
	if text == "" {
		text = "::"
	}
	at, err := netip.ParseAddrPort(net.JoinHostPort(text, number))
	if err != nil || at.Addr().Zone() != "" {
		return netip.Addr{}, 0, false
	}
	if host = at.Addr().Unmap(); host.IsUnspecified() {
		host = netip.Addr{}
	}
	return host, at.Port(), true
}
