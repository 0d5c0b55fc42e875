package hl7

import "bytes"

// Unescape appends text to dst with its escape sequences decoded:
//
//	\F\ \S\ \T\ \R\ \E\   the field, component, subcomponent, repetition and
//	                      escape delimiter
//	\Xhh..\               the bytes that the hex digits name
//	\.br\                 a line feed
//	\H\ \N\               highlighting on and off: dropped
//
// where \ stands for the declared escape delimiter. Anything else is kept as it
// is. Unescape only after splitting, since the result may hold delimiters.
func Unescape(dst, text []byte, d Delimiters) []byte {
	if d.Escape == 0 {
		return append(dst, text...)
	}
	for i := 0; i < len(text); {
		if text[i] == d.Escape {
			if n, decoded := sequence(dst, text[i:], d); n > 0 {
				dst, i = decoded, i+n
				continue
			}
		}
		dst = append(dst, text[i])
		i++
	}
	return dst
}

// sequence appends what the escape sequence at the start of text stands for.
// It returns the sequence's length, 0 where there is none that it knows.
func sequence(dst, text []byte, d Delimiters) (int, []byte) {
	if len(text) < 3 {
		return 0, dst
	}
	switch text[1] {
	case 'X':
		return hexSequence(dst, text, d.Escape)
	case '.':
		if len(text) > 4 && bytes.EqualFold(text[2:4], []byte("br")) && text[4] == d.Escape {
			return 5, append(dst, lf)
		}
	}
	if text[2] != d.Escape {
		return 0, dst
	}
	var c byte
	switch text[1] {
	case 'F':
		c = d.Field
	case 'S':
		c = d.Component
	case 'T':
		c = d.Subcomponent
	case 'R':
		c = d.Repeat
	case 'E':
		c = d.Escape
	case 'H', 'N':
		return 3, dst
	}
	if c == 0 { // unknown, or a delimiter that was not declared
		return 0, dst
	}
	return 3, append(dst, c)
}

func hexSequence(dst, text []byte, escape byte) (int, []byte) {
	was := len(dst)
	for i := 2; i+1 < len(text); i += 2 {
		hi, ok1 := hexDigit(text[i])
		lo, ok2 := hexDigit(text[i+1])
		if !ok1 || !ok2 {
			break
		}
		dst = append(dst, hi<<4|lo)
		if i+2 < len(text) && text[i+2] == escape {
			return i + 3, dst
		}
	}
	return 0, dst[:was]
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// Escape appends text to dst so that it can stand in a field: delimiters and
// control characters become escape sequences. Where no escape character is
// declared they become blanks.
func Escape(dst, text []byte, d Delimiters) []byte {
	for _, c := range text {
		name := byte(0)
		switch {
		case c < ' ' || c == 0x7F:
			name = 'X'
		case c == d.Field:
			name = 'F'
		case c == d.Component:
			name = 'S'
		case c == d.Subcomponent:
			name = 'T'
		case c == d.Repeat:
			name = 'R'
		case c == d.Escape:
			name = 'E'
		}
		switch {
		case name == 0:
			dst = append(dst, c)
		case d.Escape == 0:
			dst = append(dst, ' ')
		case name == 'X':
			const digits = "0123456789ABCDEF"
			dst = append(dst, d.Escape, name, digits[c>>4], digits[c&0xF], d.Escape)
		default:
			dst = append(dst, d.Escape, name, d.Escape)
		}
	}
	return dst
}
