package network

import (
	"hash/fnv"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What may stand in a file. networkd gives a meaning to spaces, to *?[]!% and
// to the ends of lines; none of them is in any of these.
var (
	interfaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,14}$`)
	adapterPath   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9:._-]{0,127}$`)
	hostLabel     = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	vlanNumber    = regexp.MustCompile(`^[1-9][0-9]{0,3}$`)
)

// lastVLAN is the highest number of a VLAN (IEEE 802.1Q).
const lastVLAN = 4094

// longestName of an interface that the kernel takes.
const longestName = 15

func (s Settings) validateName(name string, add func(string, ...any)) {
	key := "interfaces." + name
	on, _, isVLAN := vlan(name)
	switch plain := interfaceName.MatchString(name); {
	case isVLAN && len(name) > longestName:
		add("%s: the name of an interface has at most %d characters", key, longestName)
	case isVLAN && reserved(on), plain && reserved(name):
		add("%s: cannot be configured; name an adapter, such as eth0", key)
	case plain || isVLAN:
	case strings.Contains(name, ".") && interfaceName.MatchString(strings.SplitN(name, ".", 2)[0]):
		add("%s: behind the dot stands the number of a VLAN, from 1 to %d", key, lastVLAN)
	default:
		add("%s: is not the name of an interface, such as eth0", key)
	}
}

// reserved are the names that the kernel uses for something else.
func reserved(name string) bool { return slices.Contains([]string{"lo", "all", "default"}, name) }

// vlan takes the name of a VLAN apart: eth0.20 is number 20 on eth0.
func vlan(name string) (on string, number int, is bool) {
	on, text, is := strings.Cut(name, ".")
	if !is || !interfaceName.MatchString(on) || !vlanNumber.MatchString(text) {
		return "", 0, false
	}
	number, err := strconv.Atoi(text)
	return on, number, err == nil && number <= lastVLAN
}

// group is the number by which networkd marks an interface and the firewall
// knows it, whatever its name is at the moment. It is never 0, where the kernel
// puts an interface that nobody configured, and follows from the name alone, so
// that rules and marks of two configurations never mix.
func group(name string) uint32 {
	h := fnv.New32a()
	h.Write([]byte(name))
	return h.Sum32()&0x3fffffff | 0x40000000
}

// macAddress returns the address in networkd's spelling, "" where it is none.
func macAddress(text string) string {
	address, err := net.ParseMAC(text)
	if err != nil || len(address) != 6 {
		return ""
	}
	return address.String()
}

// plainAddress returns an address without zone in its one spelling, "" where
// the text is none. A zone may hold any character.
func plainAddress(text string) string {
	address, err := netip.ParseAddr(text)
	if err != nil || address.Zone() != "" {
		return ""
	}
	return address.Unmap().String()
}

// usableAddress reports whether a host can have the address.
func usableAddress(own netip.Prefix) bool {
	address := own.Addr()
	hostBits := address.BitLen() - own.Bits()
	return !address.Is4In6() && !address.IsUnspecified() && !address.IsLoopback() && !address.IsMulticast() &&
		(!address.Is4() || hostBits < 2 || address != own.Masked().Addr() && address != broadcast(own))
}

func broadcast(own netip.Prefix) netip.Addr {
	last := own.Masked().Addr().As4()
	for bit := own.Bits(); bit < 32; bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(last)
}

// isHost reports whether the text can name a host: an address, or labels with
// dots.
func isHost(text string) bool {
	if plainAddress(text) != "" {
		return true
	}
	labels := strings.Split(strings.TrimSuffix(text, "."), ".")
	return len(text) <= 253 && !slices.ContainsFunc(labels, func(label string) bool { return !hostLabel.MatchString(label) })
}

// sortedNames makes what is said and written of a map come in the same order
// each time.
func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
