package port

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// silence is how long sent bytes may stay unconfirmed. Keep-alive probes are
// not sent while a reply waits for its confirmation, and without this limit
// such a connection lives on for a quarter of an hour. With it, the probes end
// by this time too, so it lies below their 27 seconds.
const silence = 25 * time.Second

// limitSilence sets TCP_USER_TIMEOUT; accepted connections inherit it.
func limitSilence(_, _ string, raw syscall.RawConn) error {
	var inner error
	err := raw.Control(func(fd uintptr) {
		inner = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(silence/time.Millisecond))
	})
	if err != nil {
		return err
	}
	return inner
}
