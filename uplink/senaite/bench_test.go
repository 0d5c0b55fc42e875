package senaite

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// BenchmarkDelivery measures the way from the spool to a SENAITE that takes a
// given time for each answer, one message in flight: reading it, pushing it and
// noting durably that it was taken. of-allowed is the rate as a share of what the
// server allows: that of a bare HTTP client which posts the same messages one
// after the other, measured in turns with it.
func BenchmarkDelivery(b *testing.B) {
	for _, answer := range []time.Duration{10 * time.Millisecond, 100 * time.Millisecond, time.Second} {
		b.Run(fmt.Sprint("answer=", answer), func(b *testing.B) {
			s := senaitetest.New()
			defer s.Close()
			s.Slow(answer)
			settings := Defaults()
			settings.URL, settings.Username, settings.Password = s.URL, senaitetest.Username, senaitetest.Password
			settings.Confirm.Enabled = false
			c, err := New("lims", settings)
			if err != nil {
				b.Fatal(err)
			}
			q := openSpool(b)
			bare := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
			drain(b, q, c, messages(1)) // connections and credentials are there before it is measured
			post(b, bare, s, messages(1))
			var allowed, taken time.Duration
			b.ResetTimer()
			for left, turn := b.N, max(1, int(time.Second/answer)); left > 0; left -= turn {
				list := messages(min(turn, left))
				taken += drain(b, q, c, list)
				allowed += post(b, bare, s, list)
			}
			b.ReportMetric(float64(allowed)/float64(taken), "of-allowed")
			b.ReportMetric(float64(allowed)/float64(b.N), "ns/allowed")
			b.ReportMetric(float64(taken)/float64(b.N), "ns/op")
		})
	}
}

func openSpool(b *testing.B) *spool.Spool {
	b.Helper()
	settings := spool.Defaults()
	settings.Directory = filepath.Join(b.TempDir(), "spool")
	q, err := spool.Open(b.Context(), settings, spool.Options{Destinations: []spool.Destination{{Name: "lims", Binding: "b"}}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := q.Close(); err != nil {
			b.Error(err)
		}
	})
	return q
}

// messages are of one instrument, with ten results each.
func messages(n int) (list []envelope.Envelope) {
	for range n {
		e := result()
		e.ID = uuid.Must(uuid.NewV7()).String()
		e.MessageID, e.Lane, e.Intake, e.SampleID, e.Digest = e.ID, "lane", envelope.Accepted, e.ID, e.ID
		for i := range 10 {
			test := fmt.Sprint("PARAM-", i)
			e.Results = append(e.Results, envelope.Result{Test: test, Value: "4.2", Units: "10*3/uL", Kind: envelope.KindResult})
			e.Records.R = append(e.Records.R, envelope.Object{{Key: "test", Value: test}, {Key: "value", Value: "4.2"}, {Key: "units", Value: "10*3/uL"}})
		}
		list = append(list, e)
	}
	return list
}

// drain stores the messages and returns how long their delivery takes.
func drain(b *testing.B, q *spool.Spool, c *Client, list []envelope.Envelope) time.Duration {
	b.Helper()
	if _, err := q.Put(b.Context(), list...); err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	taken := 0
	begun := time.Now()
	err := uplink.Run(ctx, q, c, uplink.Options{InFlight: 1, Observer: uplink.Observer{
		Attempt: func(result string) {
			if result != "delivered" {
				b.Errorf("an attempt ended with %s", result)
			}
		},
		Delivered: func(envelope.Envelope, time.Duration) {
			if taken++; taken == len(list) {
				cancel()
			}
		},
	}})
	if err != nil {
		b.Fatal(err)
	}
	return time.Since(begun)
}

// post sends the messages without store and schedule.
func post(b *testing.B, bare *http.Client, s *senaitetest.Server, list []envelope.Envelope) time.Duration {
	b.Helper()
	begun := time.Now()
	for _, e := range list {
		text, err := message(e, formatJSON)
		if err != nil {
			b.Fatal(err)
		}
		body := "consumer=" + stockConsumer + "&messages=" + url.QueryEscape(text)
		request, err := http.NewRequestWithContext(b.Context(), http.MethodPost, s.URL+api+"push", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		request.SetBasicAuth(senaitetest.Username, senaitetest.Password)
		response, err := bare.Do(request)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			b.Fatalf("answered %s (%v)", response.Status, err)
		}
		response.Body.Close()
	}
	return time.Since(begun)
}
