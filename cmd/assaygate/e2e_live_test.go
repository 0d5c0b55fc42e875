package main

import (
	"bufio"
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/assaygate/assaygate/device/simulator"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// onlooker reads what the console streams of a line, as a browser does.
type onlooker struct {
	t    testing.TB
	mu   sync.Mutex
	text strings.Builder // of its entries, without the marks of HTML
	last string          // mark of the newest
	over chan string     // the stream has ended: why, if it said so; or how it broke
}

var htmlTag = regexp.MustCompile(`<[^>]*>`)

// lookOn looks on at the line of an instrument until the test ends, or stop is
// called.
func (r *running) lookOn(instrument, after string) (*onlooker, func()) {
	r.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r.t.Cleanup(stop)
	url := fmt.Sprintf("http://%s/live/%s/events", r.addresses[consoleServer], instrument)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	if after != "" {
		request.Header.Set("Last-Event-ID", after)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil || response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		r.t.Fatalf("%s: %+v, %v", url, response, err)
	}
	o := &onlooker{t: r.t, over: make(chan string, 1)}
	go o.read(response.Body)
	return o, stop
}

func (o *onlooker) read(body io.ReadCloser) {
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 1<<20)
	event, over := "", ""
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		o.mu.Lock()
		switch {
		case name == "id":
			o.last = value
		case name == "event":
			event = value
		case name == "data" && event == "entries":
			o.text.WriteString(html.UnescapeString(htmlTag.ReplaceAllString(value, "")) + "\n")
		case name == "data" && event == "over":
			over = value
		}
		o.mu.Unlock()
	}
	if err := lines.Err(); err != nil {
		over = err.Error()
	}
	o.over <- over
}

// mark is that of the newest entry.
func (o *onlooker) mark() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.last
}

func (o *onlooker) seen() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// lookOnAll looks on at all lines.
func (r *running) lookOnAll() (list []*onlooker) {
	for _, line := range r.live.Lines() {
		o, _ := r.lookOn(line.Instruments[0], "")
		list = append(list, o)
	}
	return list
}

// wanted waits until a text was seen, and returns all that was.
func (o *onlooker) wanted(text string) string {
	o.wants(text)
	return o.seen()
}

// wants waits until all of the texts were seen, in this order, and nothing but
// spaces and times need stand between their words.
func (o *onlooker) wants(texts ...string) {
	o.t.Helper()
	patterns := make([]string, len(texts))
	for i, text := range texts {
		patterns[i] = regexp.QuoteMeta(text)
	}
	pattern := regexp.MustCompile(`(?s)` + strings.Join(patterns, `.*`))
	for end := time.Now().Add(time.Minute); !pattern.MatchString(o.seen()); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			o.t.Fatalf("not seen: %q in\n%s", texts, o.seen())
		}
	}
}

const liveConfig = `
instruments:
  - {name: lan, astm: {listen: "127.0.0.1:0"}}
  - {name: other, hl7: {listen: "127.0.0.1:0"}}
destinations: []
`

