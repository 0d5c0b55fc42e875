package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/assaygate/assaygate/device/certificate"
)

// certificateFile holds the box's own certificate, in the folder of secrets: a
// factory reset removes that folder, also one of an earlier release, and a backup
// keeps it, so that a box that takes another one's place is known by the same
// fingerprint.
const certificateFile = "box-certificate.pem"

// certificatePlaces are where the certificate may be: beside the configuration
// file, or where there is none, or none that we may write beside, in the store.
func (f flags) certificatePlaces(c Config) (paths []string) {
	if f.Config != "" {
		paths = append(paths, filepath.Join(filepath.Dir(f.Config), secretsFolder, certificateFile))
	}
	if c.Spool.Directory != "" {
		paths = append(paths, filepath.Join(c.Spool.Directory, certificateFile))
	}
	return paths
}

// ownCertificate reads the certificate of a box. Its error is fs.ErrNotExist where
// there is none.
func (f flags) ownCertificate(c Config) (pair tls.Certificate, path string, err error) {
	err = fs.ErrNotExist
	for _, path := range f.certificatePlaces(c) {
		pair, failed := certificate.Load(path)
		if failed == nil {
			return pair, path, nil
		}
		if !errors.Is(failed, fs.ErrNotExist) {
			err = failed
		}
	}
	return tls.Certificate{}, "", err
}

// own is the box's own certificate, as the daemon has it.
type own struct {
	mu   sync.Mutex
	path string
	pair tls.Certificate
}

// ownCertificate returns the box's own certificate and its file, and makes it where
// there is none: at the first start, and after a factory reset.
func (d *daemon) ownCertificate() (pair tls.Certificate, path string, err error) {
	d.own.mu.Lock()
	defer d.own.mu.Unlock()
	if d.own.path != "" {
		// A backup that was restored has brought another one; what is there for a
		// moment only, or not at all, changes nothing.
		if fresh, err := certificate.Load(d.own.path); err == nil {
			d.own.pair = fresh
		}
		return d.own.pair, d.own.path, nil
	}
	places := d.changes.source.certificatePlaces(d.config())
	for _, place := range places {
		var failed error
		if pair, failed = d.ensureCertificate(place); failed == nil {
			d.own.pair, d.own.path = pair, place
			return pair, place, nil
		}
		err = errors.Join(err, failed)
	}
	return tls.Certificate{}, "", err
}

// ensureCertificate makes the certificate in one place, and the folder where the
// one above it is there.
func (d *daemon) ensureCertificate(path string) (tls.Certificate, error) {
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return tls.Certificate{}, fmt.Errorf("a place for the box's certificate: %w", err)
	}
	_, err := os.Lstat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	pair, damage, err := certificate.Ensure(path, d.certificateNames())
	if damage != nil {
		d.log.Error("the box's own certificate could not be used; it gets another one, whose fingerprint is to be compared again",
			"file", path, "error", damage)
	}
	if err == nil && (fresh || damage != nil) {
		d.log.Info("the box has a certificate of its own", "file", path, "sha256", certificate.Fingerprint(pair))
	}
	return pair, err
}

// certificateNames are the names and addresses that the box has now.
func (d *daemon) certificateNames() certificate.Names {
	var names certificate.Names
	for _, name := range []string{d.config().Box.Name, hostName()} {
		names.Hosts = append(names.Hosts, name, name+".local")
	}
	addresses, _ := net.InterfaceAddrs() // none where they cannot be had
	for _, one := range addresses {
		if network, is := one.(*net.IPNet); is && network.IP.IsGlobalUnicast() {
			names.Addresses = append(names.Addresses, network.IP)
		}
	}
	return names
}

// fingerprint is the SHA-256 of the certificate that the console shows where it
// speaks TLS, as browsers show it: of the one that the configuration names, or of
// the box's own.
func (d *daemon) fingerprint() (string, error) {
	if named := d.config().Console.TLS.Certificate; named != "" {
		return certificate.FingerprintOf(named)
	}
	pair, _, err := d.ownCertificate()
	return certificate.Fingerprint(pair), err
}
