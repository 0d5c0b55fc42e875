package console

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible makes raw bytes readable: control characters by their names, a line
// for each record. Bytes that are not UTF-8 are shown as Latin-1, which is what
// most instruments send.
func visible(raw []byte) string {
	var text strings.Builder
	rest := []rune(readable(raw))
	for i, r := range rest {
		switch {
		case r == '\n' || r == '\r':
			text.WriteString(controlName(r))
			if i+1 == len(rest) || rest[i+1] != '\n' {
				text.WriteByte('\n')
			}
		case hidden(r):
			text.WriteString(controlName(r))
		default:
			text.WriteRune(r)
		}
	}
	return text.String()
}

// readable is text in UTF-8; bytes that are not such are taken for Latin-1.
func readable(raw []byte) string {
	if utf8.Valid(raw) {
		return string(raw)
	}
	runes := make([]rune, len(raw))
	for i, b := range raw {
		runes[i] = rune(b)
	}
	return string(runes)
}

// hidden reports whether a character steers what is shown instead of being shown:
// besides control characters those that turn the direction of reading round, or
// take no room.
func hidden(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// longestShown is how much of one field of a message a page shows, in bytes.
const longestShown = 2000

// plain is a field of a message for a page: short enough, and nothing in it can make
// it look like something else.
func plain(text any) string {
	shown := fmt.Sprint(text)
	cut := len(shown) > longestShown
	if shown = beginning(shown, longestShown); strings.ContainsFunc(shown, hidden) {
		shown = strings.TrimRight(visible([]byte(shown)), "\n")
	}
	if cut {
		shown += fmt.Sprintf("… (%d bytes)", len(fmt.Sprint(text)))
	}
	return shown
}

// visibleLog makes what steers a terminal readable, and leaves lines and tabs.
func visibleLog(text []byte) string {
	var shown strings.Builder
	for _, r := range strings.ToValidUTF8(string(text), "�") {
		if hidden(r) && r != '\n' && r != '\t' {
			shown.WriteString(controlName(r))
			continue
		}
		shown.WriteRune(r)
	}
	return shown.String()
}

func controlName(r rune) string {
	const names = "NUL SOH STX ETX EOT ENQ ACK BEL BS HT LF VT FF CR SO SI DLE DC1 DC2 DC3 DC4 NAK SYN ETB CAN EM SUB ESC FS GS RS US"
	if fields := strings.Fields(names); int(r) < len(fields) {
		return "<" + fields[r] + ">"
	}
	if r == 0x7F {
		return "<DEL>"
	}
	if r > 0xFF {
		return fmt.Sprintf("<U+%04X>", r)
	}
	return fmt.Sprintf("<%02X>", r)
}
