package imagetest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// releaseServer is a web server that knows nothing but files, with a certificate of its own authority.
type releaseServer struct {
	*httptest.Server
	authority string // in PEM
	directory atomic.Pointer[string]
}

func newReleaseServer(t *testing.T) *releaseServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.ParseIP(releasesAddress)}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s := &releaseServer{authority: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if directory := s.directory.Load(); directory != nil {
			http.FileServer(http.Dir(*directory)).ServeHTTP(w, r)
			return
		}
		http.NotFound(w, r)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{certificate}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of a box whose power is cut
	s.StartTLS()
	return s
}

// httpsCase has a web server offer a release in waves. The box, a canary, fetches and installs it by itself while an analyser
// sends, and goes on in the other slot.
func (b *box) httpsCase() error {
	if err := b.fromServer(b.images.waves, "0"); err != nil {
		return err
	}
	from, place := b.slot, b.console.end()
	analyser := b.stream()
	defer analyser.stop()
	if err := errors.Join(analyser.more(3), b.ledTo("1.1.1")); err != nil {
		return err
	}
	slot, next, err := b.booted(place, installLimit+bootLimit)
	if err != nil {
		return fmt.Errorf("%w; %s", err, b.updateStatus())
	}
	b.slot = slot
	if slot == from {
		return fmt.Errorf("slot %s is booted again", slot)
	}
	if _, _, err := b.console.wait(bootLimit, place, `ASSAYGATE-GOOD slot=`+slot); err != nil {
		return fmt.Errorf("the new slot was not marked good (%d): %w", next, err)
	}
	if err := errors.Join(b.outcome("installed", "1.1.1"), analyser.more(3)); err != nil {
		return err
	}
	sent, longest := analyser.stop()
	if err := errors.Join(b.delivered(), b.inOrder(analyser.name, sent), b.sound()); err != nil {
		return err
	}
	fmt.Printf("https: %d messages before, during and after the update, none lost, in order; the longest time without an acknowledgement was %.1f s\n", sent, longest.Seconds())
	return nil
}

// fromServer has the box take its releases from the web server, by a stick that its owner has signed and that tells the time
// too: waves count for a box that knows it. The box is made a canary, for its number is drawn.
func (b *box) fromServer(directory, rate string) error {
	if err := b.working(); err != nil {
		return err
	}
	b.releases.directory.Store(&directory)
	if _, err := b.do("echo 1.0000 >/data/system/update/draw && systemctl restart assaygate-update"); err != nil {
		return err
	}
	b.more = fmt.Sprintf("update: {repository: \"https://%s\", ca: /data/tls/updates.pem, rate: %s}\n", releasesAddress, rate)
	err := b.wantReport(b.directory, map[string]string{
		"assaygate.yaml": b.config(""), "tls/updates.pem": b.releases.authority, "set-clock.txt": time.Now().Format(time.RFC3339),
	}, runs, nil, b.sign)
	if err != nil {
		return fmt.Errorf("a stick with a repository: %w", err)
	}
	return nil
}

// ledTo has the box ask until it has found a release. It would by itself, once an hour.
func (b *box) ledTo(version string) error {
	offered := regexp.MustCompile(`Offered\s.*` + regexp.QuoteMeta(version))
	var text string
	err := b.poll(stickLimit, "release "+version+" for the box", func() (found bool, err error) {
		text, _, err = b.shell.run(momentLimit, "assaygate update check")
		return offered.MatchString(text), err
	})
	if err != nil {
		return fmt.Errorf("%w: %s", err, text)
	}
	return nil
}

// stream is an analyser on the network that sends a message every half second, each until it is acknowledged.
type stream struct {
	name  string
	box   *box
	end   context.CancelFunc
	ended chan struct{}
	// These count once it has ended.
	sent    int
	longest time.Duration
}

func (b *box) stream() *stream {
	ctx, cancel := context.WithCancel(context.Background())
	s := &stream{name: b.sample("Stream"), box: b, end: cancel, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		s.work(ctx)
	}()
	return s
}

func (s *stream) work(ctx context.Context) {
	pace := time.NewTicker(500 * time.Millisecond)
	defer pace.Stop()
	var line net.Conn
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			if line != nil {
				line.Close()
			}
			return
		case <-pace.C:
		}
		if line == nil {
			if line, _ = s.box.dialLAN(ctx); line == nil {
				continue // the box starts anew
			}
		}
		limited, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := sendHL7(limited, line, fmt.Sprintf("%s-%d", s.name, s.sent), s.box.promised)
		cancel()
		if err != nil {
			line.Close()
			line = nil
			continue
		}
		s.sent++
		s.longest, last = max(s.longest, time.Since(last)), time.Now()
	}
}

// more waits for so many more acknowledgements.
func (s *stream) more(n int) error {
	have := 0
	for _, sample := range s.box.promised.all() {
		if strings.HasPrefix(sample, s.name+"-") {
			have++
		}
	}
	return s.box.promised.wait(s.name, have+n, 2*momentLimit)
}

// stop returns how many messages were acknowledged, and the longest time without an acknowledgement.
func (s *stream) stop() (sent int, longest time.Duration) {
	s.end()
	<-s.ended
	return s.sent, s.longest
}

// inOrder says whether the LIMS has got the stream's messages in the order in which they were sent. One that came again under
// its identity counts as of its first time.
func (b *box) inOrder(name string, sent int) error {
	list, err := arrivals(b.lims)
	if err != nil {
		return err
	}
	next := 0
	for _, a := range list {
		var number int
		if _, err := fmt.Sscanf(a.sample, name+"-%d", &number); err != nil || number < next {
			continue
		}
		if number > next {
			return fmt.Errorf("number %d of the stream is in the LIMS before number %d", number, next)
		}
		next++
	}
	if next != sent {
		return fmt.Errorf("%d messages of the stream are in the LIMS, and %d were acknowledged", next, sent)
	}
	return nil
}
