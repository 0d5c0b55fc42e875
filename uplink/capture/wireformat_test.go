package capture

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEntry(t *testing.T) {
	at := time.Date(2026, 1, 2, 4, 4, 5, 123456789, time.FixedZone("CET", 3600))
	bytesOf := func(text string) []Piece { return []Piece{{Bytes: []byte(text)}} }
	for name, test := range map[string]struct {
		e    Entry
		want string
	}{
		"a control character": {Entry{Mark: Received, Pieces: bytesOf("\x05")}, "< <ENQ>"},
		"an answer":           {Entry{Mark: Sent, Pieces: bytesOf("\x06")}, "> <ACK>"},
		"a frame":             {Entry{Mark: Received, Pieces: bytesOf("\x021H|\\^&\r\x03E5\r\n")}, `< <STX>1H|\^&<CR><ETX>E5<CR><LF>`},
		"brackets":            {Entry{Mark: Received, Pieces: bytesOf("<0.5> & <CR>")}, "< <3C>0.5> & <3C>CR>"},
		"form feed and FF":    {Entry{Mark: Received, Pieces: bytesOf("\x0c\xff\x0b\x1c\x7f\x1f")}, "< <0C><FF><VT><FS><DEL><US>"},
		"beyond ASCII":        {Entry{Mark: Received, Pieces: bytesOf("M\xfcller \xc3\xa4")}, "< M<FC>ller <C3><A4>"},
		"blanks at both ends": {Entry{Mark: Received, Pieces: bytesOf(" a ")}, "<  a "},
		"left out":            {Entry{Mark: Received, Pieces: []Piece{{Bytes: []byte("\x021")}, {Hidden: 117, Digest: "ab12"}, {Bytes: []byte{3}}, {Hidden: 2}}}, "< <STX>1<117 bytes, digest ab12><ETX><2 bytes>"},
		"only a digest":       {Entry{Mark: Received, Pieces: []Piece{{Digest: "ab12"}, {Bytes: []byte{3}}}}, "< <0 bytes, digest ab12><ETX>"},
		"a remark":            {Entry{Mark: Remark, Note: "the line ended"}, "! the line ended"},
	} {
		t.Run(name, func(t *testing.T) {
			test.e.At = at
			got := string(AppendEntry(nil, test.e))
			if want := "2026-01-02T03:04:05.123456Z " + test.want + "\n"; got != want {
				t.Errorf("written as %q, want %q", got, want)
			}
			wantBack(t, test.e, []byte(got))
		})
	}
}

// wantBack expects exactly this entry in a trace's text.
func wantBack(t *testing.T, want Entry, text []byte) {
	t.Helper()
	want.At = want.At.UTC().Truncate(time.Microsecond)
	n := 0
	for got, err := range Entries(text) {
		if n++; err != nil {
			t.Fatalf("%q is not read: %v", text, err)
		}
		if !got.At.Equal(want.At) || got.Mark != want.Mark || got.Note != want.Note || !reflect.DeepEqual(got.Pieces, want.Pieces) {
			t.Errorf("%q is read as %+v, want %+v", text, got, want)
		}
	}
	if n != 1 {
		t.Errorf("%q holds %d entries, want 1", text, n)
	}
}

