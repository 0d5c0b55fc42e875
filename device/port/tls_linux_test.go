package port

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority is a certificate authority of a test.
type authority struct {
	t           testing.TB
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	pem         []byte
}

func newAuthority(t testing.TB) *authority {
	a := &authority{t: t}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: rand.Text()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.key = newKey(t)
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// issue makes a certificate for this machine that is valid until then.
func (a *authority) issue(name string, until time.Time) (certificate, key []byte) {
	a.t.Helper()
	own := newKey(a.t)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: until.Add(-time.Hour), NotAfter: until,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.certificate, &own.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	der8, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		a.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der8})
}

// put writes a file of a test, in place.
func put(t testing.TB, path string, data []byte) string {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pair writes a certificate and its key into the directory.
func (a *authority) pair(directory, name string, until time.Time) TLSFiles {
	a.t.Helper()
	certificate, key := a.issue(name, until)
	return TLSFiles{
		Certificate: put(a.t, filepath.Join(directory, name+".pem"), certificate),
		Key:         put(a.t, filepath.Join(directory, name+".key"), key),
	}
}

func soon() time.Time { return time.Now().Add(time.Hour) }

// connect connects two plain ends by TLS. Each side's error is its own.
func connect(t testing.TB, server, client *TLS) (s, c net.Conn, serverErr, clientErr error) {
	t.Helper()
	plainS, plainC := ends(t)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s, serverErr = server.Server(t.Context(), plainS); serverErr != nil {
			plainS.Close()
		}
	}()
	if c, clientErr = client.Client(t.Context(), plainC, plainS.LocalAddr().String()); clientErr != nil {
		plainC.Close()
	} else {
		c.SetDeadline(time.Now().Add(20 * time.Second))
	}
	<-done
	return s, c, serverErr, clientErr
}

// ends are the two ends of one TCP connection.
func ends(t testing.TB) (accepted, dialled net.Conn) {
	t.Helper()
	listener, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if dialled, err = Dial(t.Context(), listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if accepted, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close(); dialled.Close() })
	return accepted, dialled
}

// connected is connect where nothing may fail.
func connected(t testing.TB, server, client *TLS) (s, c net.Conn) {
	t.Helper()
	s, c, serverErr, clientErr := connect(t, server, client)
	if serverErr != nil || clientErr != nil {
		t.Fatalf("server %v, client %v", serverErr, clientErr)
	}
	return s, c
}

