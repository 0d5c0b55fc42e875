package agent

import (
	"net"
	"path"
	"slices"
	"strings"
	"sync"
	"time"
)

// traffic is what a web server saw since it was taken last.
type traffic struct {
	mu      sync.Mutex
	seconds map[int64]int  // requests by second
	kinds   map[string]int // requests by what was asked for, such as timestamp.json
	wire    int64          // bytes over all connections, both ways, with all of HTTP
	begun   []time.Time    // when bundles were asked for
}

// The kinds of requests.
const (
	kindBundle    = "bundle"
	kindWaves     = "wave file"
	kindTimestamp = "timestamp.json"
)

// count takes note of a request for a file of the repository.
func (s *traffic) count(file string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seconds == nil {
		s.seconds, s.kinds = map[int64]int{}, map[string]int{}
	}
	now := time.Now()
	s.seconds[now.Unix()]++
	kind := path.Base(file)
	switch {
	case strings.HasPrefix(file, "/targets/bundles/"):
		kind = kindBundle
		s.begun = append(s.begun, now)
	case strings.HasPrefix(file, "/targets/waves/"):
		kind = kindWaves
	case kind != kindTimestamp:
		_, kind, _ = strings.Cut(kind, ".") // 3.snapshot.json
	}
	s.kinds[kind]++
}

// take returns what was seen, and begins anew.
func (s *traffic) take() stretch {
	s.mu.Lock()
	defer s.mu.Unlock()
	taken := stretch{kinds: s.kinds, metadata: s.wire - int64(len(s.begun))*fleetBundle, atOnce: atOnce(s.begun)}
	for _, requests := range s.seconds {
		taken.requests += requests
		taken.peak = max(taken.peak, requests)
	}
	s.seconds, s.kinds, s.wire, s.begun = nil, nil, 0, nil
	return taken
}

// stretch is the traffic of a part of the week.
type stretch struct {
	when           string
	interval       time.Duration // how often boxes ask
	requests, peak int           // in all, and the most in one second
	kinds          map[string]int
	metadata       int64 // bytes: all traffic but the bundles
	atOnce         int   // the most bundles that are on their way at the same time
}

// atOnce is the most downloads at the same time, none of them cut off.
func atOnce(begun []time.Time) (most int) {
	slices.SortFunc(begun, time.Time.Compare)
	first := 0
	for i, at := range begun {
		for at.Sub(begun[first]) >= fleetBundle/fleetRate*time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// countedConn is the box's end of a connection.
type countedConn struct {
	net.Conn
	in *traffic
}

func (c countedConn) Read(p []byte) (int, error)  { return c.count(c.Conn.Read(p)) }
func (c countedConn) Write(p []byte) (int, error) { return c.count(c.Conn.Write(p)) }

func (c countedConn) count(n int, err error) (int, error) {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.wire += int64(n)
	return n, err
}
