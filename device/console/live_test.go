package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// fakeLine is a line over which goes what the test says.
type fakeLine struct {
	line    LiveLine
	backlog []LiveEntry
	news    chan []LiveEntry // closed: the line is gone
	lost    uint64
	refused error

	mu    sync.Mutex
	after []string // of each watch
	open  int
}

func (f *fakeLine) live() Live {
	return Live{
		Lines:   func() []LiveLine { return []LiveLine{f.line} },
		Line:    func(name string) (LiveLine, bool) { return f.line, name == f.line.Instruments[0] },
		Backlog: func(string) []LiveEntry { return f.backlog },
		Watch:   f.watch,
	}
}

func (f *fakeLine) watch(_, after string) (LiveWatch, error) {
	if f.refused != nil {
		return LiveWatch{}, f.refused
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.after = append(f.after, after)
	f.open++
	return LiveWatch{
		Next: func(ctx context.Context) ([]LiveEntry, uint64, error) {
			select {
			case list, goesOn := <-f.news:
				if !goesOn {
					return nil, 0, errors.New("gone")
				}
				return list, f.lost, nil
			case <-ctx.Done():
				return nil, 0, ctx.Err()
			}
		},
		Close: func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.open--
		},
	}, nil
}

func (f *fakeLine) watches() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.open
}

func newFakeLine() *fakeLine {
	at := time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.Local)
	return &fakeLine{
		news: make(chan []LiveEntry),
		line: LiveLine{
			Instruments: []string{"lan", "other"}, Protocol: "astm", Where: "listens on :4010", Up: true, Opened: 1,
			Open:     []LiveOpen{{Number: 7, Remote: "10.0.0.7:1024", Since: at}},
			Received: LiveTraffic{Bytes: 20, Last: at, Controls: []LiveControl{{"ENQ", 1}, {"STX", 0}}},
		},
		backlog: []LiveEntry{
			{Mark: "m-1", At: at, Kind: "received", Opening: 7, Remote: "10.0.0.7:1024", Pieces: []LivePiece{{Bytes: []byte("\x05")}}},
			{Mark: "m-2", At: at, Kind: "timer", Opening: 7, Remote: "10.0.0.7:1024", Text: "30s for the next frame"},
			{Mark: "m-3", At: at, Kind: "received", Opening: 7, Remote: "10.0.0.7:1024", Pieces: []LivePiece{
				{Bytes: []byte("\x021H|<script>\rP|1\r\x17A")}, {Hidden: 12, Digest: "abcd"},
			}, Cut: 9},
		},
	}
}

func liveBrowser(t *testing.T, f *fakeLine) (browser, *spool.Spool) {
	store := spooltest.New(t)
	b := browser{t, newConsole(store, Overview{})}
	b.console.options.Live = f.live()
	return b, store
}

func TestLiveListsLines(t *testing.T) {
	b, store := liveBrowser(t, newFakeLine())
	contains(t, b.page("/live"), `<a href="/live/lan">lan</a>, <a href="/live/other">other</a>`, "listens on :4010", "20 bytes", "ENQ&nbsp;1", "ENQ came, but no frame")
	if rows := watched(t, store); rows != 0 {
		t.Errorf("counters alone are noted %d times", rows)
	}
}

// watched is how often the audit says that somebody looked on.
func watched(t *testing.T, store *spool.Spool) (n int) {
	t.Helper()
	rows, err := store.Trail(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if row.What == string(spool.WatchedLive) && row.Detail == "lan" {
			n++
		}
	}
	return n
}

// Where the card takes no row of the audit nothing is shown, and the person reads why
// and where to look instead: on a page, and on one that was open already.
func TestLiveThatCannotBeNoted(t *testing.T) {
	b, store := liveBrowser(t, newFakeLine())
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	page := b.get("/live/lan")
	contains(t, page.Body.String(), "the audit has to tell of it", "The page Commissioning says")
	if page.Code != http.StatusServiceUnavailable || strings.Contains(page.Body.String(), "ENQ") {
		t.Errorf("%d %s", page.Code, page.Body)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://127.0.0.1:8080/live/lan/events", nil)
	r.Header.Set("Accept", "text/event-stream")
	stream := b.send(r)
	contains(t, stream.Body.String(), "event: over\n", "The page Commissioning says")
	if stream.Code != http.StatusOK || stream.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("%d %s", stream.Code, stream.Header())
	}
}

// Without scripts the page shows what went over the line; each look is noted, once
// for a while.
func TestLiveShowsTheBacklog(t *testing.T) {
	b, store := liveBrowser(t, newFakeLine())
	page := b.page("/live/lan")
	contains(t, page,
		`<span class="control">&lt;ENQ&gt;</span>`, "05:06:07.089", "30s for the next frame", `class="timer"`,
		`<span class="control">&lt;STX&gt;</span>1H|&lt;script&gt;`, `<span class="control">&lt;ETB&gt;</span>A<span class="hidden">[12 bytes, digest abcd]</span>`,
		"[9 more bytes are not shown]", `data-after="m-3"`, "Load it again", "lan, other",
	)
	b.page("/live/lan")
	if n := watched(t, store); n != 1 {
		t.Errorf("noted %d times", n)
	}
	if w := b.get("/live/nobody"); w.Code != http.StatusNotFound {
		t.Errorf("a line that is not there: %d", w.Code)
	}
}

