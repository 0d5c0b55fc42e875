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
	latin := !utf8.Valid(raw)
	for len(raw) > 0 {
		r, n := rune(raw[0]), 1
		if !latin {
			r, n = utf8.DecodeRune(raw)
		}
		raw = raw[n:]
		switch {
		case r == '\n' || r == '\r':
			text.WriteString(controlName(r))
			if len(raw) == 0 || raw[0] != '\n' {
				text.WriteByte('\n')
			}
		case unicode.IsControl(r):
			text.WriteString(controlName(r))
		default:
			text.WriteRune(r)
		}
	}
	return text.String()
}

// visibleLog makes what steers a terminal readable, and leaves lines and tabs.
func visibleLog(text []byte) string {
	var shown strings.Builder
	for _, r := range strings.ToValidUTF8(string(text), "�") {
		if unicode.IsControl(r) && r != '\n' && r != '\t' {
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
	return fmt.Sprintf("<%02X>", r)
}
