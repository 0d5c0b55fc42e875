package profile

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/simplifiedchinese"
)

// undecodable is the problem of a message with bytes that its character set
// does not have. They stand as U+FFFD; the raw message keeps them.
const undecodable = "bytes that the character set does not have are shown as U+FFFD"

// Charset returns the encoding of a name: the configuration's (latin-1,
// cp1252, utf-8, gbk ...) or HL7 table 0211's. It is nil for UTF-8 and ASCII.
func Charset(name string) (encoding.Encoding, error) {
	key := strings.ToLower(strings.TrimSpace(name))
	switch strings.NewReplacer(" ", "", "_", "-").Replace(key) {
	case "utf-8", "utf8", "unicodeutf-8", "unicode", "ascii", "us-ascii":
		return nil, nil
	case "latin-1", "latin1":
		return charmap.ISO8859_1, nil // not htmlindex: HTML reads latin-1 as cp1252
	case "cp1252":
		return charmap.Windows1252, nil
	case "gb18030-2000":
		return simplifiedchinese.GB18030, nil
	case "big-5":
		key = "big5"
	}
	if part, found := strings.CutPrefix(key, "8859/"); found {
		key = "iso-8859-" + part
		if part == "1" {
			return charmap.ISO8859_1, nil
		}
	}
	e, err := htmlindex.Get(key)
	// UTF-16 cannot stand in a block or frame, and "replacement" decodes nothing.
	if known, _ := htmlindex.Name(e); err != nil || known == "replacement" || strings.HasPrefix(known, "utf-16") {
		return nil, fmt.Errorf("character set %q is not known; try latin-1, cp1252, utf-8 or gbk", name)
	}
	return e, nil
}

// decode turns bytes into text. It never fails: what does not decode becomes
// U+FFFD, and the problem says so.
func decode(raw []byte, e encoding.Encoding) (text, problem string) {
	if e == nil {
		text = string(raw)
		if !utf8.ValidString(text) {
			return strings.ToValidUTF8(text, "\uFFFD"), undecodable
		}
		return text, ""
	}
	decoded, err := e.NewDecoder().Bytes(raw)
	if err != nil {
		return strings.ToValidUTF8(string(raw), "\uFFFD"), undecodable
	}
	if strings.ContainsRune(string(decoded), utf8.RuneError) {
		problem = undecodable
	}
	return string(decoded), problem
}

// encode is the way back for text that was changed; what the set cannot write
// stays as UTF-8.
func encode(text string, e encoding.Encoding) []byte {
	if e == nil {
		return []byte(text)
	}
	raw, err := e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return []byte(text)
	}
	return raw
}
