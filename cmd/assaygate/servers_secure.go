package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"

	"github.com/assaygate/assaygate/device/port"
)

// secureListener speaks TLS with whoever connects. Handshakes are made by the
// server, in the goroutine and within the time of each connection.
type secureListener struct {
	net.Listener
	config *tls.Config
}

// Accept implements net.Listener.
func (l secureListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(&helpful{Conn: conn}, l.config), nil
}

// helpful is a connection that tells a browser which speaks plain HTTP where to
// ask: people type an address without https.
type helpful struct {
	net.Conn
	begun bool
}

var errPlainHTTP = errors.New("it does not speak TLS")

// Read implements net.Conn. It is called by the handshake, within its deadline.
func (h *helpful) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if h.begun || n == 0 {
		return n, err
	}
	h.begun = true
	const handshakeRecord = 0x16 // RFC 8446 5.1
	if p[0] == handshakeRecord {
		return n, err
	}
	// Headers of a browser, and no more: what comes is not known to be one's.
	rest := io.LimitReader(io.MultiReader(bytes.NewReader(bytes.Clone(p[:n])), h.Conn), 16<<10)
	if request, err := http.ReadRequest(bufio.NewReader(rest)); err == nil {
		_, _ = io.WriteString(h.Conn, plainAnswer(request, h.LocalAddr())) // a failed write means that it left
	}
	return 0, errPlainHTTP
}

// hostname is what may stand in an address that we give back.
var hostname = regexp.MustCompile(`^[A-Za-z0-9._-]+$|^\[[0-9A-Fa-f:.]+\]$`)

// plainAnswer is what a request in plain HTTP gets. Only one that reads is sent on:
// another has said already what it had to keep to itself.
func plainAnswer(r *http.Request, local net.Addr) string {
	const refusal = "This port speaks TLS: use https.\n"
	status, location := "400 Bad Request", ""
	if to, ok := secureURL(r, local); ok {
		// For now, and not for ever: a browser would remember it.
		status, location = "307 Temporary Redirect", "Location: "+to+"\r\n"
	}
	return fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s",
		status, location, len(refusal), refusal)
}

// secureURL is where the same is on the same port with TLS.
func secureURL(r *http.Request, local net.Addr) (string, bool) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return "", false
	}
	host, number, err := net.SplitHostPort(r.Host)
	if err != nil { // without a port: that of http, which is ours then
		host, number = r.Host, ""
		if at, is := local.(*net.TCPAddr); is {
			number = fmt.Sprint(at.Port)
		}
	} else if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	path := r.URL.EscapedPath()
	if !hostname.MatchString(host) || !wholePort.MatchString(number) || !strings.HasPrefix(path, "/") {
		return "", false
	}
	to := "https://" + host + ":" + number + path
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	if strings.ContainsFunc(to, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", false
	}
	return to, true
}

// tlsOf is the TLS of a server, nil where it has none: by the files that the
// configuration names, or by the box's own certificate.
func (d *daemon) tlsOf(one httpServer) (*tls.Config, error) {
	if !one.secure {
		d.secured.Delete(serverName(one.name))
		return nil, nil
	}
	files := one.files
	if files.Certificate == "" {
		_, path, err := d.ownCertificate()
		if err != nil {
			return nil, err
		}
		files.Certificate, files.Key = path, path
	}
	log := d.log.With("for", one.name)
	secure := port.NewTLS(files, func(err error) {
		if err != nil {
			log.Error("new TLS files cannot be used; those of before stay in use", "error", err)
			return
		}
		log.Info("new TLS files are in use; open connections keep theirs")
	})
	secure.Clock = d.clock.tls
	if err := secure.Check(); err != nil {
		return nil, err
	}
	d.secured.Store(serverName(one.name), secure)
	return d.withItself(secure.Config()), nil
}

// serverName tells a server from an instrument of the same name.
type serverName string

// withItself also lets the box in as its own client: `assaygate health` asks the
// endpoint that it runs beside, and has no other certificate.
func (d *daemon) withItself(config *tls.Config) *tls.Config {
	inner := config.GetConfigForClient
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		fresh, err := inner(hello)
		if err != nil || fresh.ClientCAs == nil {
			return fresh, err
		}
		if pair, _, err := d.ownCertificate(); err == nil {
			fresh.ClientCAs = fresh.ClientCAs.Clone()
			fresh.ClientCAs.AddCert(pair.Leaf)
		}
		return fresh, nil
	}
	return config
}
