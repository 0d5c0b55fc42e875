package console

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// streamBeat is how often a stream tells how the line stands, which also shows
	// both ends that the other is there.
	streamBeat = 5 * time.Second
	// streamWrite is how long a browser may take nothing.
	streamWrite = 10 * time.Second
	// mostStreams is how many lines one person may look on at: a browser has six
	// connections to one server, and needs some for other pages.
	mostStreams = 4
)

const eventStream = "text/event-stream"

type closingKey struct{}

// WithClosing returns a context for the requests of a server, see
// http.Server.BaseContext, whose streams end when closing does. A server that stops
// waits for its requests, and a stream has no end of its own.
func WithClosing(ctx, closing context.Context) context.Context {
	return context.WithValue(ctx, closingKey{}, closing)
}

// streams counts those of each person.
type streams struct {
	mu   sync.Mutex
	open map[string]int
}

// enter reports whether the person may have one more stream, which leave ends.
func (s *streams) enter(who string) (leave func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[who] >= mostStreams {
		return nil, false
	}
	if s.open == nil {
		s.open = map[string]int{}
	}
	s.open[who]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[who]--; s.open[who] == 0 {
			delete(s.open, who)
		}
	}, true
}

// lineEvents streams what goes over a line as server-sent events: "entries" and
// "state", which are HTML, and last "over" with a text, behind which the browser is
// not to connect again. That is also the answer to one who gets no stream: of a
// refused one a browser tells its script nothing.
func (c *Console) lineEvents(w http.ResponseWriter, r *http.Request) {
	if _, ok := c.lookOn(w, r); !ok {
		return
	}
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	if closing, ok := r.Context().Value(closingKey{}).(context.Context); ok {
		defer context.AfterFunc(closing, stop)()
	}
	w.Header().Set("Content-Type", eventStream)
	s := stream{ResponseController: http.NewResponseController(w), w: w}
	leave, ok := c.streams.enter(c.who(r).Name)
	if !ok {
		s.send("", "over", fmt.Sprintf("You look on at %d lines already: close one of these pages.", mostStreams))
		return
	}
	defer leave()
	after := r.Header.Get("Last-Event-ID")
	if after == "" {
		after = r.FormValue("after")
	}
	watch, err := c.options.Live.Watch(r.PathValue("instrument"), after)
	if err != nil {
		s.send("", "over", "Nothing can be shown: "+err.Error()+".")
		return
	}
	defer watch.Close()
	c.follow(ctx, r, s, watch)
}

// follow streams until the person leaves or may not look on any more, the line is
// gone, or the server closes.
func (c *Console) follow(ctx context.Context, r *http.Request, s stream, watch LiveWatch) {
	person, instrument := c.who(r), r.PathValue("instrument")
	next := time.Now()
	for {
		if now := time.Now(); !now.Before(next) {
			line, known := c.options.Live.Line(instrument)
			if known && !c.sendHTML(ctx, s, "", "state", "linestate", line) {
				return
			}
			next = now.Add(streamBeat)
		}
		waiting, cancel := context.WithDeadline(ctx, next)
		list, lost, err := watch.Next(waiting)
		cancel()
		switch {
		case c.who(r) != person: // first: with the session its requests end too
			s.send("", "over", "Your session has ended: load this page again.")
			return
		case ctx.Err() != nil:
			return
		case errors.Is(err, context.DeadlineExceeded):
			continue
		case err != nil:
			s.send("", "over", "This line is gone from the configuration.")
			return
		}
		if !c.sendHTML(ctx, s, list[len(list)-1].Mark, "entries", "lineentries", lineBatch{Lost: lost, Entries: list}) {
			return
		}
	}
}

// lineBatch are entries, and how many were lost before them.
type lineBatch struct {
	Lost    uint64
	Entries []LiveEntry
}

// sendHTML sends a part of a page, and reports whether that could be done.
func (c *Console) sendHTML(ctx context.Context, s stream, id, event, template string, view any) bool {
	giveBack, ok := c.turns.take(ctx)
	if !ok {
		return false
	}
	defer giveBack()
	var body bytes.Buffer
	if err := c.pages.ExecuteTemplate(&body, template, view); err != nil {
		c.options.Log.Error("console", "page", template, "error", err)
		return false
	}
	giveBack()
	return s.send(id, event, body.String())
}

// stream writes server-sent events.
type stream struct {
	*http.ResponseController
	w http.ResponseWriter
}

// oneLineEnd leaves one of the three that end a line of an event.
var oneLineEnd = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// send sends one event at once, and reports whether the browser took it.
func (s stream) send(id, event, data string) bool {
	var out bytes.Buffer
	if id != "" {
		fmt.Fprintf(&out, "id: %s\n", id)
	}
	fmt.Fprintf(&out, "event: %s\n", event)
	for line := range strings.Lines(oneLineEnd.Replace(data)) {
		fmt.Fprintf(&out, "data: %s\n", strings.TrimSuffix(line, "\n"))
	}
	out.WriteString("\n")
	// Where there is no deadline to set the write waits; nothing else does.
	_ = s.SetWriteDeadline(time.Now().Add(streamWrite))
	if _, err := s.w.Write(out.Bytes()); err != nil {
		return false
	}
	return s.Flush() == nil
}