func TestMissing(t *testing.T) {
	traffic := func(bytes uint64, controls ...LiveControl) LiveTraffic {
		return LiveTraffic{Bytes: bytes, Controls: controls}
	}
	for want, line := range map[string]LiveLine{
		"never opened: nobody has connected, or the port is not there": {},
		"no byte ever came":      {Opened: 1},
		"bytes came, but no ENQ": {Opened: 1, Protocol: "astm", Received: traffic(1)},
		"ENQ came, but no frame": {Opened: 1, Protocol: "astm", Received: traffic(1, LiveControl{"ENQ", 1})},
		"":                       {Opened: 1, Protocol: "astm", Received: traffic(2, LiveControl{"ENQ", 1}, LiveControl{"STX", 1})},
		"bytes came, but no block begins (no VT)":   {Opened: 1, Protocol: "hl7", Received: traffic(1)},
		"a block began, but none has ended (no FS)": {Opened: 1, Protocol: "hl7", Received: traffic(1, LiveControl{"VT", 1})},
	} {
		if got := line.Missing(); got != want {
			t.Errorf("%+v lacks %q, want %q", line, got, want)
		}
	}
}

// events reads a stream until it ends, or the test stops it.
func (b browser) events(ctx context.Context, path string, header ...string) string {
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8080"+path, nil)
	if len(header) == 2 {
		r.Header.Set(header[0], header[1])
	}
	return b.send(r).Body.String()
}

func TestLiveStream(t *testing.T) {
	f := newFakeLine()
	b, store := liveBrowser(t, f)
	f.lost = 3
	go func() {
		f.news <- f.backlog[:1]
		f.news <- f.backlog[2:]
		close(f.news)
	}()
	got := b.events(t.Context(), "/live/lan/events?after=m-0")
	for _, want := range []string{
		"event: state\ndata: <dl>\n", "id: m-1\nevent: entries\ndata: <li class=\"lost\"", "3 entries came faster",
		"&lt;ENQ&gt;", "id: m-3\nevent: entries\n", "event: over\ndata: This line is gone from the configuration.\n\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the stream lacks %q:\n%s", want, got)
		}
	}
	for line := range strings.SplitSeq(got, "\n") {
		if name, _, _ := strings.Cut(line, ": "); line != "" && name != "id" && name != "event" && name != "data" {
			t.Errorf("a line that is of no event: %q", line)
		}
	}
	b.events(t.Context(), "/live/lan/events?after=m-0", "Last-Event-ID", "m-1")
	if after := fmt.Sprint(f.after); after != "[m-0 m-1]" {
		t.Errorf("goes on behind %s", after)
	}
	if n := watched(t, store); n != 1 {
		t.Errorf("noted %d times", n)
	}
	f.refused = errors.New("too many look on")
	if got := b.events(t.Context(), "/live/lan/events"); got != "event: over\ndata: Nothing can be shown: too many look on.\n\n" {
		t.Errorf("a refused stream says %q", got)
	}
}

// A stream ends when its reader leaves and when the server closes, tells how the
// line stands meanwhile, and a person has a bounded number of them.
func TestLiveStreamsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeLine()
		b := browser{t, newConsole(nil, Overview{})}
		b.console.options.Live = f.live()
		noted := seen{"console", spool.WatchedLive, 0, "lan"}
		b.console.noted.add(noted, time.Now().Add(time.Hour)) // there is no store in a bubble
		closing, closeServer := context.WithCancel(t.Context())
		var reading sync.WaitGroup
		var last string
		leave := make([]context.CancelFunc, mostStreams)
		for n := range mostStreams {
			var ctx context.Context
			ctx, leave[n] = context.WithCancel(WithClosing(t.Context(), closing))
			defer leave[n]()
			reading.Go(func() {
				if said := b.events(ctx, "/live/lan/events"); n == 1 {
					last = said
				}
			})
		}
		synctest.Wait()
		if got := b.events(t.Context(), "/live/lan/events"); !strings.Contains(got, "event: over\ndata: You look on at 4 lines already") {
			t.Errorf("one too many is told %q", got)
		}
		leave[0]()
		synctest.Wait()
		if n := f.watches(); n != mostStreams-1 {
			t.Errorf("%d watches after one left", n)
		}
		time.Sleep(3*streamBeat + time.Second)
		closeServer()
		reading.Wait()
		if n := f.watches(); n != 0 {
			t.Errorf("%d watches after the server has closed", n)
		}
		if n := strings.Count(last, "event: state\n"); n != 4 {
			t.Errorf("the state was told %d times in %s", n, 3*streamBeat)
		}
		if len(b.console.streams.open) != 0 {
			t.Errorf("streams %v", b.console.streams.open)
		}
	})
}

