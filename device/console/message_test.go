package console

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/png"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// illustrated has a message carry documents, as HL7 does.
func illustrated(documents ...string) func(*envelope.Envelope) {
	return func(e *envelope.Envelope) {
		e.Protocol, e.Results = envelope.HL7, nil
		e.Records = envelope.Records{H: []envelope.Object{{{Key: "2", Value: `^~\&`}}}}
		for n, document := range documents {
			e.Results = append(e.Results, envelope.Result{Test: fmt.Sprint("IMG", n), Kind: envelope.KindImage, MediaType: "image/png", Size: 1})
			e.Records.R = append(e.Records.R, envelope.Object{{Key: "5", Value: document}})
		}
	}
}

func encapsulated(kind string, data []byte) string {
	return "^Image^" + kind + "^Base64^" + base64.StdEncoding.EncodeToString(data)
}

func smallPNG(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := png.Encode(&out, image.NewGray(image.Rect(0, 0, 3, 2))); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// What a browser is given of an image is what the bytes are, whatever the instrument
// calls them.
func TestImagesAreWhatTheyAre(t *testing.T) {
	store := spooltest.New(t)
	picture := smallPNG(t)
	script := []byte(`<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`)
	id := spooltest.Put(t, store, "S-1", illustrated(
		encapsulated("PNG", picture), encapsulated("PNG", script), encapsulated("BMP", []byte("BM\x1a\x00\x00\x00")), "^Image^PNG^Base64^not base64", encapsulated("HTML", []byte("<html><script>alert(1)</script>")),
	))
	b := newBrowser(t, store)
	page := b.page("/messages/" + id)
	if shown := strings.Count(page, "<img "); shown != 1 {
		t.Errorf("%d images are shown:\n%s", shown, page)
	}
	contains(t, page, `src="/messages/`+id+`/image/0"`, `alt="Image of IMG0"`, `href="/messages/`+id+`/image/1">Download`)
	for n, want := range []struct {
		status    int
		kind, end string
		data      []byte
	}{
		{http.StatusOK, "image/png", "", picture},
		{http.StatusOK, "application/octet-stream", "-1.bin", script},
		{http.StatusOK, "application/octet-stream", "-2.bmp", []byte("BM\x1a\x00\x00\x00")},
		{status: http.StatusBadRequest, kind: "text/html; charset=utf-8"},
		{http.StatusOK, "application/octet-stream", "-4.bin", []byte("<html><script>alert(1)</script>")},
		{status: http.StatusNotFound, kind: "text/html; charset=utf-8"},
	} {
		w := b.get(fmt.Sprintf("/messages/%s/image/%d", id, n))
		disposition := w.Header().Get("Content-Disposition")
		if w.Code != want.status || w.Header().Get("Content-Type") != want.kind || w.Header().Get("X-Content-Type-Options") != "nosniff" ||
			want.data != nil && !bytes.Equal(w.Body.Bytes(), want.data) || (disposition != "") != (want.end != "") || !strings.HasSuffix(disposition, want.end+`"`) && want.end != "" {
			t.Errorf("image %d: %d %v", n, w.Code, w.Header())
		}
		if want.data != nil && w.Header().Get("Content-Security-Policy") != "default-src 'none'; sandbox" {
			t.Errorf("image %d may do %q", n, w.Header().Get("Content-Security-Policy"))
		}
	}
	for _, path := range []string{"/image/x", "/image/-1", "/image/99999999999999999999"} {
		if w := b.get("/messages/" + id + path); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

// TestHostileFields puts into every field what would break a page, or make it say
// something else.
func TestHostileFields(t *testing.T) {
	store := spooltest.New(t)
	const hostile = "<script>alert(1)</script>\u202Eevil\u2066\x00\x1b[2J\"'` onload=x"
	long := hostile + strings.Repeat("W", 64<<10)
	id := spooltest.Put(t, store, long, func(e *envelope.Envelope) {
		spooltest.Parked(e)
		e.Instrument, e.Lane, e.Remote, e.Profile, e.Problem, e.Withheld, e.Reason, e.ControlID = long, long, long, long, long, long, long, long
		e.Comments = []string{long, long}
		e.Results = []envelope.Result{
			{Test: long, Name: hostile + "x", Value: long, Units: long, Range: long, Flags: long, Status: long, ObservedAt: long, Kind: envelope.KindResult, Comments: []string{long}},
			{Test: long, Value: long, MediaType: long, Kind: envelope.KindImage},
		}
		e.Records.M = []envelope.Object{{
			{Key: "kind", Value: "HISTOGRAM"},
			{Key: "stream", Value: long},
			{Key: "domain", Value: hostile},
			{Key: "points", Value: envelope.Object{{Key: "X", Value: envelope.Floats{1, 2}}, {Key: "Y", Value: envelope.Floats{3, 4}}}},
		}}
		e.Raw = []byte(hostile)
	})
	b := newBrowser(t, store)
	b.console.options.Message.Records = func(envelope.Envelope) ([]Record, bool, error) {
		return []Record{{Name: long, Fields: []RecordField{{Place: long, Name: long, Text: long}}}}, true, fmt.Errorf("%s", long)
	}
	page := b.page("/messages/" + id)
	for _, bad := range []string{"<script>a", "\u202E", "\u2066", "\x00", "\x1b", "onload=x\""} {
		if i := strings.Index(page, bad); i >= 0 {
			t.Errorf("the page has %q: %q", bad, page[max(0, i-80):min(len(page), i+80)])
		}
	}
	contains(t, page, "&lt;U&#43;202E&gt;evil", "&lt;ESC&gt;", "<svg class=\"plot\"")
	if len(page) > 600<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
	list := b.page("/messages")
	if strings.Contains(list, "\u202E") || strings.Contains(list, "\x00") || len(list) > 100<<10 {
		t.Errorf("the list has %d bytes", len(list))
	}
}

// A message of megabytes is a page of some hundred kilobytes, and a link.
func TestLargeMessages(t *testing.T) {
	store := spooltest.New(t)
	big := bytes.Repeat([]byte("OBX|1|NM|WBC||7.2|10*3/uL\r"), 200_000)
	id := spooltest.Put(t, store, "S-1", func(e *envelope.Envelope) {
		e.Raw, e.Protocol, e.Metadata.HL7 = append([]byte("MSH|^~\\&|ü\r"), big...), envelope.HL7, string(big)
		for n := range 5000 {
			e.Results = append(e.Results, envelope.Result{Test: fmt.Sprint("T", n), Value: "1", Kind: envelope.KindResult})
		}
	})
	b := newBrowser(t, store)
	page := b.page("/messages/" + id)
	if len(page) > 500<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
	contains(t, page, "The beginning is shown", `href="/messages/`+id+`/raw"`, `href="/messages/`+id+`/envelope"`, "4501 more results are not shown", "|ü&lt;CR&gt;")
	if w := b.get("/messages/" + id + "/raw"); w.Body.Len() != len(big)+len("MSH|^~\\&|ü\r") {
		t.Errorf("downloaded %d bytes", w.Body.Len())
	}
}

func TestWhoReadsWhatWasSentIsInTheAudit(t *testing.T) {
	store := spooltest.New(t)
	id := spooltest.Put(t, store, "S-1", nil)
	b := newBrowser(t, store)
	for range 3 {
		b.page("/messages/" + id)
		b.get("/messages/" + id + "/raw")
		b.get("/messages/" + id + "/envelope")
		b.get("/api/v1/messages/" + id)
		b.get("/api/v1/messages/" + id + "/raw")
	}
	detail, err := store.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var acts []string
	for _, row := range detail.Audit {
		if row.Who != "" {
			acts = append(acts, row.Who+" "+row.What+" "+row.Detail)
		}
	}
	if want := []string{"console message read ", "console downloaded raw", "console downloaded envelope"}; !slices.Equal(acts, want) {
		t.Errorf("the audit has %q, want %q", acts, want)
	}
	w := b.get("/messages/" + id + "/envelope")
	if w.Header().Get("Content-Type") != "application/json" || !strings.Contains(w.Body.String(), `"assaygate":{"id":"`+id) || !strings.HasPrefix(w.Header().Get("Content-Disposition"), "attachment") {
		t.Errorf("envelope: %v %s", w.Header(), w.Body)
	}
}

// What was sent is for admins, and so is what changes something.
func TestRoutesOfMessages(t *testing.T) {
	forViewers := []string{"GET /messages", "GET /messages/{id}", "GET /messages/{id}/image/{n}"}
	c := newConsole(spooltest.New(t), Overview{})
	for _, one := range slices.Concat(c.messagesRoutes(), c.messageRoutes(), c.capturesRoutes()) {
		if want := slices.Contains(forViewers, one.pattern); (one.least == Viewer) != want || one.least == Anybody {
			t.Errorf("%s is for role %d", one.pattern, one.least)
		}
	}
}

func TestTheEnvelopesOfAMessageLeadToEachOther(t *testing.T) {
	store := spooltest.New(t)
	message := uuid.Must(uuid.NewV7()).String()
	var list []envelope.Envelope
	for part := range 3 {
		list = append(list, envelope.Envelope{
			ID: uuid.Must(uuid.NewV7()).String(), MessageID: message, Part: part, Protocol: envelope.ASTM, Instrument: "xn", Lane: "xn",
			Intake: envelope.Accepted, Kind: envelope.KindResult, SampleID: fmt.Sprint("S-", part), Raw: []byte("raw"),
		})
	}
	if _, err := store.Put(t.Context(), list...); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, store)
	page := b.page("/messages/" + list[1].ID)
	links := regexp.MustCompile(`<li><a href="/messages/([^"]+)">(S-\d)</a>`).FindAllStringSubmatch(page, -1)
	if len(links) != 2 || links[0][1] != list[0].ID || links[1][1] != list[2].ID || !strings.Contains(page, "<strong>S-1</strong> (this one)") {
		t.Errorf("links %q", links)
	}
}

func TestPagesOfAClosedStore(t *testing.T) {
	store := spooltest.New(t)
	id := spooltest.Put(t, store, "S-1", nil)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, store)
	for _, path := range []string{"", "/raw", "/envelope", "/image/0"} {
		if w := b.get("/messages/" + id + path); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s of a closed store: %d", path, w.Code)
		}
	}
}

