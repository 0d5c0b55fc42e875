package network

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/config"
)

func TestValidate(t *testing.T) {
	for text, want := range map[string]string{
		"interfaces: {eth0: {}}":                                                                                           "interfaces.eth0: has neither dhcp: true nor addresses",
		"interfaces: {lo: {dhcp: true}}":                                                                                   "interfaces.lo: cannot be configured",
		"interfaces: {lo.5: {dhcp: true}}":                                                                                 "interfaces.lo.5: cannot be configured",
		"interfaces: {eth0.5000: {dhcp: true}}":                                                                            "interfaces.eth0.5000: behind the dot stands the number of a VLAN",
		"interfaces: {eth0.x: {dhcp: true}}":                                                                               "interfaces.eth0.x: behind the dot stands the number of a VLAN",
		"interfaces: {enx0123456789.4094: {dhcp: true}}":                                                                   "at most 15 characters",
		"interfaces: {'eth*': {dhcp: true}}":                                                                               "interfaces.eth*: is not the name of an interface",
		"interfaces: {eth0123456789abc: {dhcp: true}}":                                                                     "is not the name of an interface",
		"interfaces: {a: {dhcp: true, mac: 1-2}}":                                                                          "interfaces.a.mac: \"1-2\" is not the address of an adapter",
		"interfaces: {a: {dhcp: true, path: 'pci-*'}}":                                                                     "interfaces.a.path: \"pci-*\" is not a path of udev",
		"interfaces: {a: {dhcp: true, path: x, mac: 'dc:a6:32:01:02:03'}}":                                                 "interfaces.a.path: stands beside mac",
		"interfaces: {a.5: {dhcp: true, path: x}}":                                                                         "a VLAN is found by its name",
		"interfaces: {a: {dhcp: true, path: x}, b: {dhcp: true, path: x}}":                                                 "interfaces.b: is the same adapter as a",
		"interfaces: {a: {addresses: [10.0.0.1]}}":                                                                         "interfaces.a.addresses[0]: 10.0.0.1 is not an address with its prefix",
		"interfaces: {a: {addresses: [10.0.0.0/24]}}":                                                                      "10.0.0.0/24 is not an address that a host can have",
		"interfaces: {a: {addresses: [10.0.0.255/24]}}":                                                                    "10.0.0.255/24 is not an address that a host can have",
		"interfaces: {a: {addresses: [127.0.0.1/8]}}":                                                                      "127.0.0.1/8 is not an address that a host can have",
		"interfaces: {a: {addresses: ['ff02::1/64']}}":                                                                     "ff02::1/64 is not an address that a host can have",
		"interfaces: {a: {addresses: [10.0.0.5/24], gateway: 10.0.1.1}}":                                                   "interfaces.a.gateway: 10.0.1.1 is in none of the networks of addresses",
		"interfaces: {a: {addresses: [10.0.0.5/24], gateway: 10.0.0.5}}":                                                   "interfaces.a.gateway: 10.0.0.5 is the box's own address",
		"interfaces: {a: {addresses: ['fd00::5/64'], gateway: 'fe80::1%x'}}":                                               "interfaces.a.gateway: fe80::1%x is not an address",
		"interfaces: {a: {dhcp: true, gateway: 10.0.0.1}}":                                                                 "interfaces.a.gateway: DHCP brings one",
		"interfaces: {a: {dhcp: true, dns: ['fe80::1%x']}}":                                                                "interfaces.a.dns[0]: fe80::1%x is not an address",
		"interfaces: {a: {addresses: [10.0.0.5/24]}, b: {addresses: [10.0.0.6/16]}}":                                       "interfaces.b.addresses[0]: 10.0.0.6/16 is in the network of a",
		"interfaces: {a: {addresses: [10.0.0.5/24], gateway: 10.0.0.1}, b: {addresses: [10.1.0.5/24], gateway: 10.1.0.1}}": "interfaces.b.gateway: a has one",
		"interfaces: {a: {dhcp: true, serves: [web]}}":                                                                     "interfaces.a.serves[0]: web",
		"hostname: localhost":                                                                                              "hostname: \"localhost\" is not a host's name",
		"ntp: ['a b', 'fe80::1%x']":                                                                                        "ntp[1]: \"fe80::1%x\" is not the name or address",
		"interfaces: {" + manyInterfaces(33) + "}":                                                                         "interfaces: 33 are more than the 32",
		"interfaces: {a: {addresses: [10.0.0.5/24], gateway: 10.0.0.1}, b: {addresses: ['fd00::5/64'], gateway: 'fe80::1'}}": "",
		"interfaces: {a: {addresses: [10.0.0.4/31], gateway: 10.0.0.5}, a.1: {addresses: [10.0.0.9/32]}}":                    "",
		"interfaces: {" + manyInterfaces(32) + "}": "",
		"{}": "",
	} {
		var s Settings
		errs := config.Decode([]byte(text), "f", &s)
		switch {
		case want == "" && errs != nil:
			t.Errorf("%s: %v", text, errs)
		case !strings.Contains(errs.Error(), want):
			t.Errorf("%s: says %q, not %q", text, errs, want)
		}
	}
}

func manyInterfaces(n int) string {
	var list []string
	for i := range n {
		list = append(list, "i"+strings.Repeat("x", i%8)+string(rune('a'+i/8))+": {dhcp: true}")
	}
	return strings.Join(list, ", ")
}

