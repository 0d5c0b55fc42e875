package port

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// handshakeTimeout is how long a TLS handshake may take: some small analysers
// need seconds for their part.
const handshakeTimeout = 10 * time.Second

// TLS makes TLS connections of plain ones, by the files that it was made with:
// TLS 1.2 at least, without session tickets, so that whoever connects shows its
// certificate each time. The files are looked at before each handshake, and read
// again where they have changed; open connections stay as they are.
type TLS struct {
	// Clock is the time at which certificates must be valid; nil means the
	// system's. It is set before the first handshake.
	Clock func() time.Time

	files TLSFiles
	told  func(error)
	keys  keyring
}

// NewTLS returns the TLS of a line. Nothing is read yet; Check does that. A
// change of the files is told to told, which may be nil and must not block: with
// nil when the new ones are in use, and with the reason when they cannot be used
// and the last good ones stay in use.
func NewTLS(files TLSFiles, told func(error)) *TLS {
	if told == nil {
		told = func(error) {}
	}
	return &TLS{files: files, told: told}
}

// Check reads the files. Its error names the key and the file that cannot be
// used; there are no good ones before then.
func (t *TLS) Check() error {
	_, err := t.current()
	return err
}

// A HandshakeError says why a connection has no TLS, and what to do.
type HandshakeError struct {
	// Remedy is for the person who looks after instrument and box.
	Remedy string
	// Err is what failed.
	Err error
}

// Error gives the reason and the remedy.
func (e *HandshakeError) Error() string { return fmt.Sprintf("TLS handshake: %v; %s", e.Err, e.Remedy) }

// Unwrap returns what failed.
func (e *HandshakeError) Unwrap() error { return e.Err }

// Config is the box's side of TLS for a server that makes its handshakes itself. It
// looks at the files before each one, as Server does.
func (t *TLS) Config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
		good, err := t.current()
		if err != nil {
			return nil, err
		}
		return t.server(good), nil
	}}
}

func (t *TLS) server(good keys) *tls.Config {
	config := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: good.certificates, Time: t.Clock,
		// A resumed session would outlive the removal of its certificate's authority.
		SessionTicketsDisabled: true,
	}
	if good.clientCA != nil {
		config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, good.clientCA
	}
	return config
}

// Server makes the box's side of a TLS connection. It blocks for at most 10
// seconds. Where it fails, its error wraps a HandshakeError, or names the file
// that cannot be read, and conn is of no use any more; the caller closes it.
// Closing the returned line closes conn.
func (t *TLS) Server(ctx context.Context, conn net.Conn) (net.Conn, error) {
	good, err := t.current()
	if err != nil {
		return nil, err
	}
	secure := tls.Server(&greeted{Conn: conn}, t.server(good))
	if err := handshake(ctx, secure); err != nil {
		return nil, &HandshakeError{t.serverRemedy(err), err}
	}
	return secure, nil
}

// Client makes the side of a TLS connection that dialled the address. It is
// bounded as Server is, and fails in the same way.
func (t *TLS) Client(ctx context.Context, conn net.Conn, address string) (net.Conn, error) {
	good, err := t.current()
	if err != nil {
		return nil, err
	}
	name := t.files.ServerName
	if name == "" {
		name, _, _ = net.SplitHostPort(address)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: good.ca, ServerName: name, Time: t.Clock}
	if len(good.certificates) > 0 {
		// Whatever authorities the other side asks for: what it then says of the
		// certificate tells more than that there was none.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &good.certificates[0], nil }
	}
	secure := tls.Client(conn, config)
	if err := handshake(ctx, secure); err != nil {
		return nil, &HandshakeError{t.clientRemedy(err), err}
	}
	return secure, nil
}

func handshake(ctx context.Context, conn *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	return conn.HandshakeContext(ctx)
}

// greeted is a connection on whose first byte the handshake waits.
type greeted struct {
	net.Conn
	read bool
}

var errPlain = errors.New("the first byte is not that of a TLS connection")

// Read fails at once where the first byte cannot be TLS. An analyser that sends
// ENQ and waits for its answer would else wait for the five bytes of a record.
func (g *greeted) Read(p []byte) (int, error) {
	const handshakeRecord = 0x16 // RFC 8446 5.1
	n, err := g.Conn.Read(p)
	if n > 0 && !g.read {
		g.read = true
		if p[0] != handshakeRecord {
			return 0, errPlain
		}
	}
	return n, err
}

// serverRemedy says what to do about a failed handshake with a sender.
func (t *TLS) serverRemedy(err error) string {
	var record tls.RecordHeaderError
	switch {
	case errors.Is(err, errPlain), errors.As(err, &record):
		return "the sender does not speak TLS: switch TLS on there, or point it at a listener without tls"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("the sender did not finish it within %s: it may not speak TLS", handshakeTimeout)
	}
	if remedy := certificateRemedy(err, "the sender", "client_ca"); remedy != "" {
		return remedy
	}
	switch {
	case refusedByPeer(err):
		return "the sender does not take the box's certificate: give it the authority of tls.certificate, and look whether the name in it is right and has not expired"
	case brokenOff(err):
		return "the sender broke it off: it may not trust the box's certificate"
	case t.files.ClientCA != "":
		return "the sender must speak TLS 1.2 or newer and show a certificate of client_ca"
	}
	return "the sender must speak TLS 1.2 or newer"
}

// clientRemedy says what to do about a failed handshake with an instrument that
// was dialled.
func (t *TLS) clientRemedy(err error) string {
	var record tls.RecordHeaderError
	var name x509.HostnameError
	switch {
	case errors.As(err, &record):
		return "the other side does not speak TLS: switch TLS on there, or remove tls"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("the other side did not finish it within %s: it may not speak TLS", handshakeTimeout)
	case errors.As(err, &name):
		return "the certificate has another name: set server_name to one that it has"
	}
	if remedy := certificateRemedy(err, "the other side", "ca"); remedy != "" {
		return remedy
	}
	switch {
	case refusedByPeer(err):
		return "the other side refuses the box: it may want a certificate (certificate, key), or another one"
	case brokenOff(err):
		return "the other side broke it off: it may not speak TLS, or not trust the box"
	}
	return "the other side must speak TLS 1.2 or newer"
}

// certificateRemedy tells what is wrong with the certificate of who; ca is the
// key with the authorities it has to come from.
func certificateRemedy(err error, who, ca string) string {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return fmt.Sprintf("the certificate of %s is of an authority that is not in %s", who, ca)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the certificate of %s has expired or is not valid yet, or the clock of the box is not set", who)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return fmt.Sprintf("the certificate of %s was not made for this use (extended key usage)", who)
	}
	return ""
}

// refusedByPeer reports whether the other side sent an alert.
func refusedByPeer(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// brokenOff reports whether the connection ended without an alert.
func brokenOff(err error) bool {
	var network net.Error
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &network)
}
