package lis01

import (
	"bytes"
	"slices"
	"testing"
)

// carrying is a transcript of frames with these texts, which are joined as they
// are.
func carrying(texts ...string) (t Transcript, joined []byte) {
	for i, text := range texts {
		f := Frame{Number: '1' + byte(i), Text: []byte(text), End: i%2 == 1}
		t.Add(bytes.ToLower(AppendFrame(nil, f)), f, len(joined), len(joined)+len(text))
		joined = append(joined, text...)
	}
	return t, joined
}

// Frames as received have small letters here, and those that are made two do not.
func TestTranscriptCut(t *testing.T) {
	received := func(n byte, text string, end bool) string {
		return string(bytes.ToLower(AppendFrame(nil, Frame{n, []byte(text), end})))
	}
	made := func(n byte, text string, end bool) string {
		return string(AppendFrame(nil, Frame{n, []byte(text), end}))
	}
	for _, tt := range []struct {
		name  string
		texts []string
		at    []int // where the messages end
		want  [][]string
	}{
		{"all in one", []string{"abc"}, []int{3}, [][]string{{received('1', "abc", false)}, nil}},
		{"nothing yet", []string{"abc", ""}, nil, [][]string{{received('1', "abc", false), received('2', "", true)}}},
		{"between frames", []string{"ab", "c", "d"}, []int{3}, [][]string{
			{received('1', "ab", false), received('2', "c", true)}, {received('3', "d", false)},
		}},
		{"within the last", []string{"ab", "cd"}, []int{3}, [][]string{
			{received('1', "ab", false), made('2', "c", true)}, {made('2', "d", true)},
		}},
		{"within one before the last", []string{"ab", "cd"}, []int{1}, [][]string{
			{made('1', "a", true)}, {made('1', "b", false), received('2', "cd", true)},
		}},
		{"several in one", []string{"abcd", "e"}, []int{1, 3, 5}, [][]string{
			{made('1', "a", true)}, {made('1', "bc", true)}, {made('1', "d", false), received('2', "e", true)}, nil,
		}},
		{"several that end with it", []string{"abcd"}, []int{1, 4}, [][]string{{made('1', "a", true)}, {made('1', "bcd", true)}, nil}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			transcript, text := carrying(tt.texts...)
			var got [][]string
			taken := func(tokens [][]byte) {
				var list []string
				for _, token := range tokens {
					list = append(list, string(token))
				}
				got = append(got, list)
			}
			from := 0
			for _, to := range tt.at {
				taken(transcript.Cut(text[from:to]))
				from = to
			}
			if taken(transcript.Tokens(text[from:])); !slices.EqualFunc(got, tt.want, slices.Equal) {
				t.Errorf("%q\nwant %q", got, tt.want)
			}
		})
	}
}

// A frame that could not be stored was never there.
func TestTranscriptGoesBack(t *testing.T) {
	transcript, text := carrying("ab", "cd", "ef")
	before := transcript
	transcript.Add([]byte("lost"), Frame{Number: '4', Text: []byte("gh")}, 6, 8)
	transcript.Cut([]byte("abc"))
	transcript = before
	transcript.Add([]byte("again"), Frame{Number: '4', Text: []byte("gh")}, 6, 8)
	want := [][]byte{AppendFrame(nil, Frame{'1', []byte("ab"), false}), AppendFrame(nil, Frame{'2', []byte("cd"), true}), AppendFrame(nil, Frame{'3', []byte("ef"), false}), []byte("again")}
	if got := transcript.Tokens(append(text, "gh"...)); transcript.Len() != 4 || !slices.EqualFunc(got, want, bytes.EqualFold) {
		t.Errorf("%q", got)
	}
}

// FuzzTranscript holds that the frames of the messages carry the text, each
// message its own, whatever was cut where.
func FuzzTranscript(f *testing.F) {
	f.Add([]byte("some text"), []byte{3, 0, 4}, []byte{2, 2})
	f.Fuzz(func(t *testing.T, text, sizes, ends []byte) {
		if len(text) > 2000 || bytes.ContainsAny(text, "\x02\x03\x17") {
			return
		}
		var transcript Transcript
		rest, at := text, 0
		for i := 0; len(rest) > 0; i++ {
			n := len(rest)
			if i < len(sizes) {
				n = min(n, int(sizes[i]))
			}
			frame := Frame{Number: '0' + byte(i%8), Text: rest[:n], End: i%3 == 0}
			transcript.Add(AppendFrame(nil, frame), frame, at, at+n)
			rest, at = rest[n:], at+n
		}
		check := func(tokens [][]byte, message []byte) {
			var joined []byte
			for _, token := range tokens {
				frame, err := ParseFrame(token)
				if err != nil {
					t.Fatal(err)
				}
				joined = append(joined, frame.Text...)
			}
			if !bytes.Equal(joined, message) {
				t.Fatalf("%q has frames with %q", message, joined)
			}
		}
		for _, n := range ends {
			message := text[:min(len(text), int(n))]
			check(transcript.Cut(message), message)
			text = text[len(message):]
		}
		check(transcript.Tokens(text), text)
	})
}
