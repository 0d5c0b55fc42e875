package port

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// TLSFiles name what the TLS of a line is made of, all in PEM. The zero value
// means no TLS.
type TLSFiles struct {
	// Certificate, with those between it and its authority, and its Key are
	// what the box shows: always where it listens, if asked where it dials.
	Certificate string `yaml:"certificate"`
	Key         string `yaml:"key"`
	// ClientCA holds the authorities of who may connect; "": anybody may.
	ClientCA string `yaml:"client_ca"`
	// CA holds the authorities of the one who is dialled; "": the system's.
	CA string `yaml:"ca"`
	// ServerName is the name in the certificate of the one who is dialled;
	// "": the host that is dialled.
	ServerName string `yaml:"server_name"`
}

// Validate returns what does not fit together, beginning with its key.
func (f TLSFiles) Validate() error {
	switch {
	case f.Certificate == "" && f.Key != "":
		return errors.New("certificate: missing; a key needs its certificate")
	case f.Certificate != "" && f.Key == "":
		return errors.New("key: missing; a certificate needs its key")
	}
	return nil
}

// ValidateFor returns what does not fit a line that listens, or one that is
// dialled, each error beginning with its key.
func (f TLSFiles) ValidateFor(listens bool) error {
	if f == (TLSFiles{}) {
		return nil
	}
	var errs []error
	only := func(key, value, where string) {
		if value != "" {
			errs = append(errs, fmt.Errorf("%s: only for a line that %s; remove it", key, where))
		}
	}
	if listens {
		only("ca", f.CA, "is dialled")
		only("server_name", f.ServerName, "is dialled")
		if f.Certificate == "" && f.Key == "" {
			errs = append(errs, errors.New("certificate: missing; a line that listens needs certificate and key"))
		}
	} else {
		only("client_ca", f.ClientCA, "listens")
	}
	return errors.Join(errs...)
}

// Check reads the files. Its error begins with the key of the one that cannot be
// used.
func (f TLSFiles) Check() error {
	_, err := f.read()
	return err
}

// keys is what the files hold.
type keys struct {
	certificates []tls.Certificate
	clientCA, ca *x509.CertPool
}

func (f TLSFiles) read() (k keys, err error) {
	if f.Certificate != "" {
		certificate, err := readPEM("certificate", f.Certificate)
		if err != nil {
			return keys{}, err
		}
		key, err := readPEM("key", f.Key)
		if err != nil {
			return keys{}, err
		}
		pair, err := tls.X509KeyPair(certificate, key)
		if err != nil {
			return keys{}, fmt.Errorf("certificate: %s with the key %s: %w", f.Certificate, f.Key, err)
		}
		k.certificates = []tls.Certificate{pair}
	}
	if k.clientCA, err = readPool("client_ca", f.ClientCA); err != nil {
		return keys{}, err
	}
	k.ca, err = readPool("ca", f.CA)
	return k, err
}

// readPEM reads a file of which every block must be whole: one that is being
// written may end anywhere.
func readPEM(key, file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", file)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	blocks := 0
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		blocks++
	}
	if begun := bytes.Count(text, []byte("-----BEGIN ")); begun == 0 || begun != blocks {
		return nil, fmt.Errorf("%s: %s is not whole: %d of %d PEM blocks can be read", key, file, blocks, begun)
	}
	return text, nil
}

// readPool reads authorities; nil where there is no file.
func readPool(key, file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	text, err := readPEM(key, file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %s holds a block %s that is no certificate: %w", key, file, block.Type, err)
		}
		pool.AddCert(certificate)
	}
	return pool, nil
}

// keyring holds the last good keys.
type keyring struct {
	mu     sync.Mutex
	good   *keys
	looks  []fs.FileInfo // of the files that good was read from
	broken bool          // the files are others now, and cannot be used
}

// current returns the keys to use. The files are looked at each time: that is
// right for files that are replaced, rewritten or behind a link that moves, and
// costs a handshake nothing that counts.
func (t *TLS) current() (keys, error) {
	r := &t.keys
	r.mu.Lock()
	defer r.mu.Unlock()
	looks, err := t.files.look()
	if err == nil && r.good != nil && !r.broken && sameLooks(looks, r.looks) {
		return *r.good, nil
	}
	var fresh keys
	if err == nil {
		fresh, err = t.files.read()
	}
	switch {
	case err != nil && r.good == nil:
		return keys{}, fmt.Errorf("tls.%w", err)
	case err != nil:
		if !r.broken {
			t.told(fmt.Errorf("tls.%w", err))
		}
		r.broken = true
		return *r.good, nil
	}
	again := r.good != nil
	r.good, r.looks, r.broken = &fresh, looks, false
	if again {
		t.told(nil)
	}
	return fresh, nil
}

// look returns what the directory says of each file, before it is read: what
// changes while it is read looks different the next time.
func (f TLSFiles) look() (looks []fs.FileInfo, err error) {
	for _, one := range []struct{ key, file string }{
		{"certificate", f.Certificate}, {"key", f.Key}, {"client_ca", f.ClientCA}, {"ca", f.CA},
	} {
		if one.file == "" {
			continue
		}
		info, err := os.Stat(one.file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", one.key, err)
		}
		looks = append(looks, info)
	}
	return looks, nil
}

func sameLooks(a, b []fs.FileInfo) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !os.SameFile(a[i], b[i]) || a[i].Size() != b[i].Size() || !a[i].ModTime().Equal(b[i].ModTime()) {
			return false
		}
	}
	return true
}
