package port

import (
	"net"
	"net/netip"
	"slices"
	"sync"
)

// TotalConnections is the usual cap for all listeners of a box together. It
// leaves room below the 1023 descriptors that select(2) can handle.
const TotalConnections = 512

// Limits are those of one listener; 0 means no limit.
type Limits struct {
	// AllowFrom are the networks that connections may come from; none means
	// any. An IPv4 address that is written as an IPv6 one counts as IPv4.
	AllowFrom []netip.Prefix
	// Connections is how many connections it may have at a time.
	Connections int
	// PerAddress is how many of them may come from one address.
	PerAddress int
}

// A Refusal is the reason for which a Gate closed a connection. It is an error.
type Refusal string

// The reasons of a Gate.
const (
	// RefusedOrigin: the address is in none of the networks of AllowFrom.
	RefusedOrigin Refusal = "allow_from"
	// RefusedConnections: the listener has its number of connections.
	RefusedConnections Refusal = "connections"
	// RefusedAddress: the address has its number of connections.
	RefusedAddress Refusal = "per_address"
	// RefusedTotal: all listeners together have their number, and none of
	// the connections is idle.
	RefusedTotal Refusal = "total"
	// MadeRoom: the connection was closed because it was the longest idle
	// one when another needed its place.
	MadeRoom Refusal = "made_room"
)

// Error gives the reason in words.
func (r Refusal) Error() string {
	switch r {
	case RefusedOrigin:
		return "connection refused: its address is in none of the networks of allow_from"
	case RefusedConnections:
		return "connection refused: the listener has as many as limits.connections allows"
	case RefusedAddress:
		return "connection refused: the address has as many as limits.per_address allows"
	case RefusedTotal:
		return "connection refused: the box has as many as it can hold, and none is idle"
	case MadeRoom:
		return "connection closed: it was idle for the longest time, and another needed its place"
	}
	return "connection refused: " + string(r)
}

// A Gate holds the number of open connections down, over all listeners and for
// each. When there is no room left, the connection that has been idle for the
// longest time is closed to make some; a connection with a message in progress
// is never closed for another.
type Gate struct {
	total int

	mu     sync.Mutex
	turn   uint64 // rises with every Idle, so that the lowest is the longest idle
	passes map[*Pass]struct{}
}

// NewGate returns a Gate for so many connections in total.
func NewGate(total int) *Gate {
	return &Gate{total: total, passes: make(map[*Pass]struct{})}
}

// A Door is one listener's share of a Gate.
type Door struct {
	gate    *Gate
	limits  Limits
	refused func(net.Addr, Refusal)
	// Both are guarded by gate.mu.
	open      int
	byAddress map[netip.Addr]int
}

// Door returns the door for one listener. Each connection that is refused, and
// each of this listener's that had to make room, is told to refused, which may
// be nil, may be called from any goroutine, and is there to count.
func (g *Gate) Door(limits Limits, refused func(remote net.Addr, why Refusal)) *Door {
	if refused == nil {
		refused = func(net.Addr, Refusal) {}
	}
	return &Door{gate: g, limits: limits, refused: refused, byAddress: make(map[netip.Addr]int)}
}

// A Pass stands for an admitted connection. Its holder says when the
// connection is busy and when it is idle, and gives the pass back at the end.
type Pass struct {
	door    *Door
	conn    net.Conn
	address netip.Addr
	// All are guarded by gate.mu.
	turn     uint64 // 0 while busy
	gone     bool
	madeRoom bool
}

// Admit lets a connection in, idle at first. The caller calls Release when the
// connection is done with. A connection that is refused has been closed; the
// error is a Refusal.
func (d *Door) Admit(conn net.Conn) (*Pass, error) {
	pass := &Pass{door: d, conn: conn, address: addressOf(conn)}
	victim, why := d.gate.admit(pass)
	if victim != nil {
		victim.conn.Close()
		victim.door.refused(victim.conn.RemoteAddr(), MadeRoom)
	}
	if why != "" {
		conn.Close()
		d.refused(conn.RemoteAddr(), why)
		return nil, why
	}
	return pass, nil
}

// admit enters a pass, or says why not. A victim is out already; its
// connection is the caller's to close, outside the lock.
func (g *Gate) admit(p *Pass) (victim *Pass, why Refusal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := p.door
	switch {
	case !d.limits.allow(p.address):
		return nil, RefusedOrigin
	case d.limits.Connections > 0 && d.open >= d.limits.Connections:
		return nil, RefusedConnections
	case d.limits.PerAddress > 0 && d.byAddress[p.address] >= d.limits.PerAddress:
		return nil, RefusedAddress
	}
	if len(g.passes) >= g.total {
		for other := range g.passes {
			if other.turn != 0 && (victim == nil || other.turn < victim.turn) {
				victim = other
			}
		}
		if victim == nil {
			return nil, RefusedTotal
		}
		victim.madeRoom = true
		g.remove(victim)
	}
	g.passes[p] = struct{}{}
	d.open++
	d.byAddress[p.address]++
	g.turn++
	p.turn = g.turn
	return victim, ""
}

// remove takes a pass out of all counts, once.
func (g *Gate) remove(p *Pass) {
	if p.gone {
		return
	}
	p.gone = true
	delete(g.passes, p)
	p.door.open--
	if p.door.byAddress[p.address]--; p.door.byAddress[p.address] == 0 {
		delete(p.door.byAddress, p.address)
	}
}

// Busy says that a message has begun: the connection is not to be closed.
func (p *Pass) Busy() {
	p.door.gate.mu.Lock()
	defer p.door.gate.mu.Unlock()
	p.turn = 0
}

// Idle says that the line is neutral again, from now on.
func (p *Pass) Idle() {
	g := p.door.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	g.turn++
	p.turn = g.turn
}

// Release gives the place back. It does not close the connection, and may be
// called twice.
func (p *Pass) Release() {
	p.door.gate.mu.Lock()
	defer p.door.gate.mu.Unlock()
	p.door.gate.remove(p)
}

// MadeRoom says whether the connection was closed to make room for another.
func (p *Pass) MadeRoom() bool {
	p.door.gate.mu.Lock()
	defer p.door.gate.mu.Unlock()
	return p.madeRoom
}

// Open returns how many connections the listener has.
func (d *Door) Open() int {
	d.gate.mu.Lock()
	defer d.gate.mu.Unlock()
	return d.open
}

// allow reports whether a connection may come from the address. Networks have
// no zones, so the one of a link-local address does not matter.
func (l Limits) allow(address netip.Addr) bool {
	inside := func(network netip.Prefix) bool { return network.Contains(address.WithZone("")) }
	return len(l.AllowFrom) == 0 || slices.ContainsFunc(l.AllowFrom, inside)
}

// addressOf returns the peer's address. One that is not an IP address counts
// as the zero address, together with all others of its kind.
func addressOf(conn net.Conn) netip.Addr {
	tcp, ok := conn.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	return tcp.AddrPort().Addr().Unmap()
}
