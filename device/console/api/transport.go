package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Socket returns a transport to the API behind a unix socket.
func Socket(path string) http.RoundTripper {
	var dialer net.Dialer
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		},
		DisableKeepAlives: true, // one command, one question
		// A gateway that refuses a long body says so before it is sent.
		ExpectContinueTimeout: time.Minute,
	}
}

// InProcess returns a transport that calls the handler itself, for the times
// when no gateway runs. The handler runs in a goroutine of its own, which has
// ended when the response's body is closed.
func InProcess(handler http.Handler) http.RoundTripper { return inProcess{handler} }

type inProcess struct{ handler http.Handler }

// RoundTrip implements [http.RoundTripper].
func (t inProcess) RoundTrip(request *http.Request) (*http.Response, error) {
	ctx, stop := context.WithCancel(request.Context())
	reader, writer := io.Pipe()
	w := &pipedResponse{header: make(http.Header), body: writer, began: make(chan struct{})}
	done, trailer := make(chan struct{}), make(http.Header)
	go func() {
		defer close(done)
		defer writer.Close()
		t.handler.ServeHTTP(w, request.WithContext(ctx))
		w.WriteHeader(http.StatusOK) // a handler that wrote nothing
		for key, values := range w.header {
			if name, is := strings.CutPrefix(key, http.TrailerPrefix); is {
				trailer[name] = values // to be read behind the body, as of a server
			}
		}
	}()
	body := &pipedBody{PipeReader: reader, stop: stop, done: done}
	select {
	case <-w.began:
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), body.Close())
	}
	return &http.Response{
		Status: http.StatusText(w.status), StatusCode: w.status,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: w.sent, ContentLength: -1, Body: body, Request: request, Trailer: trailer,
	}, nil
}

// pipedResponse is an http.ResponseWriter whose reader sees each write at once.
type pipedResponse struct {
	header http.Header
	body   *io.PipeWriter
	once   sync.Once
	began  chan struct{} // closed when status and sent are set
	status int
	sent   http.Header
}

func (w *pipedResponse) Header() http.Header { return w.header }

func (w *pipedResponse) WriteHeader(status int) {
	w.once.Do(func() {
		w.status, w.sent = status, w.header.Clone()
		close(w.began)
	})
}

func (w *pipedResponse) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// Flush implements [http.Flusher]: nothing is held back.
func (w *pipedResponse) Flush() {}

// pipedBody ends the handler when its reader has had enough, and waits for it.
type pipedBody struct {
	*io.PipeReader
	stop context.CancelFunc
	done <-chan struct{}
}

// Close implements [io.Closer].
func (b *pipedBody) Close() error {
	b.stop()
	err := b.PipeReader.Close()
	<-b.done
	return err
}
