package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// askEvery is how often a server is asked whether it still answers.
const askEvery = 10 * time.Second

// question is what it is asked: a page that costs nothing, wherever there is one.
const question = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

// nowhere is where a question comes from, as the server has it: see net.Pipe.
const nowhere = "pipe"

// questioned is the listener of an HTTP server that is asked something every now
// and then: its accept loop gets a connection from nowhere, with a request that is
// there already, and an answer to that, whatever it is, shows that accepting,
// serving and handling still work. No client, however slow, is in the way of it,
// nor a firewall, nor a limit of connections. While a question is not answered
// there is no other.
type questioned struct {
	net.Listener
	timed    interface{ SetDeadline(t time.Time) error }
	every    time.Duration
	next     time.Time
	open     atomic.Bool // a question is
	progress func()
	ended    func()
}

// questioned begins the watch over a server, which ends with its listener.
func (d *daemon) questioned(name string, listener net.Listener) net.Listener {
	timed, can := listener.(interface{ SetDeadline(t time.Time) error })
	if !can {
		return listener
	}
	q := &questioned{Listener: listener, timed: timed, every: askEvery}
	q.progress, q.ended = d.watch(name, promptDeadline)
	return q
}

// Accept implements net.Listener.
func (q *questioned) Accept() (net.Conn, error) {
	for {
		if !time.Now().Before(q.next) {
			q.next = time.Now().Add(q.every)
			if !q.open.Swap(true) {
				return q.ask(), nil
			}
		}
		_ = q.timed.SetDeadline(q.next) // on a closed one Accept says so
		conn, err := q.Listener.Accept()
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return conn, err
		}
	}
}

// Close implements net.Listener.
func (q *questioned) Close() error {
	q.ended()
	return q.Listener.Close()
}

func (q *questioned) ask() net.Conn {
	here, _ := net.Pipe() // nobody is at the other end: a read waits
	return &asking{Conn: here, of: q, request: bytes.NewReader([]byte(question))}
}

// asking is the server's side of a connection with a question.
type asking struct {
	net.Conn
	of      *questioned
	request *bytes.Reader
}

// Read implements net.Conn.
func (a *asking) Read(p []byte) (int, error) {
	if a.request.Len() > 0 {
		return a.request.Read(p)
	}
	return a.Conn.Read(p)
}

// Write implements net.Conn: it is the answer.
func (a *asking) Write(p []byte) (int, error) {
	a.of.progress()
	return len(p), nil
}

// Close implements net.Conn.
func (a *asking) Close() error {
	a.of.open.Store(false)
	return a.Conn.Close()
}
