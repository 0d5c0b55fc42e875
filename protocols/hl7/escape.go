package hl7

import (
	"bytes"
	"unicode/utf8"
)

// Unescape appends text to dst with its escape sequences decoded (chapter 2.7
// of version 2.5.1):
//
//	\F\ \S\ \T\ \R\ \E\        the field, component, subcomponent, repetition and
//	                           escape delimiter
//	\P\                        the truncation character, where one is declared
//	\Xhh..\                    the bytes that the hex digits name
//	\H\ \N\                    highlighting on and off: dropped
//	\.br\ \.ce\                a line feed
//	\.sp\ \.sp+n\              n line feeds, without a number 1
//	\.sk+n\ \.ti+n\            n blanks
//	\.in+n\ \.fi\ \.nf\        dropped: what they set has no place in plain text
//
// where \ stands for the declared escape delimiter. A negative n is 0, and one
// above 40 is 40. Anything else is kept as it is: switches of the character set
// (\Cxxyy\, \Mxxyyzz\), local sequences (\Zxx\), and what is unknown or has no
// end. Unescape only after splitting, since the result may hold delimiters.
//
// UTF-8 stays UTF-8: of \Xhh..\ only those are decoded that name whole UTF-8
// characters, several that touch each other as one; others keep their hex
// digits, because the character set that they meant was left behind when the
// text was decoded.
func Unescape(dst, text []byte, d Delimiters) []byte {
	if d.Escape == 0 {
		return append(dst, text...)
	}
	for len(text) > 0 {
		i := bytes.IndexByte(text, d.Escape)
		if i < 0 {
			break
		}
		dst, text = append(dst, text[:i]...), text[i:]
		n := 0
		if dst, n = sequence(dst, text, d); n == 0 {
			dst, n = append(dst, d.Escape), 1
		}
		text = text[n:]
	}
	return append(dst, text...)
}

// sequence appends what the escape sequence at the start of text stands for.
// It returns the sequence's length, 0 where there is none that it knows.
func sequence(dst, text []byte, d Delimiters) ([]byte, int) {
	if len(text) < 3 {
		return dst, 0
	}
	switch text[1] {
	case 'X':
		return hexSequences(dst, text, d.Escape)
	case '.':
		return formatting(dst, text, d.Escape)
	}
	if text[2] != d.Escape {
		return dst, 0
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
	case 'P':
		c = d.Truncation
	case 'H', 'N':
		return dst, 3
	}
	if c == 0 || c >= utf8.RuneSelf { // unknown, not declared, or half a character
		return dst, 0
	}
	return append(dst, c), 3
}

// hexSequences decodes the run of hex sequences at the start of text, if what
// they name together is UTF-8; else only the first of them, or none.
func hexSequences(dst, text []byte, escape byte) ([]byte, int) {
	was, n := len(dst), 0
	for {
		more, length := hexSequence(dst, text[n:], escape)
		if length == 0 {
			break
		}
		dst, n = more, n+length
	}
	if utf8.Valid(dst[was:]) {
		return dst, n
	}
	return each(dst[:was], text[:n], escape), n
}

// each decodes those of a run of hex sequences that are UTF-8 by themselves.
func each(dst, run []byte, escape byte) []byte {
	for len(run) > 0 {
		more, length := hexSequence(dst, run, escape)
		if !utf8.Valid(more[len(dst):]) {
			more = append(dst, run[:length]...)
		}
		dst, run = more, run[length:]
	}
	return dst
}

// hexSequence appends the bytes of one hex sequence.
func hexSequence(dst, text []byte, escape byte) ([]byte, int) {
	if len(text) < 2 || text[0] != escape || text[1] != 'X' {
		return dst, 0
	}
	was := len(dst)
	for i := 2; i+2 < len(text); i += 2 {
		hi, ok1 := hexDigit(text[i])
		lo, ok2 := hexDigit(text[i+1])
		if !ok1 || !ok2 {
			break
		}
		dst = append(dst, hi<<4|lo)
		if text[i+2] == escape {
			return dst, i + 3
		}
	}
	return dst[:was], 0
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

// mostSkipped bounds what a formatting command makes of a few bytes.
const mostSkipped = 40

// formatting appends what a formatting command of FT and TX fields (chapter
// 2.7.6) means in plain text.
func formatting(dst, text []byte, escape byte) ([]byte, int) {
	const longest = len(`\.sp+99999\`)
	length := bytes.IndexByte(text[1:min(len(text), longest)], escape) + 2
	if length < len(`\.br\`) {
		return dst, 0
	}
	n, numbered, ok := amount(text[4 : length-1])
	command := string(upper(text[2:4]))
	switch {
	case !ok:
		return dst, 0
	case command == "SP":
		if !numbered {
			n = 1
		}
		return append(dst, bytes.Repeat([]byte{lf}, n)...), length
	case command == "SK" && numbered, command == "TI" && numbered:
		return append(dst, bytes.Repeat([]byte{' '}, n)...), length
	case command == "IN" && numbered:
		return dst, length
	case numbered:
		return dst, 0
	}
	switch command {
	case "BR", "CE":
		return append(dst, lf), length
	case "FI", "NF":
		return dst, length
	}
	return dst, 0
}

// amount reads the number of a formatting command, which may be left out.
func amount(digits []byte) (n int, numbered, ok bool) {
	if len(digits) == 0 {
		return 0, false, true
	}
	negative := digits[0] == '-'
	if negative || digits[0] == '+' {
		digits = digits[1:]
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false, false
		}
		n = min(10*n+int(c-'0'), mostSkipped)
	}
	if negative {
		n = 0
	}
	return n, true, len(digits) > 0
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
		case c == d.Truncation:
			name = 'P'
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