// An instrument's session, looked on at over the real console.
func TestLiveOverTheNetwork(t *testing.T) {
	r := start(t, base(t.TempDir())+liveConfig)
	before, known := r.live.Line("lan")
	if !known || before.Counters.Opened != 0 || before.Counters.Received.Bytes != 0 {
		t.Errorf("before anything came: %+v", before.Counters)
	}
	o, _ := r.lookOn("lan", "")
	line := dial(t, r.addresses["lan"])
	if !sendASTM(line, astmText("Star", "m-1", "S1")) {
		t.Fatal("not acknowledged")
	}
	o.wants("note opened: 127.0.0.1:", "received <ENQ>", "note a session begins: ACK (LIS01-A2 8.2)", "sent <ACK>",
		"timer 30s for the next frame or EOT (LIS01-A2 8.5.2)", "received <STX>1H|\\^&", "note the message is stored, now ACK", "sent <ACK>",
		"received <EOT>", "note the session has ended")
	mark := o.mark()
	line.Close()
	o.wants("note the other side has closed the line", "note ended: 127.0.0.1:")
	c := func() (n [4]uint64) {
		s, _ := r.live.Line("lan")
		return [4]uint64{s.Counters.Received.ENQ, s.Counters.Received.STX, s.Counters.Sent.ACK, s.Counters.Ended}
	}
	if got := c(); got[0] != 1 || got[1] == 0 || got[2] != got[1]+1 || got[3] != 1 {
		t.Errorf("counted %v", got)
	}
	again, stop := r.lookOn("lan", mark)
	again.wants("note ended: ")
	if strings.Contains(again.seen(), "ENQ") {
		t.Errorf("what was seen comes again:\n%s", again.seen())
	}
	stop()

	bad := lis01.AppendFrame(nil, lis01.Frame{Number: '1', Text: []byte("H|\\^&\r")})
	bad[len(bad)-3] ^= 1
	damaged := dial(t, r.addresses["lan"])
	for _, part := range []string{"\x05", string(bad)} {
		if _, err := io.WriteString(damaged, part); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(damaged, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	o.wants("checksum wrong or missing: NAK (LIS01-A2 8.5.1)", "sent <NAK>")

	hl7, _ := r.lookOn("other", "")
	conn := dial(t, r.addresses["other"])
	if !sendHL7(conn, hl7Answers(conn), hl7Text("Lab", "m-2", "S2")) {
		t.Fatal("not acknowledged")
	}
	hl7.wants("received <VT>MSH|", "note the message is stored, now AA", "sent <VT>MSH|", "MSA|AA|m-2")
	if strings.Contains(o.seen(), "m-2") {
		t.Error("one line shows what came over another")
	}
}

// A gateway that stops does not wait for those who look on, nor do they hold up a
// console that gets other settings; who looks on at a line that leaves is told.
func TestLiveStreamsEndWithTheServer(t *testing.T) {
	directory := t.TempDir()
	r := start(t, base(directory)+liveConfig)
	o, _ := r.lookOn("lan", "")
	gone, _ := r.lookOn("other", "")
	to, err := parseConfig([]byte("version: 1\n"+base(directory)+strings.Replace(liveConfig, "  - {name: other", "  #", 1)), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.goOver(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if why := <-gone.over; why != "This line is gone from the configuration." {
		t.Errorf("who looks on at a line that is gone is told %q", why)
	}
	if _, known := r.live.Line("other"); known {
		t.Error("it is known still")
	}
	r.end()
	if how := <-o.over; how != "" {
		t.Errorf("the stream did not end in order, but for that the server's patience was over: %s", how)
	}
}

// Instruments that share a listener show the same line.
func TestLiveOfASharedListener(t *testing.T) {
	address := freePort(t)
	r := start(t, base(t.TempDir())+fmt.Sprintf(`
instruments:
  - {name: first, astm: {listen: %q}}
  - {name: second, astm: {listen: %[1]q}, profile: horiba_yumizen_h5xx}
destinations: []
`, address))
	o, _ := r.lookOn("second", "")
	if !sendASTM(dial(t, address), astmText("Star", "m-1", "S1")) {
		t.Fatal("not acknowledged")
	}
	o.wants("received <ENQ>", "the message is stored, now ACK")
	if s, _ := r.live.Line("second"); !slices.Equal(s.Instruments, []string{"first", "second"}) || s.Counters.Received.ENQ != 1 {
		t.Errorf("%+v", s)
	}
}

// An allowlist that comes takes away what was shown before it.
func TestLiveForgetsWhatAnAllowlistKeepsOut(t *testing.T) {
	directory := t.TempDir()
	r := start(t, base(directory)+liveConfig)
	if !sendASTM(dial(t, r.addresses["lan"]), astmText("Star", "m-1", "S1")) {
		t.Fatal("not acknowledged")
	}
	shown := func() string {
		return string(seen{}.fetch(t, http.DefaultClient, "page", "http://"+r.addresses[consoleServer]+"/live/lan"))
	}
	if !strings.Contains(shown(), "Star") {
		t.Errorf("without an allowlist text is not shown:\n%s", shown())
	}
	to, err := parseConfig([]byte("version: 1\n"+base(directory)+liveConfig+"privacy: {astm: {allow: {R: [4]}}}\n"), "test")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.goOver(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	if page := shown(); strings.Contains(page, "Star") {
		t.Errorf("the allowlist came, and is shown still:\n%s", page)
	}
}

// The same over a serial line.
func TestLiveOverASerialLine(t *testing.T) {
	instrument, path := terminal(t)
	r := start(t, base(t.TempDir())+fmt.Sprintf("instruments: [{name: serial, serial: {port: %q}, protocol: astm}]\ndestinations: []\n", path))
	o, _ := r.lookOn("serial", "")
	o.wants("note opened: " + path)
	data, err := simulator.Capture("roche_cobas_c111.astm")
	if err != nil {
		t.Fatal(err)
	}
	messages, err := simulator.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	result, err := simulator.Play(t.Context(), instrument, messages, simulator.Options{})
	if err != nil || len(result.Acknowledged) == 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	o.wants("received <ENQ>", "sent <ACK>", "timer 30s for the next frame or EOT (LIS01-A2 8.5.2)", "received <STX>1H|\\^&",
		"the message is stored, now ACK", "sent <ACK>", "received <EOT>")
	instrument.Close()
	o.wants("note ended: " + path)
}
