package agent

import (
	"fmt"
	"strings"
	"time"
)

// Window is a time of the day, in local time. Its zero value is the whole day.
type Window struct {
	from, to int // minutes after midnight; to is outside, and may be before from
	text     string
}

// ParseWindow reads a window such as "22:00-04:30", which may span midnight. The
// empty text is the whole day.
func ParseWindow(text string) (Window, error) {
	if text == "" {
		return Window{}, nil
	}
	first, last, is := strings.Cut(text, "-")
	from, err := minutes(first)
	if err == nil && is {
		var to int
		if to, err = minutes(last); err == nil && to != from {
			return Window{from: from, to: to, text: text}, nil
		}
	}
	return Window{}, fmt.Errorf("%.40q is no time of the day such as 22:00-04:30; leave it out for any time", text)
}

func minutes(text string) (int, error) {
	at, err := time.Parse("15:04", strings.TrimSpace(text))
	return at.Hour()*60 + at.Minute(), err
}

// Always reports whether the window is the whole day.
func (w Window) Always() bool { return w.text == "" }

func (w Window) String() string { return w.text }

// Open reports whether the window is open, by the clock on the wall.
func (w Window) Open(at time.Time) bool {
	now := at.Hour()*60 + at.Minute()
	switch {
	case w.Always():
		return true
	case w.from < w.to:
		return now >= w.from && now < w.to
	}
	return now >= w.from || now < w.to
}