func TestTLSFilesValidate(t *testing.T) {
	for _, test := range []struct {
		files   TLSFiles
		listens bool
		want    string
	}{
		{TLSFiles{}, true, ""},
		{TLSFiles{}, false, ""},
		{TLSFiles{Certificate: "c", Key: "k", ClientCA: "a"}, true, ""},
		{TLSFiles{CA: "a", ServerName: "n"}, false, ""},
		{TLSFiles{Certificate: "c", Key: "k", CA: "a"}, false, ""},
		{TLSFiles{Certificate: "c"}, true, "key: missing; a certificate needs its key"},
		{TLSFiles{Key: "k"}, false, "certificate: missing; a key needs its certificate"},
		{TLSFiles{ClientCA: "a"}, true, "certificate: missing; a line that listens needs certificate and key"},
		{TLSFiles{Certificate: "c", Key: "k", ServerName: "n", CA: "a"}, true, "ca: only for a line that is dialled; remove it\nserver_name: only for a line that is dialled; remove it"},
		{TLSFiles{ClientCA: "a"}, false, "client_ca: only for a line that listens; remove it"},
	} {
		err := errors.Join(test.files.Validate(), test.files.ValidateFor(test.listens))
		if got := text(err); got != test.want {
			t.Errorf("%+v: %q, want %q", test.files, got, test.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestTLSNamesTheFile(t *testing.T) {
	directory := t.TempDir()
	ca := newAuthority(t)
	good := ca.pair(directory, "box", soon())
	other := ca.pair(directory, "other", soon())
	half := put(t, directory+"/half.pem", ca.pem[:len(ca.pem)/2])
	twoWithHalf := put(t, directory+"/bundle.pem", append(append([]byte{}, ca.pem...), ca.pem[:100]...))
	for want, files := range map[string]TLSFiles{
		"tls.certificate: stat " + directory + "/none.pem: no such file": {Certificate: directory + "/none.pem", Key: good.Key},
		"tls.key: stat " + directory + "/none.key: no such file":         {Certificate: good.Certificate, Key: directory + "/none.key"},
		"tls.certificate: " + directory + " is not a file":               {Certificate: directory, Key: good.Key},
		"tls.certificate: " + half + " is not whole":                     {Certificate: half, Key: good.Key},
		"tls.certificate: " + good.Certificate + " with the key":         {Certificate: good.Certificate, Key: other.Key},
		"tls.client_ca: " + twoWithHalf + " is not whole: 1 of 2 PEM":    {Certificate: good.Certificate, Key: good.Key, ClientCA: twoWithHalf},
		"tls.client_ca: " + good.Key + " holds a block PRIVATE KEY":      {Certificate: good.Certificate, Key: good.Key, ClientCA: good.Key},
		"tls.ca: stat " + directory + "/no-ca: no such file":             {CA: directory + "/no-ca"},
	} {
		err := NewTLS(files, nil).Check()
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
		conn, _ := net.Pipe()
		if _, err := NewTLS(files, nil).Server(t.Context(), conn); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("as a server: %v, want %s", err, want)
		}
	}
}

// Who may connect, and what those are told who may not.
func TestMutualTLS(t *testing.T) {
	directory := t.TempDir()
	ours, foreign := newAuthority(t), newAuthority(t)
	boxCA := put(t, directory+"/ca.pem", ours.pem)
	server := ours.pair(directory, "box", soon())
	server.ClientCA = boxCA
	client := func(a *authority, name string, until time.Time) TLSFiles {
		files := a.pair(directory, name, until)
		files.CA = boxCA
		return files
	}
	for name, test := range map[string]struct {
		client TLSFiles
		want   string
	}{
		"good":    {client(ours, "analyser", soon()), ""},
		"none":    {TLSFiles{CA: boxCA}, "the sender must speak TLS 1.2 or newer and show a certificate of client_ca"},
		"foreign": {client(foreign, "stranger", soon()), "the certificate of the sender is of an authority that is not in client_ca"},
		"expired": {client(ours, "old", time.Now().Add(-time.Minute)), "the certificate of the sender has expired or is not valid yet, or the clock of the box is not set"},
	} {
		t.Run(name, func(t *testing.T) {
			s, c, serverErr, clientErr := connect(t, NewTLS(server, nil), NewTLS(test.client, nil))
			if test.want == "" {
				if serverErr != nil || clientErr != nil {
					t.Fatalf("server %v, client %v", serverErr, clientErr)
				}
				carry(t, c, s, []byte{5})
				return
			}
			var handshake *HandshakeError
			if !errors.As(serverErr, &handshake) || handshake.Remedy != test.want {
				t.Errorf("%v, want %s", serverErr, test.want)
			}
			// With TLS 1.3 a client learns it at its first read.
			if clientErr == nil {
				_, clientErr = c.Read(make([]byte, 1))
			}
			if clientErr == nil {
				t.Error("the client was not refused")
			}
		})
	}
}

// Each side holds the other's certificate against the clock that it was given.
func TestTLSByAnotherClock(t *testing.T) {
	directory := t.TempDir()
	ours := newAuthority(t)
	boxCA := put(t, directory+"/ca.pem", ours.pem)
	server, client := ours.pair(directory, "box", soon()), ours.pair(directory, "analyser", soon())
	server.ClientCA, client.CA = boxCA, boxCA
	unset := func() time.Time { return time.Date(2023, 4, 5, 0, 0, 0, 0, time.UTC) }
	const remedy = "has expired or is not valid yet, or the clock of the box is not set"
	for name, test := range map[string]struct{ server, client func() time.Time }{
		"both":       {time.Now, time.Now},
		"not server": {unset, nil},
		"not client": {nil, unset},
	} {
		t.Run(name, func(t *testing.T) {
			listens, dials := NewTLS(server, nil), NewTLS(client, nil)
			listens.Clock, dials.Clock = test.server, test.client
			_, _, serverErr, clientErr := connect(t, listens, dials)
			var handshake *HandshakeError
			for side, err := range map[string]error{"not server": serverErr, "not client": clientErr} {
				if (side == name) != (errors.As(err, &handshake) && strings.HasSuffix(handshake.Remedy, remedy)) {
					t.Errorf("server %v, client %v", serverErr, clientErr)
				}
			}
		})
	}
}

// What a person reads of each other reason for which there is no TLS.
func TestTLSRemedies(t *testing.T) {
	directory := t.TempDir()
	ours, foreign := newAuthority(t), newAuthority(t)
	files := ours.pair(directory, "box", soon())
	expired := ours.pair(directory, "old", time.Now().Add(-time.Minute))
	boxCA, otherCA := put(t, directory+"/ca.pem", ours.pem), put(t, directory+"/other.pem", foreign.pem)
	for name, test := range map[string]struct {
		server, client TLSFiles
		remedy         string // at the client
	}{
		"authority": {files, TLSFiles{CA: otherCA}, "the certificate of the other side is of an authority that is not in ca"},
		"name":      {files, TLSFiles{CA: boxCA, ServerName: "analyser"}, "the certificate has another name: set server_name to one that it has"},
		"expired":   {expired, TLSFiles{CA: boxCA}, "the certificate of the other side has expired or is not valid yet, or the clock of the box is not set"},
	} {
		_, _, serverErr, clientErr := connect(t, NewTLS(test.server, nil), NewTLS(test.client, nil))
		var handshake *HandshakeError
		if !errors.As(clientErr, &handshake) || handshake.Remedy != test.remedy {
			t.Errorf("%s: %v, want %s", name, clientErr, test.remedy)
		}
		if !errors.As(serverErr, &handshake) || !strings.HasPrefix(handshake.Remedy, "the sender does not take the box's certificate") {
			t.Errorf("%s: server %v", name, serverErr)
		}
	}
	if s, c := connected(t, NewTLS(files, nil), NewTLS(TLSFiles{CA: boxCA, ServerName: "box"}, nil)); s == nil || c == nil {
		t.Error("no connection by name")
	}

	const noTLS = "the sender does not speak TLS: switch TLS on there, or point it at a listener without tls"
	for name, test := range map[string]struct{ sent, remedy string }{
		"ENQ":         {"\x05", noTLS},
		"start block": {"\x0b", noTLS},
		"no record":   {"\x16abcdefgh", noTLS},
		"old version": {"", "the sender must speak TLS 1.2 or newer"},
		"broken off":  {"\x16", "the sender broke it off: it may not trust the box's certificate"},
	} {
		plain, sender := ends(t)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			if test.sent == "" {
				tls.Client(sender, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}).Handshake()
				return
			}
			io.WriteString(sender, test.sent)
			if name == "broken off" {
				sender.Close()
			}
		}()
		_, err := NewTLS(files, nil).Server(t.Context(), plain)
		plain.Close()
		<-ended
		var handshake *HandshakeError
		if !errors.As(err, &handshake) || handshake.Remedy != test.remedy {
			t.Errorf("%s: %v, want %s", name, err, test.remedy)
		}
	}
}

// A peer that says nothing does not hold a handshake for ever.
func TestTLSHandshakeIsBounded(t *testing.T) {
	files := newAuthority(t).pair(t.TempDir(), "box", soon())
	plain, _ := ends(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := NewTLS(files, nil).Server(ctx, plain); err == nil || !strings.Contains(err.Error(), "the sender did not finish it within 10s: it may not speak TLS") {
		t.Errorf("got %v", err)
	}
	// It ends with the box, too.
	plain, _ = ends(t)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if _, err := NewTLS(files, nil).Server(ctx, plain); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// reloads follows one TLS whose files change.
type reloads struct {
	t      *testing.T
	server *TLS
	told   []string
	roots  string // the client's ca
}

// presents is the name in the certificate that a new connection gets.
func (r *reloads) presents() string {
	r.t.Helper()
	s, c := connected(r.t, r.server, NewTLS(TLSFiles{CA: r.roots}, nil))
	defer s.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
}

func (r *reloads) wants(name string, told ...string) {
	r.t.Helper()
	if got := r.presents(); got != name {
		r.t.Errorf("presents %s, want %s", got, name)
	}
	if len(r.told) != len(told) {
		r.t.Fatalf("told %q, want %q", r.told, told)
	}
	for i, want := range told {
		if !strings.HasPrefix(r.told[i], want) {
			r.t.Errorf("told %q, want %q", r.told[i], want)
		}
	}
	r.told = nil
}

func TestTLSReloads(t *testing.T) {
	directory := t.TempDir()
	ca := newAuthority(t)
	inUse := TLSFiles{Certificate: directory + "/box.pem", Key: directory + "/box.key"}
	r := &reloads{t: t, roots: put(t, directory+"/ca.pem", ca.pem)}
	r.server = NewTLS(inUse, func(err error) {
		if err == nil {
			r.told = append(r.told, "good")
		} else {
			r.told = append(r.told, err.Error())
		}
	})
	replace := func(name string) {
		t.Helper()
		fresh := ca.pair(t.TempDir(), name, soon())
		for from, to := range map[string]string{fresh.Certificate: inUse.Certificate, fresh.Key: inUse.Key} {
			if err := os.Rename(from, to); err != nil {
				t.Fatal(err)
			}
		}
	}
	replace("one")
	r.wants("one")
	r.wants("one")
	s, c := connected(t, r.server, NewTLS(TLSFiles{CA: r.roots}, nil))

	replace("two")
	r.wants("two", "good")
	carry(t, c, s, []byte("the connection that was open stays"))

	// The certificate is there and its key is not yet.
	certificate, key := ca.issue("three", soon())
	put(t, inUse.Certificate, certificate)
	r.wants("two", "tls.certificate: "+inUse.Certificate+" with the key ")
	r.wants("two")
	put(t, inUse.Key, key)
	r.wants("three", "good")

	// A file that is being written, and one that is gone for a moment.
	put(t, inUse.Certificate, certificate[:len(certificate)/2])
	r.wants("three", "tls.certificate: "+inUse.Certificate+" is not whole")
	if err := os.Remove(inUse.Certificate); err != nil {
		t.Fatal(err)
	}
	r.wants("three")
	put(t, inUse.Certificate, certificate)
	r.wants("three", "good")
	if err := os.Rename(inUse.Key, inUse.Key+".away"); err != nil {
		t.Fatal(err)
	}
	r.wants("three", "tls.key: stat "+inUse.Key)
	if err := os.Rename(inUse.Key+".away", inUse.Key); err != nil {
		t.Fatal(err)
	}
	r.wants("three", "good")
}

// Where a link to a directory moves, the names stay and the files are others.
func TestTLSReloadsBehindALink(t *testing.T) {
	directory := t.TempDir()
	ca := newAuthority(t)
	r := &reloads{t: t, roots: put(t, directory+"/ca.pem", ca.pem)}
	at := time.Now().Add(-time.Minute)
	version := func(n, name string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(directory, n), 0o700); err != nil {
			t.Fatal(err)
		}
		fresh := ca.pair(filepath.Join(directory, n), "box", soon())
		certificate, key := ca.issue(name, soon())
		for file, data := range map[string][]byte{fresh.Certificate: certificate, fresh.Key: key} {
			put(t, file, data)
			if err := os.Chtimes(file, at, at); err != nil { // as an archive keeps them
				t.Fatal(err)
			}
		}
		if err := os.Symlink(n, directory+"/new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(directory+"/new", directory+"/data"); err != nil {
			t.Fatal(err)
		}
	}
	version("v1", "one")
	r.server = NewTLS(TLSFiles{Certificate: directory + "/data/box.pem", Key: directory + "/data/box.key"}, nil)
	r.wants("one")
	version("v2", "two")
	r.wants("two")
}

// An authority that is taken out is not let in any more, nor by a session of
// before.
func TestTLSReloadsClientCA(t *testing.T) {
	directory := t.TempDir()
	ours, theirs := newAuthority(t), newAuthority(t)
	files := ours.pair(directory, "box", soon())
	files.ClientCA = put(t, directory+"/clients.pem", append(append([]byte{}, ours.pem...), theirs.pem...))
	client := theirs.pair(directory, "analyser", soon())
	client.CA = put(t, directory+"/ca.pem", ours.pem)
	server, dialled := NewTLS(files, nil), NewTLS(client, nil)
	s, c := connected(t, server, dialled)
	carry(t, s, c, []byte{6})
	sessions := &tls.Config{ServerName: "box", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	pair, err := tls.LoadX509KeyPair(client.Certificate, client.Key)
	if err != nil {
		t.Fatal(err)
	}
	sessions.Certificates = []tls.Certificate{pair}
	for range 2 {
		plainS, plainC := ends(t)
		go func() {
			if s, err := server.Server(t.Context(), plainS); err == nil {
				s.Write([]byte{6})
			}
		}()
		again := tls.Client(plainC, sessions)
		if _, err := again.Read(make([]byte, 1)); err != nil || again.ConnectionState().DidResume {
			t.Errorf("resumed %v: %v", again.ConnectionState().DidResume, err)
		}
	}
	put(t, files.ClientCA, ours.pem)
	if _, _, err, _ := connect(t, server, dialled); err == nil {
		t.Error("the authority was taken out, and its client came in")
	}
	carry(t, s, c, []byte{6})
}

// A TLS connection keeps what a Line promises.
func TestTLSLine(t *testing.T) {
	directory := t.TempDir()
	ca := newAuthority(t)
	server := NewTLS(ca.pair(directory, "box", soon()), nil)
	client := NewTLS(TLSFiles{CA: put(t, directory+"/ca.pem", ca.pem)}, nil)

	s, c := connected(t, server, client)
	testReadDeadline(t, s, c)
	testReadDeadline(t, c, s)
	c.SetDeadline(time.Now().Add(20 * time.Second))

	if err := c.(*tls.Conn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after close_notify: %v", err)
	}
	carry(t, s, c, []byte("the other direction is still open"))
	s.Close()
	if _, err := c.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after Close: %v", err)
	}

	// Close ends a Read that waits.
	s, _ = connected(t, server, client)
	result := make(chan error)
	go func() {
		_, err := s.Read(make([]byte, 1))
		result <- err
	}()
	if err := s.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-result; !errors.Is(err, net.ErrClosed) {
		t.Errorf("waiting read: %v", err)
	}
}

// halved is a connection that holds the second half of a Write back.
type halved struct {
	net.Conn
	half, rest chan struct{} // nil: nothing is held back
}

func (h *halved) Write(p []byte) (int, error) {
	if h.half == nil {
		return h.Conn.Write(p)
	}
	n, err := h.Conn.Write(p[:len(p)/2])
	close(h.half)
	<-h.rest
	m, rest := h.Conn.Write(p[len(p)/2:])
	return n + m, errors.Join(err, rest)
}

// A deadline that passes within a record loses nothing of it.
func TestTLSDeadlineWithinARecord(t *testing.T) {
	directory := t.TempDir()
	ca := newAuthority(t)
	server := NewTLS(ca.pair(directory, "box", soon()), nil)
	client := NewTLS(TLSFiles{CA: put(t, directory+"/ca.pem", ca.pem)}, nil)
	plainS, plainC := ends(t)
	slow := &halved{Conn: plainC}
	var c net.Conn
	dialled := make(chan error)
	go func() {
		var err error
		c, err = client.Client(t.Context(), slow, plainS.LocalAddr().String())
		dialled <- err
	}()
	s, err := server.Server(t.Context(), plainS)
	if err = errors.Join(err, <-dialled); err != nil {
		t.Fatal(err)
	}
	slow.half, slow.rest = make(chan struct{}), make(chan struct{})
	go c.Write([]byte("whole"))
	<-slow.half
	got := make([]byte, 5)
	for range 3 {
		s.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := s.Read(got); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("read %d bytes: %v", n, err)
		}
	}
	close(slow.rest)
	s.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.ReadFull(s, got); err != nil || string(got) != "whole" {
		t.Errorf("read %q: %v", got, err)
	}
}
