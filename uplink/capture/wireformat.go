package capture

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Mark says whose an [Entry] is.
type Mark byte

// The marks, as they stand in the file.
const (
	Received Mark = '<' // the instrument sent it
	Sent     Mark = '>' // the box sent it
	Remark   Mark = '!' // what happened beside
)

// Entry is one line of a wire trace: what one read or one write moved, or a
// remark.
//
//	2026-01-02T03:04:05.123456Z < <STX>1H|\^&<CR><ETX>E5<CR><LF>
//
// The time is in UTC, to the microsecond. Bytes stand as they are where they are
// printable ASCII; control characters stand by their names in angle brackets, a
// form feed as <0C>, because <FF> is the byte FF; so do all other bytes and the
// angle bracket itself (<3C>), as two hex digits. Where an allowlist keeps text
// out, <N bytes> stands for it.
type Entry struct {
	At     time.Time
	Mark   Mark
	Pieces []Piece // with Received and Sent, in the order of the line
	Note   string  // with Remark: printable ASCII, without message content
}

// Piece is a part of what was moved: bytes, or how many there were.
type Piece struct {
	Bytes  []byte
	Hidden int    // how many bytes are left out
	Digest string // keyed, hexadecimal: of all of the text that ends with these; may be ""
}

const (
	// traceHead begins every trace.
	traceHead = "# assaygate wire trace 1"
	traceHelp = `: "<" the instrument sent, ">" the box sent, "!" is a remark; control characters stand as <NAME>, other bytes as <XX>` + "\n"
	stamp     = "2006-01-02T15:04:05.000000Z"
)

// IsTrace reports whether a file is a wire trace.
func IsTrace(data []byte) bool { return bytes.HasPrefix(data, []byte(traceHead)) }

// ErrTrace says that a line of a trace is not of its format.
var ErrTrace = errors.New("not a line of a wire trace")

// Entries reads a trace. An error names the line; reading goes on behind it. The
// last line counts only with its end: power that fails leaves half a line.
func Entries(data []byte) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for number := 1; ; number++ {
			line, rest, whole := bytes.Cut(data, []byte("\n"))
			if !whole {
				return
			}
			data = rest
			if len(line) == 0 || line[0] == '#' {
				continue
			}
			e, err := parseEntry(line)
			if err != nil {
				err = fmt.Errorf("line %d: %w", number, err)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// AppendEntry appends the entry as a line of a trace.
func AppendEntry(dst []byte, e Entry) []byte {
	dst = e.At.UTC().AppendFormat(dst, stamp)
	dst = append(dst, ' ', byte(e.Mark), ' ')
	if e.Mark == Remark {
		return append(append(dst, e.Note...), '\n')
	}
	for _, p := range e.Pieces {
		for _, c := range p.Bytes {
			dst = appendByte(dst, c)
		}
		if p.Hidden == 0 && p.Digest == "" {
			continue
		}
		dst = append(strconv.AppendInt(append(dst, '<'), int64(p.Hidden), 10), " bytes"...)
		if p.Digest != "" {
			dst = append(append(dst, ", digest "...), p.Digest...)
		}
		dst = append(dst, '>')
	}
	return append(dst, '\n')
}

// controls are the names of the bytes from 0 on, three letters each.
const controls = "NULSOHSTXETXEOTENQACKBELBS HT LF VT 0C CR SO SI DLEDC1DC2DC3DC4NAKSYNETBCANEM SUBESCFS GS RS US "

func appendByte(dst []byte, c byte) []byte {
	const hex = "0123456789ABCDEF"
	switch {
	case c < ' ':
		dst = append(append(dst, '<'), controls[3*c:3*c+2]...)
		if third := controls[3*c+2]; third != ' ' {
			dst = append(dst, third)
		}
		return append(dst, '>')
	case c == 0x7F:
		return append(dst, "<DEL>"...)
	case c > 0x7F, c == '<':
		return append(dst, '<', hex[c>>4], hex[c&0xF], '>')
	}
	return append(dst, c)
}

func parseEntry(line []byte) (Entry, error) {
	if len(line) < len(stamp)+3 || line[len(stamp)] != ' ' || line[len(stamp)+2] != ' ' {
		return Entry{}, fmt.Errorf("%w: it does not begin with a time and a mark", ErrTrace)
	}
	at, err := time.Parse(stamp, string(line[:len(stamp)]))
	if err != nil {
		return Entry{}, fmt.Errorf("%w: it does not begin with a time", ErrTrace)
	}
	e, text := Entry{At: at, Mark: Mark(line[len(stamp)+1])}, line[len(stamp)+3:]
	switch e.Mark {
	case Received, Sent:
		e.Pieces, err = parsePieces(text)
	case Remark:
		e.Note = string(text)
	default:
		err = fmt.Errorf("%w: the mark is not one that there is", ErrTrace)
	}
	if err != nil {
		return Entry{}, err
	}
	return e, nil
}

func parsePieces(text []byte) (pieces []Piece, err error) {
	var plain []byte
	flush := func() {
		if plain != nil {
			pieces, plain = append(pieces, Piece{Bytes: plain}), nil
		}
	}
	for len(text) > 0 {
		if text[0] != '<' {
			plain, text = append(plain, text[0]), text[1:]
			continue
		}
		end := bytes.IndexByte(text, '>')
		if end < 0 {
			return nil, fmt.Errorf("%w: a bracket is not closed", ErrTrace)
		}
		name := string(text[1:end])
		text = text[end+1:]
		if c, known := named(name); known {
			plain = append(plain, c)
			continue
		}
		hidden, known := parseHidden(name)
		if !known {
			return nil, fmt.Errorf("%w: what stands in brackets is neither a control character, nor two hex digits, nor a number of bytes", ErrTrace)
		}
		flush()
		pieces = append(pieces, hidden)
	}
	flush()
	return pieces, nil
}

// named is the byte that a name in brackets stands for.
func named(name string) (c byte, known bool) {
	if len(name) != 2 && len(name) != 3 {
		return 0, false
	}
	if name == "DEL" {
		return 0x7F, true
	}
	for c := range byte(' ') {
		if strings.TrimRight(controls[3*c:3*c+3], " ") == name {
			return c, true
		}
	}
	n, err := strconv.ParseUint(name, 16, 8)
	return byte(n), err == nil && len(name) == 2 && strings.ToUpper(name) == name
}

func parseHidden(name string) (Piece, bool) {
	size, digest, keyed := strings.Cut(name, ", digest ")
	digits, isSize := strings.CutSuffix(size, " bytes")
	n, err := strconv.Atoi(digits)
	if !isSize || err != nil || n < 0 || digits != strconv.Itoa(n) || keyed != (digest != "") || !keyed && n == 0 {
		return Piece{}, false
	}
	if strings.Trim(digest, "0123456789abcdef") != "" {
		return Piece{}, false
	}
	return Piece{Hidden: n, Digest: digest}, true
}