// A viewer sees results, pictures and history of a message, and nothing of how it was
// sent; and that he looked is not in the audit, for there was nothing to note.
func TestViewersSeeNothingOfWhatWasSent(t *testing.T) {
	h := newHouse(t, (*httptest.Server).Start)
	id := spooltest.Put(t, h.store, "S-1", func(e *envelope.Envelope) {
		e.Raw = []byte("\x021H|\\^&|||CANARY\r\x0341\r\n")
		e.Metadata.ASTM = string(e.Raw)
	})
	for user, sees := range map[string]bool{"otto": false, "anna": true} {
		_, page := h.as(user).ask(http.MethodGet, "/messages/"+id, "")
		if strings.Contains(page, "CANARY") != sees || strings.Contains(page, "What was sent") != sees || !strings.Contains(page, "WBC") {
			t.Errorf("%s gets\n%s", user, page)
		}
	}
	otto := h.as("otto")
	for _, path := range []string{"/raw", "/envelope", "/replay"} {
		otto.wants(http.StatusForbidden, http.MethodGet, "/messages/"+id+path)
	}
	otto.wants(http.StatusForbidden, http.MethodGet, "/captures")
	detail, err := h.store.Show(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range detail.Audit {
		if row.Who == "otto" {
			t.Errorf("the audit has %+v", row)
		}
	}
	if last := detail.Audit[len(detail.Audit)-1]; last.Who != "anna" || last.What != string(spool.ReadMessage) {
		t.Errorf("the audit ends with %+v", last)
	}
}
