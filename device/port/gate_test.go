package port

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
)

// caller is a connection from an address of the test's choice.
type caller struct {
	net.Conn
	from   string
	closed bool
}

func (c *caller) RemoteAddr() net.Addr {
	address, zone, _ := strings.Cut(c.from, "%")
	return &net.TCPAddr{IP: net.ParseIP(address), Zone: zone, Port: 1000}
}
func (c *caller) Close() error { c.closed = true; return nil }

func admit(t *testing.T, d *Door, from string, want error) (*caller, *Pass) {
	t.Helper()
	c := &caller{from: from}
	pass, err := d.Admit(c)
	if !errors.Is(err, want) {
		t.Fatalf("%s: %v, want %v", from, err, want)
	}
	if c.closed != (want != nil) || (pass == nil) != (want != nil) {
		t.Fatalf("%s: closed %v, pass %v", from, c.closed, pass)
	}
	return c, pass
}

func TestGateLimitsOfAListener(t *testing.T) {
	var reasons []Refusal
	gate := NewGate(100)
	door := gate.Door(Limits{Connections: 3, PerAddress: 2}, func(_ net.Addr, why Refusal) { reasons = append(reasons, why) })
	_, first := admit(t, door, "10.0.0.1", nil)
	admit(t, door, "::ffff:10.0.0.1", nil) // the same address
	admit(t, door, "10.0.0.1", RefusedAddress)
	admit(t, door, "10.0.0.2", nil)
	admit(t, door, "10.0.0.3", RefusedConnections)
	// Another listener has its own limits.
	admit(t, gate.Door(Limits{}, nil), "10.0.0.1", nil)

	first.Release()
	first.Release()
	if door.Open() != 2 {
		t.Errorf("%d open, want 2", door.Open())
	}
	admit(t, door, "10.0.0.1", nil)
	admit(t, door, "10.0.0.3", RefusedConnections)
	if want := []Refusal{RefusedAddress, RefusedConnections, RefusedConnections}; !slices.Equal(reasons, want) {
		t.Errorf("told %v, want %v", reasons, want)
	}
}

func TestGateAllowsNetworks(t *testing.T) {
	var reasons []Refusal
	networks := []netip.Prefix{netip.MustParsePrefix("10.20.0.0/24"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("fe80::/64")}
	gate := NewGate(1)
	door := gate.Door(Limits{AllowFrom: networks, Connections: 1}, func(_ net.Addr, why Refusal) { reasons = append(reasons, why) })
	for _, from := range []string{"10.20.0.1", "::ffff:10.20.0.255", "2001:db8::7", "fe80::7", "fe80::7%eth0"} {
		_, pass := admit(t, door, from, nil)
		pass.Release()
	}
	// Strangers do not count, and nobody makes room for them.
	inside, _ := admit(t, door, "10.20.0.1", nil)
	for _, from := range []string{"10.20.1.1", "::ffff:10.20.1.1", "::10.20.0.1", "2001:db9::7", "fe80:0:0:1::7", "no address"} {
		admit(t, door, from, RefusedOrigin)
	}
	admit(t, door, "10.20.0.2", RefusedConnections)
	if inside.closed || len(reasons) != 7 {
		t.Errorf("closed %v, told %v", inside.closed, reasons)
	}
}

func TestGateMakesRoom(t *testing.T) {
	var reasons []Refusal
	gate := NewGate(3)
	count := func(_ net.Addr, why Refusal) { reasons = append(reasons, why) }
	one, two := gate.Door(Limits{}, count), gate.Door(Limits{}, count)
	connA, a := admit(t, one, "10.0.0.1", nil)
	connB, b := admit(t, one, "10.0.0.2", nil)
	connC, c := admit(t, two, "10.0.0.3", nil)
	a.Busy()
	b.Busy()
	b.Idle() // idle for a shorter time than c now

	_, d := admit(t, two, "10.0.0.4", nil)
	if connA.closed || connB.closed || !connC.closed || !c.MadeRoom() || b.MadeRoom() {
		t.Fatalf("closed: a %v, b %v, c %v", connA.closed, connB.closed, connC.closed)
	}
	c.Idle() // its line does not know yet
	c.Release()
	if one.Open() != 2 || two.Open() != 1 {
		t.Errorf("open: %d and %d", one.Open(), two.Open())
	}
	b.Busy()
	d.Busy()
	admit(t, two, "10.0.0.5", RefusedTotal)
	a.Idle()
	admit(t, two, "10.0.0.5", nil)
	if !connA.closed || connB.closed {
		t.Errorf("closed: a %v, b %v", connA.closed, connB.closed)
	}
	if want := []Refusal{MadeRoom, RefusedTotal, MadeRoom}; !slices.Equal(reasons, want) {
		t.Errorf("told %v, want %v", reasons, want)
	}
}

func TestGateUnderLoad(t *testing.T) {
	gate := NewGate(8)
	door := gate.Door(Limits{Connections: 16, PerAddress: 16}, nil)
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			for range 200 {
				ours, theirs := net.Pipe()
				pass, err := door.Admit(ours)
				if err == nil {
					pass.Busy()
					pass.Idle()
					pass.Release()
				}
				ours.Close()
				theirs.Close()
			}
		})
	}
	wait.Wait()
	if door.Open() != 0 || len(gate.passes) != 0 || len(door.byAddress) != 0 {
		t.Errorf("left behind: %d open, %d passes, %d addresses", door.Open(), len(gate.passes), len(door.byAddress))
	}
}
