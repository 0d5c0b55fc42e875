package lis02

import (
	"bytes"
	"unicode/utf8"
)

// Unescape appends text to dst with its escape sequences decoded:
//
//	&F& &S& &R& &E&   the field, component, repeat and escape delimiter
//	&Xhh..&           the bytes that the hex digits name
//	&H& &N&           highlighting on and off: dropped
//
// where & stands for the declared escape delimiter. Anything else is kept as it
// is. Unescape only after splitting, since the result may hold delimiters.
//
// UTF-8 stays UTF-8: of &Xhh..& only those are decoded that name whole UTF-8
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
	if text[1] == 'X' {
		return hexSequences(dst, text, d.Escape)
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
	case 'R':
		c = d.Repeat
	case 'E':
		c = d.Escape
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
