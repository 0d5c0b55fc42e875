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
// elsewhere than allowed, and who has too many connections already. Where there are
// too many altogether, the oldest one of whoever has most makes room: a few who hold
// all they can get must not keep everybody else out. What asks the server whether it
// lives comes from nowhere, and passes.
type serverGate struct {
	net.Listener
	from   []Network // nil: from everywhere
	refuse func(reason, address string)

	mu   sync.Mutex
	open map[netip.Addr][]*gated // the oldest first
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
		if !g.allows(address, conn.LocalAddr()) {
			g.refuse(refusedAddress, remote.String())
			conn.Close()
			continue
		}
		passed := &gated{Conn: conn, gate: g, address: address}
		out := g.enter(passed)
		if out != nil {
			g.refuse(refusedConnections, out.RemoteAddr().String())
			out.Close()
		}
		if out != passed {
			return passed, nil
		}
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

// enter counts a connection, and returns the one that has to go for it: none, another
// one, or itself.
func (g *serverGate) enter(c *gated) (out *gated) {
	g.mu.Lock()
	defer g.mu.Unlock()
	own := len(g.open[c.address])
	if own >= serverConnectionsEach {
		return c
	}
	if g.all >= serverConnections {
		most := c.address
		for address, list := range g.open {
			if len(list) > len(g.open[most]) {
				most = address
			}
		}
		if len(g.open[most]) <= own {
			return c
		}
		out = g.open[most][0]
		g.remove(out)
	}
	if g.open == nil {
		g.open = map[netip.Addr][]*gated{}
	}
	g.all++
	g.open[c.address] = append(g.open[c.address], c)
	return out
}

func (g *serverGate) leave(c *gated) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(c)
}

// remove forgets a connection, if it is counted. The caller holds the lock.
func (g *serverGate) remove(c *gated) {
	list := g.open[c.address]
	at := slices.Index(list, c)
	if at < 0 {
		return
	}
	g.all--
	if g.open[c.address] = slices.Delete(list, at, at+1); len(list) == 1 {
		delete(g.open, c.address)
	}
}

// gated is a connection that has passed.
type gated struct {
	net.Conn
	gate    *serverGate
	address netip.Addr
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
	c.gate.leave(c)
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
