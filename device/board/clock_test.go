package board

import (
	"os"
	"testing"
	"time"
)

func TestSynchronised(t *testing.T) {
	if tree(t, map[string]string{"run/systemd/timesync/none": ""}).Synchronised() {
		t.Error("synchronised without a word of that")
	}
	if !tree(t, map[string]string{"run/systemd/timesync/synchronized": ""}).Synchronised() {
		t.Error("not synchronised although systemd-timesyncd says so")
	}
}

func TestRTC(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		files map[string]string
		want  time.Time
	}{
		"none":             {nil, time.Time{}},
		"one":              {map[string]string{"sys/class/rtc/rtc0/since_epoch": "1767323045\n"}, at},
		"an empty battery": {map[string]string{"sys/class/rtc/rtc0/since_epoch": ""}, time.Time{}},
		"the second":       {map[string]string{"sys/class/rtc/rtc0/since_epoch": "", "sys/class/rtc/rtc1/since_epoch": "1767323045\n"}, at},
		"nonsense":         {map[string]string{"sys/class/rtc/rtc0/since_epoch": "-1\n", "sys/class/rtc/rtc1/since_epoch": "now\n"}, time.Time{}},
	} {
		got, known := tree(t, test.files).RTC()
		if !got.Equal(test.want) || known == test.want.IsZero() {
			t.Errorf("%s: %s, %t", name, got, known)
		}
	}
}

func TestSavedTime(t *testing.T) {
	s := tree(t, map[string]string{"var/lib/systemd/timesync/clock": ""})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := os.Chtimes(s.under(s.Var, "", "lib", "systemd", "timesync", "clock"), at, at); err != nil {
		t.Fatal(err)
	}
	if got := s.SavedTime(); !got.Equal(at) {
		t.Errorf("%s, want %s", got, at)
	}
	if got := tree(t, nil).SavedTime(); !got.IsZero() {
		t.Errorf("%s although nothing is kept", got)
	}
}

func TestUptime(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"":                0,
		"350735.47 2.5\n": 350735470 * time.Millisecond,
		"12.50\n":         12500 * time.Millisecond,
		"-3 1\n":          0,
		"NaN 1\n":         0,
		"1e300 1\n":       0,
	} {
		if got := tree(t, map[string]string{"proc/uptime": text}).Uptime(); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
