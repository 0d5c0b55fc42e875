package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func ensure(t *testing.T, path string) tls.Certificate {
	t.Helper()
	pair, damage, err := Ensure(path, Names{Hosts: []string{"haematology-1", "haematology-1.local"}, Addresses: []net.IP{net.IPv4(10, 20, 0, 7)}})
	if err != nil || damage != nil {
		t.Fatalf("damage %v, error %v", damage, err)
	}
	return pair
}

func TestEnsureMakesOneOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.pem")
	if _, err := Load(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	first := ensure(t, path)
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, error %v", info.Mode(), err)
	}
	again := ensure(t, path)
	if Fingerprint(first) != Fingerprint(again) {
		t.Error("the second time it is another one")
	}
	if print := Fingerprint(first); len(print) != 95 || strings.Count(print, ":") != 31 || strings.ToUpper(print) != print {
		t.Errorf("fingerprint %s", print)
	}
	if other := ensure(t, filepath.Join(t.TempDir(), "own.pem")); Fingerprint(other) == Fingerprint(first) {
		t.Error("another box has the same")
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".*"))
	if err != nil || left != nil {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// A browser's clock may say anything, and so may the box's when it is its own
// client.
func TestValidWhateverTheClockSays(t *testing.T) {
	pair := ensure(t, filepath.Join(t.TempDir(), "own.pem"))
	roots := x509.NewCertPool()
	roots.AddCert(pair.Leaf)
	for _, at := range []time.Time{time.Unix(0, 0), time.Now(), time.Date(2038, 1, 20, 0, 0, 0, 0, time.UTC), time.Date(2226, 1, 1, 0, 0, 0, 0, time.UTC)} {
		clock := func() time.Time { return at }
		for _, name := range []string{"haematology-1", "haematology-1.local", "localhost", "10.20.0.7", "127.0.0.1", "::1"} {
			plain, dialled := net.Pipe()
			server := tls.Server(plain, &tls.Config{
				Certificates: []tls.Certificate{pair}, Time: clock, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots,
			})
			go func() {
				_ = server.Handshake() // the client says what failed
				_, _ = server.Write([]byte("x"))
			}()
			client := tls.Client(dialled, &tls.Config{RootCAs: roots, ServerName: name, Time: clock, Certificates: []tls.Certificate{pair}})
			if _, err := client.Read(make([]byte, 1)); err != nil {
				t.Errorf("asked for as %s at %s: %v", name, at, err)
			}
			plain.Close()
			dialled.Close()
		}
	}
}

// It cannot sign others: who takes it for the box takes nothing else for it.
func TestIsNoAuthority(t *testing.T) {
	leaf := ensure(t, filepath.Join(t.TempDir(), "own.pem")).Leaf
	if leaf.IsCA || !leaf.BasicConstraintsValid || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("authority %v, usage %b", leaf.IsCA, leaf.KeyUsage)
	}
}

func TestDamageIsReplaced(t *testing.T) {
	good := filepath.Join(t.TempDir(), "own.pem")
	pair := ensure(t, good)
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "own.pem")
	ensure(t, other)
	foreign, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	key := []byte("-----BEGIN PRIVATE KEY-----")
	for name, damaged := range map[string][]byte{
		"empty": nil, "half": text[:len(text)/2], "zeros": make([]byte, len(text)), "no key": text[:bytes.Index(text, key)],
		"another's key": append(bytes.Clone(text[:bytes.Index(text, key)]), foreign[bytes.Index(foreign, key):]...),
		"large":         bytes.Repeat(text, 200),
	} {
		if err := os.WriteFile(good, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		fresh, damage, err := Ensure(good, Names{})
		if err != nil || damage == nil || Fingerprint(fresh) == Fingerprint(pair) {
			t.Errorf("%s: damage %v, error %v", name, damage, err)
		}
		if again := ensure(t, good); Fingerprint(again) != Fingerprint(fresh) {
			t.Errorf("%s: it is made anew again and again", name)
		}
	}
}

// What may be good and cannot be read is not replaced.
func TestWhatCannotBeReadStays(t *testing.T) {
	directory := t.TempDir()
	path := filepath.Join(directory, "own.pem")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Ensure(path, Names{}); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("got %v", err)
	}
	if _, _, err := Ensure(filepath.Join(directory, "none", "own.pem"), Names{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestNamesThatNoCertificateCanHave(t *testing.T) {
	pair, _, err := Ensure(filepath.Join(t.TempDir(), "own.pem"), Names{Hosts: []string{"", "Büro", "a b", "10.0.0.1", "box", "BOX", "localhost", strings.Repeat("x", 300), strings.Repeat("y", 90)}})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(pair.Leaf.DNSNames); got != "[box "+strings.Repeat("y", 90)+" localhost]" {
		t.Errorf("names %s", got)
	}
}

// Processes that make one at the same time go on with the same.
func TestManyAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.pem")
	var prints sync.Map
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			pair, _, err := Ensure(path, Names{})
			if err != nil {
				t.Error(err)
			}
			prints.Store(Fingerprint(pair), true)
		})
	}
	all.Wait()
	count := 0
	prints.Range(func(any, any) bool { count++; return true })
	if count != 1 {
		t.Errorf("%d certificates", count)
	}
}

// TestKilled kills a process that makes certificates, again and again: the file is
// there whole or not at all.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.pem")
	if at := os.Getenv("CERTIFICATE_MAKER"); at != "" {
		for {
			_ = os.Remove(at)
			if _, _, err := Ensure(at, Names{Hosts: []string{"box"}}); err != nil {
				os.Exit(1)
			}
			fmt.Println("made")
		}
	}
	for n := range 20 {
		maker := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		maker.Env = append(os.Environ(), "CERTIFICATE_MAKER="+path)
		out, err := maker.StdoutPipe()
		if err == nil {
			err = maker.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		for range n { // somewhere in the next one
			if _, err := out.Read(make([]byte, len("made\n"))); err != nil {
				t.Fatal(err)
			}
		}
		if err := maker.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = maker.Wait() // killed
		if _, err := Load(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	ensure(t, path)
}
