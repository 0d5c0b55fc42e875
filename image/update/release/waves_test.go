package release

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

const threeWaves = `{"version":"1.4.0","waves":[
	{"share":5,"from":"2031-05-04T08:00:00Z"},
	{"share":30,"from":"2031-05-05T08:00:00Z"},
	{"share":100,"from":"2031-05-07T10:00:00+02:00"}]}`

func at(text string) time.Time {
	when, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return when
}

func TestWavesOpen(t *testing.T) {
	t.Parallel()
	waves, err := ParseWaves([]byte(threeWaves))
	if err != nil {
		t.Fatal(err)
	}
	first, second, third := at("2031-05-04T08:00:00Z"), at("2031-05-05T08:00:00Z"), at("2031-05-07T08:00:00Z")
	for _, c := range []struct {
		draw float64
		at   time.Time
		open bool
		next time.Time
	}{
		{0, time.Unix(0, 0), false, first},
		{0, first.Add(-1), false, first},
		{0, first, true, time.Time{}},
		{4.999, first, true, time.Time{}},
		{5, first, false, second},
		{29.9, second, true, time.Time{}},
		{30, second, false, third},
		{99.999, third, true, time.Time{}},
	} {
		open, next := waves.Open(c.draw, c.at)
		if open != c.open || !next.Equal(c.next) {
			t.Errorf("draw %v at %v: open %v, next %v; want %v, %v", c.draw, c.at, open, next, c.open, c.next)
		}
	}
	waves.Paused = "two boxes did not come back"
	if open, next := waves.Open(0, third); open || !next.IsZero() {
		t.Errorf("paused: open %v, next %v", open, next)
	}
	waves.Paused, waves.Waves = "", waves.Waves[:2]
	if open, next := waves.Open(30, third); open || !next.IsZero() {
		t.Errorf("in no wave: open %v, next %v", open, next)
	}
}

func TestParseWavesRefuses(t *testing.T) {
	t.Parallel()
	wave := func(share, from string) string { return `{"share":` + share + `,"from":"` + from + `"}` }
	list := func(waves ...string) string { return `{"version":"1.4.0","waves":[` + strings.Join(waves, ",") + `]}` }
	canary := wave("5", "2031-05-04T08:00:00Z")
	for _, c := range []struct{ data, want string }{
		{``, "wave file: EOF"},
		{threeWaves + `x`, "something follows its end"},
		{`{"version":"1.4.0","pasued":"bad","waves":[` + canary + `]}`, `unknown field "pasued"`},
		{`{"waves":[` + canary + `]}`, "version: "},
		{`{"version":"1.4.0","paused":"\u001b","waves":[` + canary + `]}`, "paused: has control characters"},
		{`{"version":"1.4.0","paused":"` + strings.Repeat("p", 1025) + `","waves":[` + canary + `]}`, "paused: 1025 bytes, more than 1024"},
		{list(), "waves: 0 entries: there must be 1 to 64"},
		{list(strings.Split(strings.Repeat(canary+"|", 65), "|")[:65]...), "waves: 65 entries"},
		{list(wave("5.1", "2031-05-04T08:00:00Z")), "number 1: share 5.1: the first wave has at most 5 percent"},
		{list(wave("0", "2031-05-04T08:00:00Z")), "number 1: share 0: must be above 0"},
		{list(wave("-1", "2031-05-04T08:00:00Z")), "number 1: share -1: must be above 0"},
		{list(canary, wave("101", "2031-05-06T08:00:00Z")), "number 2: share 101: must be above 0 and at most 100 percent"},
		{list(canary, wave("5", "2031-05-06T08:00:00Z")), "number 2: share 5: must be above that of the wave before"},
		{list(canary, wave("50", "2031-05-06T08:00:00Z"), wave("60", "2031-05-06T08:00:00Z")), "number 3: from is not after"},
		{list(canary, wave("50", "2031-05-05T07:59:59Z")), "number 2 comes 23h59m59s after the first: the first wave runs at least 24h0m0s"},
		{list(`{"share":5}`), "number 1: from is missing"},
		{list(wave("5", "tomorrow")), "parsing time"},
	} {
		if _, err := ParseWaves([]byte(c.data)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:\n got error %v\nwant %q", c.data, err, c.want)
		}
	}
}

func FuzzParseWaves(f *testing.F) {
	f.Add([]byte(threeWaves), 3.5, int64(1_935_000_000))
	f.Add([]byte(`{"version":"1.0.0","paused":"x","waves":[{"share":1e-300,"from":"0001-01-01T00:00:01Z"}]}`), 0.0, int64(0))
	f.Fuzz(func(t *testing.T, data []byte, draw float64, seconds int64) {
		first, err := ParseWaves(data)
		if err != nil {
			return
		}
		written, err := json.Marshal(first)
		if err != nil {
			t.Fatalf("%s is read and not written: %v", data, err)
		}
		second, err := ParseWaves(written)
		if err != nil {
			t.Fatalf("%s: %v", written, err)
		}
		if again, _ := json.Marshal(second); string(again) != string(written) {
			t.Fatalf("%s comes back as %s", written, again)
		}
		if !reflect.DeepEqual(first.Paused, second.Paused) {
			t.Fatalf("%q comes back as %q", first.Paused, second.Paused)
		}
		now := time.Unix(seconds%4_000_000_000, 0)
		open, next := first.Open(draw, now)
		switch {
		case open && (first.Paused != "" || !next.IsZero() || draw >= 100):
			t.Fatalf("%s: open for draw %v, next %v", data, draw, next)
		case !next.IsZero() && next.Before(now):
			t.Fatalf("%s: next wave %v, and it is %v", data, next, now)
		}
		if !next.IsZero() {
			if later, _ := first.Open(draw, next); !later {
				t.Fatalf("%s: not open at the time it gave, %v", data, next)
			}
		}
		// Who draws less is never later.
		if less, _ := first.Open(draw/2, now); open && draw >= 0 && !less {
			t.Fatalf("%s: open for %v and not for half of it", data, draw)
		}
	})
}
