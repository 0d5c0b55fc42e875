package main

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/assaygate/assaygate/device/board"
)

// onlyCard collects what is told of a card.
type onlyCard struct {
	*storeMetrics
	card board.Card
}

func (m onlyCard) Collect(out chan<- prometheus.Metric) { m.collectCard(scrape(out), m.card) }

func TestCardMetrics(t *testing.T) {
	for _, test := range []struct {
		card         board.Card
		want, absent string
	}{
		{board.Card{}, "assaygate_store_read_only 0", "assaygate_card"}, // what is not told is not shown
		{board.Card{Counted: true}, "assaygate_card_errors_total 0", "assaygate_card_life"},
		{board.Card{Counted: true, Errors: 3}, "# TYPE assaygate_card_errors_total counter\nassaygate_card_errors_total 3", "assaygate_card_life"},
		{board.Card{ReadOnly: true}, "assaygate_store_read_only 1", "assaygate_card"},
		{
			board.Card{Life: map[string]float64{"a": 0.3, "b": 1.1}},
			"assaygate_card_life_used_ratio{kind=\"a\"} 0.3\nassaygate_card_life_used_ratio{kind=\"b\"} 1.1", "assaygate_card_errors",
		},
	} {
		registry := prometheus.NewRegistry()
		registry.MustRegister(onlyCard{newStoreMetrics(nil), test.card})
		_, body := get(t, promhttp.HandlerFor(registry, promhttp.HandlerOpts{}), "/metrics", "")
		if !strings.Contains(body, test.want+"\n") || strings.Contains(body, test.absent) {
			t.Errorf("%+v: want %q, not %q, in\n%s", test.card, test.want, test.absent, body)
		}
	}
}

func TestHeadNumber(t *testing.T) {
	for hash, want := range map[string]float64{
		"": 0, "ff": 255, "000000000000f" + strings.Repeat("a", 51): 15, strings.Repeat("f", 64): 1<<52 - 1,
	} {
		if got := headNumber(hash); got != want {
			t.Errorf("%s: %f, want %f", hash, got, want)
		}
	}
}

func TestWhatIsWrongWithACardIsSaidOnce(t *testing.T) {
	log := &lockedBuffer{}
	d := &daemon{log: newLog(LogSettings{Format: "text"}, log)}
	said := board.Card{}
	for _, now := range []board.Card{
		{},
		{Errors: 2, LastError: time.Unix(1, 0)},
		{Errors: 2},
		{Errors: 2, EndsSoon: true},
		{Errors: 3, EndsSoon: true, ReadOnly: true},
		{Errors: 3, EndsSoon: true, ReadOnly: true},
		{Errors: 0, EndsSoon: true},
		{Errors: 0, EndsSoon: true},
	} {
		d.sayCard(now, &said)
	}
	for text, times := range map[string]int{"errors=2": 1, "errors=3": 1, "spare blocks": 1, "read-only": 1, "level=": 4} {
		if n := strings.Count(log.text(), text); n != times {
			t.Errorf("%q stands there %d times, not %d:\n%s", text, n, times, log.text())
		}
	}
}

func TestPause(t *testing.T) {
	var p pause
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 30, 30} {
		if got := p.next(); got != want*time.Second {
			t.Errorf("a pause of %s, not %ds", got, want)
		}
	}
	p.after(time.Second) // it soon failed again
	if got := p.next(); got != longestPause {
		t.Errorf("then %s", got)
	}
	p.after(time.Hour)
	if got := p.next(); got != firstPause {
		t.Errorf("after an hour %s", got)
	}
}