// TestServedOn tells where a part can be reached.
func TestServedOn(t *testing.T) {
	one, two := "{eth0: {dhcp: true}}", "{eth0: {dhcp: true}, eth1: {addresses: [192.168.7.1/24]}}"
	named := "{eth0: {dhcp: true, serves: [console]}, eth1: {addresses: [192.168.7.1/24]}, eth2: {addresses: [192.168.8.1/24], serves: []}}"
	for _, c := range []struct {
		interfaces, address string
		part                Part
		want                string
	}{
		{"{}", ":8080", Console, "eth0"},
		{one, ":8080", Console, "eth0"},
		{two, ":8080", Console, ""},
		{two, ":9110", Admin, ""},
		{two, ":4010", Instruments, "eth0 eth1"},
		{two, "192.168.7.1:8080", Console, "eth1"},
		{two, "192.168.7.1:4010", Instruments, "eth1"},
		{two, "10.0.0.9:8080", Console, ""},
		{two, "[::ffff:192.168.7.1]:8080", Console, "eth1"},
		{named, ":8080", Console, "eth0"},
		{named, ":9110", Admin, ""},
		{named, ":4010", Instruments, "eth1"},
		{named, "192.168.8.1:4010", Instruments, "eth2"},
		{"{eth0: {}, eth0.5: {dhcp: true}}", ":8080", Console, "eth0.5"},
		{two, "10.0.0.9:4010", Instruments, "eth0"},
		{one, "box:8080", Console, ""},
		{one, "8080", Console, ""},
	} {
		s := parse(t, "network: {interfaces: "+c.interfaces+"}").Network
		if got := strings.Join(s.ServedOn(c.part, c.address), " "); got != c.want {
			t.Errorf("%s: %s on %s is served on %q, not %q", c.interfaces, c.part, c.address, got, c.want)
		}
	}
}

// FuzzFiles gives texts to every key. What Validate takes reaches a file only
// as the one value that it is: no line, section or command can be smuggled in.
func FuzzFiles(f *testing.F) {
	f.Add("eth0", "", "pci-0000:01:00.0", "10.20.0.5/24", "10.20.0.1", "10.20.0.2", "pool.ntp.org", "box", "xn-550", ":4010")
	f.Add("eth0.20", "", "", "2001:db8::5/64", "fe80::1", "2001:db8::1", "2001:db8::7b", "box", "a", "[2001:db8::5]:4010")
	f.Add("eth0\n[NetDev]", "dc:a6:32:01:02:03", "", "10.20.0.5/24\nGateway=1.1.1.1", "fe80::1%eth0\nDNS=1.1.1.1", "::1%\n[Link]", "a\nb", "a;b", "x\" accept\n", "[::1%\n]:4010")
	f.Fuzz(func(t *testing.T, name, mac, path, address, gateway, dns, ntp, hostname, instrument, listen string) {
		s := Settings{Interfaces: map[string]Interface{name: {
			MAC: mac, Path: path, DHCP: len(address)%2 == 0, Addresses: []string{address}, Gateway: gateway, DNS: []string{dns},
		}}, NTP: []string{ntp}, Hostname: hostname}
		if gateway == "" {
			s.Interfaces[name] = Interface{MAC: mac, Path: path, DHCP: true, DNS: []string{dns}}
		}
		if s.Validate() != nil {
			return
		}
		if strings.ContainsFunc(s.Hostname, func(r rune) bool { return r <= ' ' || r > '~' || r == '.' }) {
			t.Errorf("hostname %q", s.Hostname)
		}
		rules, _ := s.Rules([]Listener{{Name: instrument, Part: Instruments, Address: listen}})
		files := append(s.Files(), File{"rules.nft", rules}, File{"timesyncd.conf", s.Timesyncd()})
		for _, file := range files {
			if strings.ContainsAny(file.Name, "/\x00 \n") || strings.Contains(file.Name, "..") {
				t.Errorf("file name %q", file.Name)
			}
			for line := range strings.Lines(file.Text) {
				line = strings.TrimSuffix(line, "\n")
				if line != "" && !strings.HasPrefix(line, "#") && !knownLine(line) {
					t.Errorf("%s has the line %q", file.Name, line)
				}
			}
		}
	})
}

// knownLine reports whether a line has the form of one that is written here,
// with a value that can be nothing else.
func knownLine(line string) bool {
	sections := []string{"[Match]", "[Link]", "[Network]", "[DHCPv4]", "[DHCPv6]", "[NetDev]", "[VLAN]", "[Time]"}
	if slices.Contains(sections, line) {
		return true
	}
	key, value, isSetting := strings.Cut(line, "=")
	keys := []string{
		"MACAddress", "Path", "Name", "Kind", "Id", "Group", "RequiredForOnline", "DHCP", "IPv6AcceptRA", "LinkLocalAddressing", "MulticastDNS",
		"LLMNR", "LLDP", "ConfigureWithoutCarrier", "Address", "Gateway", "DNS", "VLAN", "UseNTP", "UseHostname", "ClientIdentifier", "RouteMetric", "NTP",
	}
	if isSetting && slices.Contains(keys, key) {
		return value != "" && !strings.ContainsFunc(value, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && !strings.ContainsRune(":./_-", r)
		})
	}
	rule, said, commented := strings.Cut(strings.TrimLeft(line, "\t"), ` comment "`)
	if commented && !regexp.MustCompile(`^[A-Za-z0-9._-]+(: (DHCP|mDNS))?"$`).MatchString(said) {
		return false
	}
	return rule == "table inet assaygate {" || rule == "chain configured {" || rule == "}" || rule == "flush chain inet assaygate configured" ||
		strings.HasPrefix(rule, "iifgroup ") && strings.HasSuffix(rule, " accept") && strings.Count(rule, "accept") == 1 && !strings.ContainsAny(rule, "\";#")
}
