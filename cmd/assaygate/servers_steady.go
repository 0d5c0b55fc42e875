package main

import (
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"time"
)

// steadily gives each read of a request's body its own deadline.
func steadily(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &steadyBody{ReadCloser: r.Body, control: http.NewResponseController(w)}
		}
		next.ServeHTTP(w, r)
	})
}

// steadyBody is the body of such a request.
type steadyBody struct {
	io.ReadCloser
	control *http.ResponseController
}

// Read implements io.Reader. After the last read there is no deadline: the server
// reads on for what the client does, and would take one for its end.
func (b *steadyBody) Read(p []byte) (int, error) {
	_ = b.control.SetReadDeadline(time.Now().Add(stallTime)) // a test's recorder has none
	n, err := b.ReadCloser.Read(p)
	if err != nil {
		_ = b.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// serverLog is where a server tells what goes wrong with connections.
func (d *daemon) serverLog(name string) *log.Logger {
	return log.New(&connectionLog{d: d, name: name}, "", 0)
}

type connectionLog struct {
	d    *daemon
	name string
}

// Write implements io.Writer. Failed handshakes are told to who looks for them:
// every browser makes some until a person has taken the certificate.
func (l *connectionLog) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := slog.LevelWarn
	if rest, is := strings.CutPrefix(text, "http: TLS handshake error from "); is {
		level = slog.LevelDebug
		address, why, _ := strings.Cut(rest, ": ")
		if noGoodCertificate(why) {
			l.d.refused(l.name, refusedCertificate, address)
		}
	}
	l.d.log.Log(context.Background(), level, text, "for", l.name)
	return len(line), nil
}

// noGoodCertificate reports whether somebody was not let in for the certificate
// that he showed, or did not show.
func noGoodCertificate(why string) bool {
	return strings.Contains(why, "client didn't provide a certificate") || strings.Contains(why, "failed to verify certificate")
}
