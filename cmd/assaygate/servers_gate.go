package main

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Connections that a server has open at most. A browser takes six, and one that
// says nothing is closed after seconds.
const (
	serverConnections     = 128
	serverConnectionsEach = 32 // from one address
)

// Why a server lets somebody not in, as the metric has it.
const (
	refusedAddress     = "address"
	refusedCertificate = "certificate"
	refusedToken       = "token"
	refusedConnections = "connections"
)

func serverRefusals() []string {
	return []string{refusedAddress, refusedCertificate, refusedToken, refusedConnections}
}

// serverGate closes at once what may not connect to a server: who comes from
// elsewhere than allowed, and who has too many connections already. What asks the
// server whether it lives comes from nowhere, and passes.
type serverGate struct {
	net.Listener
	from   []Network // nil: from everywhere
	refuse func(reason, address string)

	mu   sync.Mutex
	open map[netip.Addr]int
	all  int
}

// Accept implements net.Listener.
func (g *serverGate) Accept() (net.Conn, error) {
	for {
		conn, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		remote, is := conn.RemoteAddr().(*net.TCPAddr)
		if !is {
			return conn, nil
		}
		address := remote.AddrPort().Addr().Unmap().WithZone("")
		switch {
		case !g.allows(address, conn.LocalAddr()):
			g.refuse(refusedAddress, remote.String())
		case !g.enter(address):
			g.refuse(refusedConnections, remote.String())
		default:
			return &gated{Conn: conn, leave: sync.OnceFunc(func() { g.leave(address) })}, nil
		}
		conn.Close()
	}
}

// allows reports whether somebody at the address may ask. The box itself always
// may.
func (g *serverGate) allows(address netip.Addr, local net.Addr) bool {
	if g.from == nil || address.IsLoopback() {
		return true
	}
	if at, is := local.(*net.TCPAddr); is && at.AddrPort().Addr().Unmap().WithZone("") == address {
		return true
	}
	return slices.ContainsFunc(g.from, func(n Network) bool { return n.Contains(address) })
}

func (g *serverGate) enter(address netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= serverConnections || g.open[address] >= serverConnectionsEach {
		return false
	}
	if g.open == nil {
		g.open = map[netip.Addr]int{}
	}
	g.all++
	g.open[address]++
	return true
}

func (g *serverGate) leave(address netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if g.open[address]--; g.open[address] == 0 {
		delete(g.open, address)
	}
}

// gated is a connection that has passed.
type gated struct {
	net.Conn
	leave func()
}

// stallTime is how long one read of a body and one write may take: whoever is gone
// or asleep must not hold a connection for ever.
const stallTime = time.Minute

// Write implements net.Conn.
func (c *gated) Write(p []byte) (int, error) {
	_ = c.SetWriteDeadline(time.Now().Add(stallTime)) // on a closed one the write says so
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *gated) Close() error {
	c.leave()
	return c.Conn.Close()
}

// deniedLog tells of who was not let in: each one counted, and logged rarely, for anybody on the
// network can make as many as he likes.
type deniedLog struct {
	mu     sync.Mutex
	said   map[string]time.Time // by server and reason
	untold map[string]int
}

const sayRefusals = 10 * time.Minute

// refused counts that a server has not let somebody in.
func (d *daemon) refused(server, reason, address string) {
	d.metrics.denied.WithLabelValues(server, reason).Inc()
	r := &d.deniedLog
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said == nil {
		r.said, r.untold = map[string]time.Time{}, map[string]int{}
	}
	key, now := server+" "+reason, time.Now()
	if at, is := r.said[key]; is && now.Sub(at) < sayRefusals {
		r.untold[key]++
		return
	}
	d.log.Warn("refused", "for", server, "reason", reason, "address", address, "more_since_the_last_line", r.untold[key])
	r.said[key], r.untold[key] = now, 0
}
