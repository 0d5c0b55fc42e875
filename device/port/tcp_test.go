package port

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestEndpointValidate(t *testing.T) {
	for _, e := range []Endpoint{{Listen: ":4010"}, {Listen: "127.0.0.1:0"}, {Listen: "[::1]:4010"}, {Dial: "analyser:5000"}} {
		if err := e.Validate(); err != nil {
			t.Errorf("%+v: %v", e, err)
		}
	}
	for _, test := range []struct {
		e    Endpoint
		want string
	}{
		{Endpoint{}, "listen: missing"},
		{Endpoint{Listen: ":1", Dial: "a:1"}, "dial: cannot stand beside listen"},
		{Endpoint{Listen: "4010"}, "listen: 4010 is not host:port"},
		{Endpoint{Listen: ":astm"}, "listen: :astm: the port is not a number"},
		{Endpoint{Listen: ":65536"}, "listen: :65536: the port is not a number"},
		{Endpoint{Dial: ":5000"}, "dial: :5000 names no host"},
		{Endpoint{Dial: "a:0"}, "dial: a:0 names no host or no port"},
	} {
		if err := test.e.Validate(); err == nil || !strings.HasPrefix(err.Error(), test.want) {
			t.Errorf("%+v: %v, want %s", test.e, err, test.want)
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func dial(t *testing.T, listener net.Listener) net.Conn {
	t.Helper()
	conn, err := Dial(t.Context(), listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// tired is a listener that fails before it works.
type tired struct {
	net.Listener
	failures atomic.Int32
}

func (l *tired) Accept() (net.Conn, error) {
	if l.failures.Add(-1) >= 0 {
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

func TestServe(t *testing.T) {
	listener := &tired{Listener: listen(t)}
	listener.failures.Store(3)
	ctx, cancel := context.WithCancel(t.Context())
	var told, handled, ended atomic.Int32
	done := make(chan error)
	go func() {
		done <- Serve(ctx, listener, func(ctx context.Context, conn net.Conn) {
			handled.Add(1)
			io.Copy(conn, conn)
			<-ctx.Done()
			ended.Add(1)
		}, func(err error) {
			if !errors.Is(err, syscall.EMFILE) {
				t.Errorf("told %v", err)
			}
			told.Add(1)
		}, nil)
	}()
	for range 5 {
		conn := dial(t, listener)
		carryNet(t, conn)
		conn.(*net.TCPConn).CloseWrite()
	}
	if told.Load() != 1 || handled.Load() != 5 {
		t.Errorf("told %d failures, handled %d connections", told.Load(), handled.Load())
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
	if ended.Load() != 5 {
		t.Errorf("%d handlers had returned before Serve", ended.Load())
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func carryNet(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte{5}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestServeEndsWithItsListener(t *testing.T) {
	listener := listen(t)
	listener.Close()
	if err := Serve(t.Context(), listener, nil, nil, nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("ended with %v", err)
	}
}

func TestServeEndsWhileItWaits(t *testing.T) {
	listener := &tired{Listener: listen(t)}
	listener.failures.Store(1 << 30)
	ctx, cancel := context.WithCancel(t.Context())
	var once sync.Once
	err := Serve(ctx, listener, nil, func(error) { once.Do(cancel) }, nil)
	if err != nil {
		t.Errorf("ended with %v", err)
	}
}

// impatient is a listener whose deadlines pass at once, where they are near.
type impatient struct{ *net.TCPListener }

func (l impatient) SetDeadline(t time.Time) error {
	if wait := time.Until(t); wait <= 0 || wait > acceptPause {
		return nil
	}
	return l.TCPListener.SetDeadline(time.Now().Add(time.Millisecond))
}

// An accept loop that nobody connects to says that it lives, and loses nobody who
// does; one that stands still says nothing more.
func TestServeReportsProgress(t *testing.T) {
	listener := listen(t).(*net.TCPListener)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	turns, stand, stood := make(chan bool), make(chan bool), make(chan bool)
	done := make(chan error)
	go func() {
		done <- Serve(ctx, impatient{listener}, func(_ context.Context, conn net.Conn) { io.Copy(conn, conn) }, nil, func() {
			select {
			case turns <- true:
			case <-stand:
				<-stood
			}
		})
	}()
	for range 5 {
		<-turns
	}
	stand <- true
	conn := dial(t, listener)
	stood <- true
	go func() {
		for range turns {
			continue
		}
	}()
	carryNet(t, conn)
	conn.Close()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("ended with %v", err)
	}
	close(turns)
}