func TestEntriesOfDamagedTraces(t *testing.T) {
	const good = "2026-01-02T03:04:05.123456Z < <ENQ>\n"
	for name, test := range map[string]struct {
		text    string
		entries int
		wrong   string // part of the error; "" for none
	}{
		"head and empty lines":      {traceHead + "\n\n# more\n" + good, 1, ""},
		"half a line":               {good + good[:len(good)-1], 1, ""},
		"nothing":                   {"", 0, ""},
		"no time":                   {"x\n" + good, 1, "line 1: not a line of a wire trace: it does not begin with a time and a mark"},
		"a wrong time":              {good + strings.Replace(good, "01-02", "13-02", 1), 1, "line 2: not a line of a wire trace: it does not begin with a time"},
		"a wrong mark":              {strings.Replace(good, " < ", " = ", 1), 0, "mark"},
		"an open bracket":           {strings.Replace(good, ">", "", 1), 0, "not closed"},
		"an unknown name":           {strings.Replace(good, "ENQ", "QNE", 1), 0, "brackets"},
		"small hexadecimal":         {strings.Replace(good, "ENQ", "fc", 1), 0, "brackets"},
		"three digits":              {strings.Replace(good, "ENQ", "0FC", 1), 0, "brackets"},
		"a sign":                    {strings.Replace(good, "ENQ", "+1 bytes", 1), 0, "brackets"},
		"a negative number":         {strings.Replace(good, "ENQ", "-1 bytes", 1), 0, "brackets"},
		"a number that is too long": {strings.Replace(good, "ENQ", "99999999999999999999 bytes", 1), 0, "brackets"},
		"no digest":                 {strings.Replace(good, "ENQ", "9 bytes, digest ", 1), 0, "brackets"},
		"a name for a digest":       {strings.Replace(good, "ENQ", "9 bytes, digest adam", 1), 0, "brackets"},
	} {
		t.Run(name, func(t *testing.T) {
			entries, wrong := 0, ""
			for _, err := range Entries([]byte(test.text)) {
				if err == nil {
					entries++
					continue
				}
				wrong += err.Error()
				if !errors.Is(err, ErrTrace) {
					t.Errorf("%v is no ErrTrace", err)
				}
			}
			if entries != test.entries || !strings.Contains(wrong, test.wrong) || (wrong == "") != (test.wrong == "") {
				t.Errorf("%d entries, %q; want %d, %q", entries, wrong, test.entries, test.wrong)
			}
		})
	}
}

// FuzzEntry: what is written is read back exactly, whatever the bytes.
func FuzzEntry(f *testing.F) {
	f.Add([]byte("\x021H|\\^&\r\x03E5\r\n"), []byte("\x0b<CR>\xff\x0c"), 117, true, int64(1767323045123456))
	f.Add([]byte{}, []byte("<117 bytes>"), 0, false, int64(0))
	f.Fuzz(func(t *testing.T, before, after []byte, hidden int, keyed bool, at int64) {
		e := Entry{At: time.UnixMicro(at).UTC(), Mark: Received}
		if year := e.At.Year(); year < 0 || year > 9999 {
			return
		}
		between := Piece{Hidden: max(0, hidden)}
		if keyed {
			between.Digest = "0123abcd"
		}
		for _, p := range []Piece{{Bytes: before}, between, {Bytes: after}} {
			switch last := len(e.Pieces) - 1; {
			case len(p.Bytes) > 0 && last >= 0 && e.Pieces[last].Bytes != nil: // they become one
				e.Pieces[last].Bytes = slices.Concat(e.Pieces[last].Bytes, p.Bytes)
			case len(p.Bytes) > 0 || p.Hidden > 0 || p.Digest != "":
				e.Pieces = append(e.Pieces, p)
			}
		}
		text := AppendEntry(nil, e)
		if bytes.IndexFunc(text[:len(text)-1], func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
			t.Errorf("%q is not printable", text)
		}
		wantBack(t, e, text)
	})
}

// FuzzEntries: any text is read without harm, and what was understood of it is
// written so that it says the same.
func FuzzEntries(f *testing.F) {
	f.Add([]byte("2026-01-02T03:04:05.123456Z < <STX>1<117 bytes, digest ab12><ETX><2 bytes><CR>\n2026-01-02T03:04:05.123456Z ! the line ended\n"))
	f.Add([]byte("# x\n\n2026-01-02T03:04:05.123456Z > <3C><FF>\n<\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for e, err := range Entries(text) {
			if err == nil {
				wantBack(t, e, AppendEntry(nil, e))
			}
		}
	})
}