// oneConn is a listener for one connection.
type oneConn struct {
	conn   chan net.Conn
	closed chan struct{}
}

func (l oneConn) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l oneConn) Close() error   { close(l.closed); return nil }
func (l oneConn) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

// A browser that takes nothing more is given up.
func TestLiveStreamOfADeafBrowser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeLine()
		b := browser{t, newConsole(nil, Overview{})}
		b.console.options.Live = f.live()
		b.console.noted.add(seen{"console", spool.WatchedLive, 0, "lan"}, time.Now().Add(time.Hour))
		listener := oneConn{make(chan net.Conn, 1), make(chan struct{})}
		server := &http.Server{Handler: b.console}
		go server.Serve(listener)
		here, there := net.Pipe()
		listener.conn <- there
		if _, err := io.WriteString(here, "GET /live/lan/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := f.watches(); n != 1 {
			t.Fatalf("%d watches", n)
		}
		time.Sleep(streamWrite + time.Second)
		synctest.Wait()
		if n := f.watches(); n != 0 {
			t.Errorf("%d watches of one who takes nothing", n)
		}
		here.Close()
		server.Close()
	})
}

// Who may not look on any more is shown nothing more, at the latest after a beat.
func TestLiveStreamsEndWithTheSession(t *testing.T) {
	for what, end := range map[string]func(*visitor){
		"logged out": func(v *visitor) { v.form("/logout", url.Values{"csrf": {v.token()}}) },
		"no admin any more": func(v *visitor) {
			v.change(func(users map[string]User) { users["anna"] = User{PasswordHash: hashOfSecret, Role: "viewer"} })
		},
		"gone": func(v *visitor) { v.change(func(users map[string]User) { delete(users, "anna") }) },
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			f := newFakeLine()
			h := newHouse(t, (*httptest.Server).Start)
			h.console.options.Live = f.live()
			v := h.as("anna")
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.server.URL+"/live/lan/events", nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := v.client.Do(r)
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("%+v, %v", response, err)
			}
			defer response.Body.Close()
			f.news <- f.backlog[:1]
			lines := bufio.NewReader(response.Body)
			for line := ""; !strings.Contains(line, "&lt;ENQ&gt;"); {
				if line, err = lines.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
			}
			end(v)
			go func() {
				select {
				case f.news <- []LiveEntry{{Mark: "m-9", Kind: "received", Pieces: []LivePiece{{Bytes: []byte("MEIER")}}}}:
				case <-t.Context().Done(): // a beat was first
				}
			}()
			said, err := io.ReadAll(lines)
			if err != nil || strings.Contains(string(said), "MEIER") || !strings.HasSuffix(string(said), "event: over\ndata: Your session has ended: load this page again.\n\n") {
				t.Errorf("the stream says %s, %v", said, err)
			}
		})
	}
}

// Whatever stands in text, its parts are all of it.
func FuzzSpans(f *testing.F) {
	f.Add("<STX>1H|a<b>c<CR>\n")
	f.Fuzz(func(t *testing.T, text string) {
		var all strings.Builder
		for _, s := range spansOf(text) {
			all.WriteString(s.Text)
		}
		if all.String() != text {
			t.Errorf("%q becomes %q", text, all.String())
		}
	})
}

func TestSpans(t *testing.T) {
	for text, want := range map[string]string{
		"<ENQ>": "[<ENQ>]", "a<CR>\nb": "a[<CR>]\nb", "<5>": "[<5>]", "a < b > c": "a < b > c", "<": "<", "<<ACK>": "<[<ACK>]", "x<toolongtobe>": "x<toolongtobe>",
		"<ETX>9C<CR><LF>\n": "[<ETX>]9C[<CR>][<LF>]\n",
	} {
		var got strings.Builder
		for _, s := range spansOf(text) {
			if s.Class != "" {
				got.WriteString("[" + s.Text + "]")
			} else {
				got.WriteString(s.Text)
			}
		}
		if got.String() != want {
			t.Errorf("%q is %q, want %q", text, got.String(), want)
		}
	}
}

// Nothing that is sent can become an event of its own: CR ends a line too, for a
// browser.
func TestNothingBreaksOutOfAnEvent(t *testing.T) {
	w := httptest.NewRecorder()
	s := stream{http.NewResponseController(w), w}
	s.send("", "entries", "a\rdata: b\r\revent: over\ndata: c\r\nd")
	if want := "event: entries\ndata: a\ndata: data: b\ndata: \ndata: event: over\ndata: data: c\ndata: d\n\n"; w.Body.String() != want {
		t.Errorf("%q", w.Body)
	}
}
