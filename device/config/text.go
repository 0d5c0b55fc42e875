package config

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Text returns what is written in a file that a person saved, in any of the
// encodings of a configuration. Its error may hold a character of it.
func Text(data []byte) (string, error) {
	text, bad := decodeText(data)
	if bad != nil {
		return "", bad
	}
	return text, nil
}

// decodeText returns the file's text as UTF-8 without byte order mark. Editors
// on Windows write UTF-16 when one saves as "Unicode".
func decodeText(data []byte) (string, *Error) {
	var text string
	switch {
	case bytes.HasPrefix(data, []byte{0xFE, 0xFF}):
		return checkText(decodeUTF16(data[2:], binary.BigEndian))
	case bytes.HasPrefix(data, []byte{0xFF, 0xFE}):
		return checkText(decodeUTF16(data[2:], binary.LittleEndian))
	default:
		text = strings.TrimPrefix(string(data), "\uFEFF")
	}
	for i, r := range text {
		if r != utf8.RuneError {
			continue
		}
		if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
			e := at(text, i)
			e.Text = fmt.Sprintf("the byte 0x%02X is not UTF-8; save the file as UTF-8", text[i])
			return "", &e
		}
	}
	return checkText(text)
}

// decodeUTF16 turns what is no character into U+FFFD.
func decodeUTF16(data []byte, order binary.ByteOrder) string {
	units := make([]uint16, 0, len(data)/2+1)
	for ; len(data) >= 2; data = data[2:] {
		units = append(units, order.Uint16(data))
	}
	if len(data) == 1 {
		units = append(units, utf8.RuneError)
	}
	return string(utf16.Decode(units))
}

// checkText refuses the characters that YAML does not have; its parser would,
// but without telling where.
func checkText(text string) (string, *Error) {
	for i, r := range text {
		switch {
		case r == '\t', r == '\n', r == '\r', r >= 0x20 && r < 0x7F, r == 0x85, r >= 0xA0 && r < 0xFFFE && r != 0xFEFF, r > 0xFFFF:
			continue
		}
		e := at(text, i)
		e.Text = fmt.Sprintf("the control character U+%04X cannot stand in a configuration; save the file as plain UTF-8 text", r)
		return "", &e
	}
	return text, nil
}

// at returns an error at the byte offset.
func at(text string, offset int) Error {
	before := strings.ReplaceAll(text[:min(offset, len(text))], "\r\n", "\n")
	line := strings.LastIndexAny(before, "\n\r") + 1
	return Error{
		Line:   1 + strings.Count(before, "\n") + strings.Count(before, "\r"),
		Column: 1 + utf8.RuneCountInString(before[line:]),
	}
}

// dripping gives a text byte by byte and counts: where the parser stops is
// where the error is, which its messages do not tell well.
type dripping struct {
	text string
	read int
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.read == len(d.text) {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	p[0] = d.text[d.read]
	d.read++
	return 1, nil
}

// parseYAML returns the root of the one document in the text, nil if there is
// none.
func parseYAML(text string) (root *yaml.Node, bad *Error) {
	from := &dripping{text: text}
	defer func() {
		// The library panics where it finds its own state impossible. A file
		// from a USB stick must not be able to end the process by that.
		if p := recover(); p != nil {
			e := at(text, from.read)
			e.Text = "the YAML parser gave up here; write it more simply"
			root, bad = nil, &e
		}
	}()
	decoder := yaml.NewDecoder(from)
	var document, more yaml.Node
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, syntaxError(text, from.read, err)
	}
	switch err := decoder.Decode(&more); {
	case errors.Is(err, io.EOF):
	case err != nil:
		return nil, syntaxError(text, from.read, err)
	default:
		return nil, &Error{Line: more.Line, Column: more.Column, Text: "a second document begins here; a configuration is one, without --- lines in it"}
	}
	if len(document.Content) == 0 {
		return nil, nil
	}
	root = document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	return root, nil
}

var syntaxLine = regexp.MustCompile(`^line ([0-9]+): (.*)$`)

// lookahead is how many characters the parser has read beyond where it is.
const lookahead = 4

// syntaxError words the parser's message and finds its line: the parser's own
// line is right for its scanner, one too low for what stands in brackets, and
// the line where the surrounding block began in all other cases. The column is
// where that line's text begins: more is not known.
func syntaxError(text string, read int, err error) *Error {
	offset := read - lookahead
	if read == len(text) {
		offset = read - 1
	}
	stopped := at(text, max(0, offset))
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	if parts := syntaxLine.FindStringSubmatch(problem); parts != nil {
		problem = parts[2]
		line, err := strconv.Atoi(parts[1])
		switch {
		case err != nil:
		case strings.HasSuffix(problem, "or ']'"), strings.HasSuffix(problem, "or '}'"):
			stopped.Line = line + 1
		case !strings.HasPrefix(problem, "did not find expected"):
			stopped.Line = line
		}
	}
	if strings.HasPrefix(problem, "unknown anchor") { // its name may be a password without quotes
		problem = "an alias names nothing"
	}
	lines := strings.Split(strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n"), "\n")
	stopped.Line = min(stopped.Line, len(lines))
	if strings.Contains(problem, "tab character") {
		// The parser names the line where the text began that the tab cuts short.
		for n := stopped.Line; n <= len(lines); n++ {
			if text := lines[n-1]; strings.Contains(text[:len(text)-len(strings.TrimLeft(text, " \t"))], "\t") {
				stopped.Line = n
				break
			}
		}
	}
	line := lines[stopped.Line-1]
	stopped.Column = 1 + len(line) - len(strings.TrimLeft(line, " \t"))
	stopped.Text = "not YAML: " + problem
	for _, known := range syntaxRemedies {
		if strings.Contains(problem, known.problem) {
			stopped.Text += "; " + known.remedy
			break
		}
	}
	return &stopped
}

// syntaxRemedies says what to do about the mistakes that people make.
var syntaxRemedies = []struct{ problem, remedy string }{
	{"an alias names nothing", "put a text that begins with * in quotes"},
	{"tab character", "indent with spaces"},
	{"mapping values are not allowed", "check the indentation, and put texts with a colon in quotes"},
	{"cannot start any token", "indent with spaces, and put texts that begin with a special character in quotes"},
	{"or ']'", "a bracket that opens here is not closed"},
	{"or '}'", "a brace that opens here is not closed"},
	{"expected key", "check the indentation"},
	{"'-' indicator", "check the indentation"},
	{"expected ':'", "a key needs a colon and a blank after it"},
	{"end of stream", "a quote that opens is not closed"},
	{"escape character", "use single quotes around texts with a backslash"},
}
