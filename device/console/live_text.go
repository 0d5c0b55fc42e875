package console

import (
	"fmt"
	"strings"
	"time"
)

// span is a part of an entry's text that looks alike.
type span struct {
	Class string // "" is text, "control" a control character, "hidden" what is left out
	Text  string
}

// Spans is what an entry says, readable: control characters by their names.
func (e LiveEntry) Spans() (list []span) {
	if e.Text != "" {
		return []span{{"", e.Text}}
	}
	for _, p := range e.Pieces {
		list = append(list, spansOf(visible(p.Bytes))...)
		if p.Hidden > 0 || p.Digest != "" {
			list = append(list, span{"hidden", hiddenText(p.Hidden, p.Digest)})
		}
	}
	if e.Cut > 0 {
		list = append(list, span{"hidden", fmt.Sprintf("[%d more bytes are not shown]", e.Cut)})
	}
	return list
}

func hiddenText(bytes int, digest string) string {
	if digest != "" {
		return fmt.Sprintf("[%d bytes, digest %s]", bytes, digest)
	}
	return fmt.Sprintf("[%d bytes]", bytes)
}

// spansOf parts readable text into control characters and what is between them.
// Text that looks like the name of one is taken for one: nothing but its looks
// depends on that.
func spansOf(text string) (list []span) {
	for text != "" {
		from := strings.IndexByte(text, '<')
		to := -1
		if from >= 0 {
			to = strings.IndexByte(text[from:], '>') + from
		}
		if from < 0 || to < from || to-from > len("<SOH>") || strings.ContainsAny(text[from+1:to], "<| ") {
			next := len(text)
			if from >= 0 {
				next = from + 1
			}
			list = appendText(list, text[:next])
			text = text[next:]
			continue
		}
		list = appendText(list, text[:from])
		list = append(list, span{"control", text[from : to+1]})
		text = text[to+1:]
	}
	return list
}

func appendText(list []span, text string) []span {
	last := len(list) - 1
	switch {
	case text == "":
		return list
	case last >= 0 && list[last].Class == "":
		list[last].Text += text
		return list
	}
	return append(list, span{"", text})
}

// Time is when it happened, in the time zone of the box, to the millisecond.
func (e LiveEntry) Time() string { return e.At.Local().Format("15:04:05.000") }

// Stamp is the same for programs.
func (e LiveEntry) Stamp() string { return e.At.UTC().Format(time.RFC3339Nano) }
