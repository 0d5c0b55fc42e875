package instrument

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/port"
)

// certified makes a certificate that is its own authority, for both sides.
func certified(t *testing.T) port.TLSFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: rand.Text()}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	directory := t.TempDir()
	files := port.TLSFiles{Certificate: directory + "/box.pem", Key: directory + "/box.key"}
	for path, block := range map[string]*pem.Block{
		files.Certificate: {Type: "CERTIFICATE", Bytes: certificate}, files.Key: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// dialTLS opens a line to a listener as an analyser with these files does.
func (b *bench) dialTLS(address string, files port.TLSFiles) {
	b.t.Helper()
	b.line.Close()
	line, err := port.Open(b.t.Context(), port.Settings{Dial: address, TLS: port.NewTLS(files, nil)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { line.Close() })
	b.line = line.(net.Conn)
}

// A listener with TLS takes messages of who may connect. What does not speak
// TLS, or is not allowed, is told in the log what to do: once, not each time.
func TestListenerWithTLS(t *testing.T) {
	ours, foreign := certified(t), certified(t)
	server := ours
	server.ClientCA = ours.Certificate
	b := newBench(t, Defaults())
	address, counted, log := b.guarded(Instrument{Name: "analyser", Settings: Defaults(), TLS: port.NewTLS(server, nil)})

	for _, first := range []string{"\x05", "\x0b", "\x05"} {
		b.refused(address, first)
	}
	client := foreign
	client.CA = ours.Certificate
	for range 2 {
		b.dialTLS(address, client)
		b.line.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := b.line.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Fatalf("a foreign certificate: %v", err)
		}
	}
	client = ours
	client.CA = ours.Certificate
	b.dialTLS(address, client)
	b.say("\x05", ack)
	whole := frame('1', header+order+result+last, true)
	b.say(whole, ack)
	b.wantKept("accepted " + whole)

	counted.wants(t, map[string]int{"tls": 5})
	said := log.wants(t, "connection refused", 2)
	for i, want := range []string{"the sender does not speak TLS", "the certificate of the sender is of an authority that is not in client_ca"} {
		if len(said) != 2 || !strings.Contains(said[i], want) {
			t.Fatalf("said %q, want %s", said, want)
		}
	}
}

// The other way round a person is told as well.
func TestTLSToAPlainListener(t *testing.T) {
	for _, protocol := range []string{"astm", "hl7"} {
		settings := Defaults()
		settings.Protocol = protocol
		b := newBench(t, settings)
		address, _, log := b.guarded(Instrument{Name: "analyser", Settings: settings})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() {
			_, err := port.Open(ctx, port.Settings{Dial: address, TLS: port.NewTLS(port.TLSFiles{}, nil)})
			ended <- err
		}()
		if said := log.wants(t, "strange bytes", 1); !strings.Contains(said[0], "the sender speaks TLS, this listener does not") {
			t.Errorf("%s: said %q", protocol, said)
		}
		cancel()
		if <-ended == nil {
			t.Error("TLS where there is none")
		}
	}
}

// A handshake that does not end blocks nobody, and its connection counts.
func TestHandshakeCountsAsAConnection(t *testing.T) {
	files := certified(t)
	m := Instrument{Name: "analyser", Settings: Defaults(), TLS: port.NewTLS(files, nil)}
	m.Settings.Limits.PerAddress = 2
	b := newBench(t, Defaults())
	address, counted, _ := b.guarded(m)
	silent, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	b.dialTLS(address, port.TLSFiles{CA: files.Certificate})
	b.say("\x05", ack)
	third, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	third.SetReadDeadline(time.Now().Add(20 * time.Second))
	if _, err := third.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("a third connection: %v", err)
	}
	counted.wants(t, map[string]int{"per_address": 1})
}

// An instrument that is the TCP server may speak TLS, too.
func TestDialledWithTLS(t *testing.T) {
	files := certified(t)
	analyser, err := port.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer analyser.Close()
	b := newBench(t, Defaults())
	b.hangUp()
	counted, log := &reasonCounts{}, &lines{}
	b.service.Observer, b.service.Log = counted, logTo(log)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	dialled := port.TLSFiles{CA: t.TempDir() + "/ca.pem"}
	go func() {
		settings := port.Settings{Dial: analyser.Addr().String(), TLS: port.NewTLS(dialled, nil)}
		ended <- b.service.Dial(ctx, Instrument{Name: "analyser", Settings: Defaults()}, settings, func() {})
	}()
	accept := func() net.Conn {
		conn, err := analyser.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	accept() // its file is not there yet
	log.wants(t, "tls.ca: stat ", 1)
	certificate, err := os.ReadFile(files.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dialled.CA, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	for plain := accept(); ; plain = accept() {
		// Of those that were dialled before there is nothing but the end.
		if b.line, err = port.NewTLS(files, nil).Server(ctx, plain); err == nil {
			break
		}
	}
	b.say("\x05", "")
	// The box is the receiver here as well.
	got := make([]byte, 1)
	if _, err := io.ReadFull(b.line, got); err != nil || string(got) != ack {
		t.Fatalf("got %q, %v", got, err)
	}
	b.line.Close()
	// Then it answers with something else.
	if _, err := io.WriteString(accept(), "no TLS"); err != nil {
		t.Fatal(err)
	}
	log.wants(t, "the other side does not speak TLS", 1)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if counted.all()["tls"] == 0 {
		t.Errorf("counted %v", counted.all())
	}
}
