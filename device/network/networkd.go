package network

import (
	"fmt"
	"net/netip"
	"strings"
)

// File is one file to write.
type File struct {
	Name string // without a directory
	Text string
}

// Prefix begins the name of every networkd file of ours, after two digits and a
// hyphen.
const Prefix = "assaygate-"

const written = "# Written by `assaygate apply` from the configuration; what is changed here is lost.\n"

// Files are the .network and .netdev files for systemd-networkd. The settings
// are valid.
func (s Settings) Files() []File {
	var files []File
	all := s.interfaces()
	trunks := map[string]Interface{}
	metric := 1024 // networkd's own for what DHCP brings; the first interface wins
	for _, name := range sortedNames(all) {
		one := all[name]
		on, number, isVLAN := vlan(name)
		order := "20"
		if isVLAN {
			// A VLAN has the adapter's address: its file is asked first, or it would
			// be taken for the adapter where that is found by mac.
			order = "10"
			files = append(files, File{order + "-" + Prefix + name + ".netdev", netdev(name, number)})
			if _, named := all[on]; !named {
				trunks[on] = Interface{}
			}
		}
		files = append(files, File{order + "-" + Prefix + name + ".network", s.network(name, one, metric)})
		metric++
	}
	for _, name := range sortedNames(trunks) {
		files = append(files, File{"20-" + Prefix + name + ".network", s.network(name, trunks[name], metric)})
	}
	return files
}

// netdev makes a VLAN.
func netdev(name string, number int) string {
	return fmt.Sprintf("%s[NetDev]\nName=%s\nKind=vlan\n\n[VLAN]\nId=%d\n", written, name, number)
}

// network configures one interface.
func (s Settings) network(name string, one Interface, metric int) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	b.WriteString(written)
	line("[Match]")
	switch mac := macAddress(one.MAC); {
	case mac != "":
		line("MACAddress=%s", mac)
	case one.Path != "":
		line("Path=%s", one.Path)
	default:
		line("Name=%s", name)
	}
	static, bare := len(one.Addresses) > 0 && !one.DHCP, one.bare()
	line("\n[Link]")
	if !bare {
		line("Group=%d", group(name))
	}
	line("RequiredForOnline=no")
	line("\n[Network]")
	line("DHCP=%s", yes(one.DHCP))
	line("IPv6AcceptRA=%s", yes(one.DHCP))
	if bare {
		line("LinkLocalAddressing=no") // only VLANs go over it
	} else {
		line("MulticastDNS=yes")
	}
	line("LLMNR=no")
	line("LLDP=no")
	if static {
		// An analyser that is switched off takes the address from no listener.
		line("ConfigureWithoutCarrier=yes")
	}
	for _, address := range one.Addresses {
		line("Address=%s", netip.MustParsePrefix(address))
	}
	if one.Gateway != "" {
		line("Gateway=%s", netip.MustParseAddr(one.Gateway))
	}
	for _, server := range one.DNS {
		line("DNS=%s", plainAddress(server))
	}
	for _, other := range s.vlansOn(name) {
		line("VLAN=%s", other)
	}
	if one.DHCP {
		line("\n[DHCPv4]")
		line("ClientIdentifier=mac")
		line("RouteMetric=%d", metric)
		line("UseNTP=yes")
		line("UseHostname=no")
		line("\n[DHCPv6]")
		line("UseNTP=yes")
		line("UseHostname=no")
	}
	return b.String()
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

// Timesyncd is a drop-in for systemd-timesyncd, "" where there is nothing to
// say.
func (s Settings) Timesyncd() string {
	if len(s.NTP) == 0 {
		return ""
	}
	return written + "[Time]\nNTP=" + strings.Join(s.NTP, " ") + "\n"
}
