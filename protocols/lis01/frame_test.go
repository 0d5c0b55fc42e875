package lis01

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestParseFrame(t *testing.T) {
	for _, tt := range []struct {
		token string
		want  Frame
		err   error
	}{
		{
			"\x025R|2|^^^1.0000+950+1.0|15|||^5^||V||34001637|19910516153540|19910516153610|B\r\x03E9\r\n",
			Frame{'5', []byte("R|2|^^^1.0000+950+1.0|15|||^5^||V||34001637|19910516153540|19910516153610|B\r"), true},
			ErrChecksum,
		},
		{"\x024C|1|I||I\r\x174F\r\n", Frame{'5', []byte("C|1|I||I\r"), false}, ErrChecksum},
		{"\x025C|1|I||I\r\x174F\r\n", Frame{'5', []byte("C|1|I||I\r"), false}, nil},
		{"\x025C|1|I||I\r\x174f\n", Frame{'5', []byte("C|1|I||I\r"), false}, nil},
		{"\x025C|1|I||I\r\x174F", Frame{'5', []byte("C|1|I||I\r"), false}, nil},
		{"\x025C|1|I||I\r\x17", Frame{'5', []byte("C|1|I||I\r"), false}, ErrChecksum},
		{"\x025C|1|I||I\r\x174\r\n", Frame{'5', []byte("C|1|I||I\r"), false}, ErrChecksum},
		{"\x025C|1|I||I\r\x17ZZ\r\n", Frame{'5', []byte("C|1|I||I\r"), false}, ErrChecksum},
		{"\x025C|1|I||I\r\x174F0\r\n", Frame{'5', []byte("C|1|I||I\r"), false}, ErrMalformed},
		{"\x021\x0334\r\n", Frame{'1', []byte{}, true}, nil},
		{"\x029\x033C\r\n", Frame{'9', []byte{}, true}, nil},
		{"\x02H|\\^&\r\x0300\r\n", Frame{}, ErrMalformed},
		{"\x02\x0303\r\n", Frame{}, ErrMalformed},
		{"\x021abc", Frame{}, ErrMalformed},
		{"\x021a\x02\x0300", Frame{}, ErrMalformed},
		{"\x02", Frame{}, ErrMalformed},
		{"\x05", Frame{}, ErrMalformed},
		{"", Frame{}, ErrMalformed},
	} {
		got, err := ParseFrame([]byte(tt.token))
		if !errors.Is(err, tt.err) {
			t.Errorf("ParseFrame(%q): error %v, want %v", tt.token, err, tt.err)
		}
		if tt.err == nil && (got.Number != tt.want.Number || got.End != tt.want.End || !bytes.Equal(got.Text, tt.want.Text)) {
			t.Errorf("ParseFrame(%q) = %+v, want %+v", tt.token, got, tt.want)
		}
		if errors.Is(tt.err, ErrChecksum) && (got.Number == 0 || got.Text == nil) {
			t.Errorf("ParseFrame(%q) = %+v: not filled", tt.token, got)
		}
	}
}

// No error may hold content: errors are logged.
func TestParseFrameErrorsHoldNoContent(t *testing.T) {
	for _, token := range []string{"\x021Miller\x0300\r\n", "\x02Miller\x0300\r\n", "\x021Miller", "\x021a\x03Miller"} {
		if _, err := ParseFrame([]byte(token)); err == nil || bytes.Contains([]byte(err.Error()), []byte("Mill")) {
			t.Errorf("%q: error %v", token, err)
		}
	}
}

func TestAppendMessage(t *testing.T) {
	text := bytes.Repeat([]byte("R|1|^^^WBC|8.13|10*3/uL\r"), 40)
	for _, size := range []int{-1, 0, 1, 7, 240, 1024, MaxText, MaxText + 1} {
		frames := AppendMessage(nil, text, size)
		if size < 1 || size > MaxText {
			size = SafeText
		}
		var joined []byte
		for i, encoded := range frames {
			f, err := ParseFrame(encoded)
			if err != nil {
				t.Fatal(err)
			}
			if want := byte('0' + (i+1)%8); f.Number != want || len(f.Text) > size || f.End != (i == len(frames)-1) {
				t.Fatalf("size %d, frame %d: number %c, %d bytes, end %v", size, i, f.Number, len(f.Text), f.End)
			}
			joined = append(joined, f.Text...)
		}
		if !bytes.Equal(joined, text) {
			t.Errorf("size %d: other text", size)
		}
	}
	session := AppendMessage(AppendMessage(nil, []byte("H|\rL|1\r"), 4), []byte("H|\rL|2\r"), 4)
	if f, _ := ParseFrame(session[2]); len(session) != 4 || f.Number != '3' {
		t.Errorf("a second message does not go on with the numbers: %q", session)
	}
	if got := AppendMessage(nil, nil, 240); got != nil {
		t.Errorf("no text makes frames %q", got)
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte("\x021H|\\^&\r\x17D8\r\n"))
	f.Add([]byte("\x02\x03"))
	f.Add([]byte("\x021\x17ff\n\r"))
	f.Fuzz(func(t *testing.T, token []byte) {
		kept := bytes.Clone(token)
		got, err := ParseFrame(token)
		if !bytes.Equal(kept, token) {
			t.Fatal("the token was changed")
		}
		if err != nil {
			return
		}
		if upper := bytes.ToUpper(token[len(got.Text)+3:]); !bytes.HasPrefix(AppendFrame(nil, got)[len(got.Text)+3:], trimEnd(upper)) {
			t.Fatalf("%q decoded to %+v", token, got)
		}
	})
}

func ExampleAppendFrame() {
	fmt.Printf("%q\n", AppendFrame(nil, Frame{Number: '1', Text: []byte("L|1|N\r"), End: true}))
	// Output: "\x021L|1|N\r\x0304\r\n"
}

func TestClean(t *testing.T) {
	var all []byte
	for c := range 256 {
		all = append(all, byte(c))
	}
	kept := string(Clean(all))
	for c := range 256 {
		forbidden := strings.ContainsRune("\x00\x01\x02\x03\x04\x05\x06\n\x10\x11\x12\x13\x14\x15\x16\x17", rune(c))
		if strings.IndexByte(kept, byte(c)) >= 0 == forbidden {
			t.Errorf("%#x: kept is %v", c, !forbidden)
		}
	}
}
