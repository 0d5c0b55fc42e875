package senaite

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/uplink"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

var _ uplink.Batcher = (*Client)(nil)

// several are n messages, each with a text of its own.
func several(n int, text string) (list []envelope.Envelope) {
	for i := range n {
		e := result()
		e.ID = fmt.Sprintf("0190a1b2-0000-7000-8000-%012x", i)
		e.SampleID = fmt.Sprint("S-", i)
		e.Metadata.ASTM += text
		list = append(list, e)
	}
	return list
}

func TestDeliverAll(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	c := client(t, s, func(s *Settings) { s.Batch = 5 })
	if c.Batch() != 5 {
		t.Errorf("it wants %d messages", c.Batch())
	}
	list := several(5, "")
	handed, err := c.DeliverAll(t.Context(), list)
	if err != nil || handed != 5 || s.Requests("push") != 1 {
		t.Fatalf("%d handed over in %d requests (%v)", handed, s.Requests("push"), err)
	}
	pushes := s.Pushes()
	if len(pushes) != 5 {
		t.Fatalf("%d taken", len(pushes))
	}
	for i, push := range pushes {
		want, err := list[i].MarshalJSON()
		if err != nil || push.Message != string(want) {
			t.Errorf("message %d arrived as %s", i, push.Message)
		}
	}
	s.Poison(func(message string) bool { return strings.Contains(message, "S-3") })
	handed, err = c.DeliverAll(t.Context(), list)
	expect(t, err, uplink.Refusal, "")
	if handed != 5 {
		t.Errorf("%d handed over", handed)
	}
}

// TestBatchBody: a request with several messages is not longer than what is let
// through, and a message that is longer goes alone.
func TestBatchBody(t *testing.T) {
	longest, limit := 0, 1<<30
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if strings.HasSuffix(r.URL.Path, "push") {
			form, err := url.ParseQuery(string(body))
			if err != nil || form.Get("consumer") != senaitetest.StockConsumer {
				t.Errorf("the form: %v", err)
			}
			if longest = max(longest, len(body)); len(body) > limit {
				w.WriteHeader(http.StatusRequestEntityTooLarge)
				return
			}
		}
		_, _ = io.WriteString(w, `{"success": true, "version": "1", "items": [{"username": "x"}]}`)
	}))
	defer server.Close()
	settings := Defaults()
	settings.URL, settings.Batch = server.URL, 100
	c, err := New("lims", settings)
	if err != nil {
		t.Fatal(err)
	}
	defer c.http.CloseIdleConnections()
	list := several(20, strings.Repeat("x", 100<<10))
	handed, err := c.DeliverAll(t.Context(), list)
	if err != nil || handed < 8 || handed > 10 || longest > 1<<20 {
		t.Errorf("%d of 20 messages in %d bytes (%v)", handed, longest, err)
	}
	list[0].Metadata.ASTM += strings.Repeat("x", 2<<20)
	if handed, err = c.DeliverAll(t.Context(), list); err != nil || handed != 1 {
		t.Errorf("with a long one before them %d (%v)", handed, err)
	}
	// A proxy lets less through: the next ones fit.
	limit = 400 << 10
	refused := 0
	for left := list[1:]; len(left) > 0; left = left[handed:] {
		if handed, err = c.DeliverAll(t.Context(), left); err != nil {
			expect(t, err, uplink.Invalid, "")
			if handed, refused = 0, refused+1; refused > 3 {
				t.Fatal("it does not learn what is let through")
			}
		}
	}
	if refused == 0 {
		t.Error("nothing was too long")
	}
}

// TestBatchWithoutText: a message that the format cannot show ends the batch
// before it, and is refused when it is the first.
func TestBatchWithoutText(t *testing.T) {
	s := senaitetest.New()
	defer s.Close()
	c := client(t, s, func(s *Settings) { s.Batch, s.Format = 5, "astm" })
	list := several(3, "")
	list[1].Metadata.ASTM = ""
	if handed, err := c.DeliverAll(t.Context(), list); err != nil || handed != 1 {
		t.Errorf("%d handed over (%v)", handed, err)
	}
	handed, err := c.DeliverAll(t.Context(), list[1:])
	expect(t, err, uplink.Invalid, "")
	if handed != 1 || len(s.Pushes()) != 1 {
		t.Errorf("%d handed over, %d taken", handed, len(s.Pushes()))
	}
}
