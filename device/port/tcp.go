package port

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"time"
)

// Endpoint is the network side of an instrument: either the address on which
// the box listens, or that of an instrument that is the TCP server.
type Endpoint struct {
	Listen string `yaml:"listen"`
	Dial   string `yaml:"dial"`
}

// Validate returns all that is wrong, each error beginning with its key.
func (e Endpoint) Validate() error {
	switch {
	case e.Listen == "" && e.Dial == "":
		return errors.New(`listen: missing; give an address such as ":4010", or dial: HOST:PORT`)
	case e.Listen != "" && e.Dial != "":
		return errors.New("dial: cannot stand beside listen; keep one of them")
	case e.Listen != "":
		if _, _, err := splitAddress(e.Listen); err != nil {
			return fmt.Errorf("listen: %w", err)
		}
		return nil
	}
	host, port, err := splitAddress(e.Dial)
	if err == nil && (host == "" || port == 0) {
		err = fmt.Errorf("%s names no host or no port; write HOST:PORT", e.Dial)
	}
	if err != nil {
		return fmt.Errorf("dial: %w", err)
	}
	return nil
}

// splitAddress takes an address apart whose port is a number.
func splitAddress(address string) (host string, port uint64, err error) {
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf("%s is not host:port", address)
	}
	port, err = strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("%s: the port is not a number up to 65535", address)
	}
	return host, port, nil
}

// A peer that has vanished without a word is found by keep-alive probes: the
// first after 15 seconds of silence, three more, given up after 27 seconds.
const (
	probeIdle     = 15 * time.Second
	probeInterval = 4 * time.Second
	probeCount    = 3
)

func keepAlive() net.KeepAliveConfig {
	return net.KeepAliveConfig{Enable: true, Idle: probeIdle, Interval: probeInterval, Count: probeCount}
}

// Listen opens a listener whose connections find out within 30 seconds that
// their peer has vanished.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	config := net.ListenConfig{KeepAliveConfig: keepAlive(), Control: limitSilence}
	return config.Listen(ctx, "tcp", address)
}

const (
	// dialAttempt is how long one address is tried. Where nothing answers, the
	// system repeats its first packet only after 1, 3 and 7 seconds; with each
	// attempt and the wait between two it starts anew, so that one goes out at
	// least every 1.5 seconds.
	dialAttempt = 2 * time.Second
	// lookupTimeout is for finding the addresses of a name: there may be a name
	// server that does not answer, before one that does.
	lookupTimeout = 10 * time.Second
)

// Dial connects to an instrument. Each address that its name has is tried for 2
// seconds. The connection finds out within 30 seconds that its peer has vanished.
func Dial(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	addresses, err := lookup(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	dialer := net.Dialer{Timeout: dialAttempt, KeepAliveConfig: keepAlive(), Control: limitSilence}
	var first error
	for _, one := range addresses {
		conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(one, port))
		if err == nil {
			return conn, nil
		}
		first = cmp.Or(first, err)
	}
	return nil, first
}

// lookup returns the addresses of a host, of which an address is its own.
func lookup(ctx context.Context, host string) ([]string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{host}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return net.DefaultResolver.LookupHost(ctx, host)
}

// acceptPause is how long nobody may connect before the accept loop says that it
// lives.
const acceptPause = 10 * time.Second

// Serve accepts connections until ctx ends and runs handle for each in a
// goroutine of its own. It closes the connection when handle returns, and the
// listener before it returns itself. It returns nil when ctx has ended and all
// handlers have returned; handle sees the same ctx and decides how soon.
//
// Accepting goes on when it fails for a while, as it does when the process has
// no descriptors left: Serve tries again after at most a second. The first
// failure of a row is told to failed, which may be nil. Only a listener that
// somebody else has closed makes Serve return an error while ctx lives.
//
// Progress, which may be nil, is called at least every 10 seconds, also while
// nobody connects; where the listener has no deadlines, at each connection only.
func Serve(ctx context.Context, listener net.Listener, handle func(context.Context, net.Conn), failed func(error), progress func()) error {
	stop := context.AfterFunc(ctx, func() { listener.Close() })
	defer stop()
	defer listener.Close()
	var handlers sync.WaitGroup
	defer handlers.Wait()

	if progress == nil {
		progress = func() {}
	}
	timed, _ := listener.(interface{ SetDeadline(t time.Time) error })
	backoff := Backoff{Min: 5 * time.Millisecond, Max: time.Second}
	failing := false
	for {
		progress()
		if timed != nil {
			_ = timed.SetDeadline(time.Now().Add(acceptPause)) // on a closed one Accept says so
		}
		conn, err := listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			continue
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", listener.Addr(), err)
		case err != nil:
			if !failing && failed != nil {
				failed(fmt.Errorf("accept on %s: %w", listener.Addr(), err))
			}
			failing = true
			if sleep(ctx, backoff.Next()) != nil {
				return nil
			}
			continue
		}
		failing = false
		backoff.Reset()
		handlers.Go(func() {
			defer conn.Close()
			handle(ctx, conn)
		})
	}
}
