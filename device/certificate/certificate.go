// Package certificate makes and keeps the box's own TLS certificate: what it shows
// on the network where nobody gave it another one. It is self-signed, so a person
// knows the box by the certificate's fingerprint.
//
// Key and certificate are in one file, which only its owner reads and which is
// there whole or not at all. The certificate is made once: another one would have
// another fingerprint, and everybody would have to compare it again.
package certificate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"strings"
	"time"
)

// mostRead is how large the file may be, in bytes; ours has about 1 000.
const mostRead = 64 << 10

// Names are what the box may be asked for by, beside localhost.
type Names struct {
	Hosts     []string
	Addresses []net.IP
}

// Ensure returns the certificate in the file, and makes one where there is none.
// A file that cannot be used is replaced; damage says what was wrong with it. The
// directory must be there.
func Ensure(path string, names Names) (pair tls.Certificate, damage, err error) {
	pair, err = Load(path)
	switch {
	case err == nil:
		return pair, nil, nil
	case !errors.Is(err, fs.ErrNotExist) && !errors.As(err, &damaged{}):
		return tls.Certificate{}, nil, err // it may be a good one that cannot be read now
	case !errors.Is(err, fs.ErrNotExist):
		damage = err
	}
	text, err := create(names)
	if err != nil {
		return tls.Certificate{}, damage, fmt.Errorf("making the box's certificate: %w", err)
	}
	if err := write(path, text, damage != nil); err != nil {
		return tls.Certificate{}, damage, fmt.Errorf("writing the box's certificate: %w", err)
	}
	pair, err = Load(path) // another process may have been faster
	return pair, damage, err
}

// damaged is an error about what a file holds.
type damaged struct{ error }

// Unwrap returns what is wrong.
func (d damaged) Unwrap() error { return d.error }

// Load reads the file. Its error is fs.ErrNotExist where there is none.
func Load(path string) (tls.Certificate, error) {
	info, err := os.Stat(path)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the box's certificate: %w", err)
	}
	if !info.Mode().IsRegular() {
		return tls.Certificate{}, fmt.Errorf("the box's certificate: %s is not a file; move it away", path)
	}
	if info.Size() > mostRead {
		return tls.Certificate{}, damaged{fmt.Errorf("the box's certificate: %s has %d bytes, far more than we write", path, info.Size())}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("the box's certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err == nil && pair.Leaf == nil {
		pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0])
	}
	if err != nil {
		return tls.Certificate{}, damaged{fmt.Errorf("the box's certificate: %s is damaged: %w", path, err)}
	}
	return pair, nil
}

// Fingerprint is the SHA-256 of a certificate as browsers and openssl show it: 32
// bytes in hexadecimal with colons between them.
func Fingerprint(pair tls.Certificate) string {
	if len(pair.Certificate) == 0 {
		return ""
	}
	sum := sha256.Sum256(pair.Certificate[0])
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = fmt.Sprintf("%02X", b)
	}
	return strings.Join(parts, ":")
}

// A box may not know the time when it makes its certificate, so that is valid
// whatever its clock or that of a browser says: from the first second of Unix time,
// for clocks that begin there, to the last one that a certificate can have (RFC
// 5280 4.1.2.5: of no well-defined end).
var (
	notBefore = time.Unix(0, 0).UTC()
	notAfter  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// create makes key and certificate, in PEM.
func create(names Names) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	hosts := append(usable(names.Hosts), "localhost")
	template := x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), // positive
		Subject:      pkix.Name{CommonName: hosts[0][:min(len(hosts[0]), 64)], Organization: []string{"Assaygate"}},
		NotBefore:    notBefore, NotAfter: notAfter,
		KeyUsage: x509.KeyUsageDigitalSignature,
		// The box also shows it to itself, as a client.
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		DNSNames:              hosts,
		IPAddresses:           append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, names.Addresses...),
	}
	certificate, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...), nil
}

// usable are the names that a certificate can have, each once.
func usable(hosts []string) (list []string) {
	seen := map[string]bool{"localhost": true}
	for _, host := range hosts {
		plain := strings.IndexFunc(host, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
		if name := strings.ToLower(host); host != "" && len(host) <= 253 && plain && !seen[name] && net.ParseIP(host) == nil {
			seen[name] = true
			list = append(list, host)
		}
	}
	return list
}

// FingerprintOf is the fingerprint of the first certificate in a PEM file, whosever
// it is.
func FingerprintOf(file string) (string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return Fingerprint(tls.Certificate{Certificate: [][]byte{block.Bytes}}), nil
		}
	}
	return "", fmt.Errorf("%s holds no certificate", file)
}
