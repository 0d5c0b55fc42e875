package port

import (
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A vanished peer must be found within 30 seconds, whether bytes are under way
// to it (the user time-out) or not (the probes). The kernel does the rest.
func TestVanishedPeersAreFound(t *testing.T) {
	listener := listen(t)
	dialled := dial(t, listener)
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer accepted.Close()
	for name, conn := range map[string]net.Conn{"accepted": accepted, "dialled": dialled} {
		raw, err := conn.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		option := func(level, option int) (value int) {
			raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, option) })
			if err != nil {
				t.Fatal(err)
			}
			return value
		}
		if option(unix.SOL_SOCKET, unix.SO_KEEPALIVE) != 1 {
			t.Errorf("%s: no keep-alive", name)
		}
		idle, interval, count := option(unix.IPPROTO_TCP, unix.TCP_KEEPIDLE), option(unix.IPPROTO_TCP, unix.TCP_KEEPINTVL), option(unix.IPPROTO_TCP, unix.TCP_KEEPCNT)
		if found := idle + interval*count; found > 30 {
			t.Errorf("%s: a silent peer is found after %d s (%d + %d x %d)", name, found, idle, interval, count)
		}
		if limit := time.Duration(option(unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT)) * time.Millisecond; limit == 0 || limit > 30*time.Second {
			t.Errorf("%s: unconfirmed bytes may wait %v", name, limit)
		}
	}
}
