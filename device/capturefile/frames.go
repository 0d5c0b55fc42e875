package capturefile

import (
	"bytes"
	"errors"
	"unicode/utf8"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/lis02"
)

// frames makes a transmission from each session. A file without ENQ and EOT
// shows a new one by frame number 1 with an H record.
func (f *File) frames(data []byte, base int) {
	var s session
	finish := func() {
		if t, problems := s.end(); len(t.Frames) > 0 {
			f.Transmissions = append(f.Transmissions, t)
			f.Problems = append(f.Problems, problems...)
		}
		s = session{}
	}
	for at := 0; at < len(data); {
		advance, token, _ := lis01.Split(data[at:], true) // its error is always nil
		if advance == 0 {
			if lis01.Junk(data[at:]) > 0 {
				finish()
				f.broken(base+at, "a frame without end")
			}
			break
		}
		skipped := data[at : at+advance-len(token)]
		switch n := lis01.Junk(skipped); {
		case n > 0 && skipped[0] == lis01.STX:
			f.broken(base+at, "a frame without end")
		case n > 0:
			f.doubtful(base+at, "%d bytes outside any frame", n)
		}
		at += advance
		switch {
		case len(token) == 1 && (token[0] == lis01.ENQ || token[0] == lis01.EOT):
			finish()
		case len(token) > 1:
			frame := newFrame(token, base+at-len(token))
			if s.begins(frame) {
				finish()
			}
			s.add(frame)
		}
	}
	finish()
}

// newFrame judges a token.
func newFrame(token []byte, at int) Frame {
	_, err := lis01.ParseFrame(token)
	if !errors.Is(err, lis01.ErrChecksum) {
		return Frame{At: at, Token: token, Err: err}
	}
	if latin, ok := latin1(token); ok {
		if _, wrong := lis01.ParseFrame(latin); wrong == nil {
			return Frame{At: at, Token: latin, Restored: true}
		}
	}
	return Frame{At: at, Token: token, Err: err}
}

// latin1 gives text back that was ISO 8859-1 and was written as UTF-8.
func latin1(text []byte) ([]byte, bool) {
	if !utf8.Valid(text) {
		return nil, false
	}
	out := make([]byte, 0, len(text))
	for _, r := range string(text) {
		if r > 0xFF {
			return nil, false
		}
		out = append(out, byte(r))
	}
	return out, len(out) < len(text)
}

// session is a transmission on its way.
type session struct{ frames []Frame }

// begins reports whether a frame is the first one of another session.
func (s *session) begins(frame Frame) bool {
	parsed, err := lis01.ParseFrame(frame.Token)
	return err == nil && parsed.Number == '1' && isHeader(parsed.Text) && len(s.frames) > 0 && !s.repeats(frame)
}

// repeats reports whether a frame is the last one again: its bytes, or what
// they were before the line damaged them.
func (s *session) repeats(frame Frame) bool {
	if len(s.frames) == 0 {
		return false
	}
	last := s.frames[len(s.frames)-1]
	a, b := bytes.TrimRight(last.Token, "\r\n"), bytes.TrimRight(frame.Token, "\r\n")
	if bytes.Equal(a, b) {
		return true
	}
	return last.Err != nil && frame.Err == nil && len(a) == len(b) && len(a) > 1 && a[1] == b[1]
}

// add takes a frame. A repeat takes the place of what it repeats.
func (s *session) add(frame Frame) {
	if s.repeats(frame) {
		s.frames = s.frames[:len(s.frames)-1]
	}
	s.frames = append(s.frames, frame)
}

// end joins the session.
func (s *session) end() (t Transmission, problems []Problem) {
	if len(s.frames) == 0 {
		return Transmission{}, nil
	}
	t = Transmission{Protocol: ASTM, At: s.frames[0].At, Frames: s.frames}
	for _, frame := range s.frames {
		parsed, _ := lis01.ParseFrame(frame.Token) // a malformed one may be empty
		t.Text = append(t.Text, parsed.Text...)
		if frame.Err != nil {
			problems = append(problems, Problem{
				At: frame.At, Text: "frame " + frame.Name() + ": " + frame.Err.Error(),
				Broken: errors.Is(frame.Err, lis01.ErrMalformed), Frame: true,
			})
		}
	}
	return t, problems
}

// Name is the frame's number for people, as far as it has one.
func (f Frame) Name() string {
	if len(f.Token) > 1 && f.Token[1] >= '0' && f.Token[1] <= '9' {
		return string(f.Token[1:2])
	}
	return "without number"
}

// Message is one message of a transmission.
type Message struct {
	Text   []byte
	Frames [][]byte // ASTM: as a sender of this message alone has them
}

// Messages cuts a transmission into its messages: an HL7 one is a message, an
// ASTM session may hold several. A frame that holds the end of one and the start
// of the next is made two; bare records are put into frames.
func (t Transmission) Messages() (list []Message) {
	if t.Protocol != ASTM {
		return []Message{{Text: t.Text}}
	}
	if len(t.Frames) == 0 {
		for text := t.Text; len(text) > 0; {
			message, rest, found := lis02.Cut(text)
			if !found {
				message, rest = text, nil
			}
			list = append(list, Message{Text: message, Frames: lis01.AppendMessage(nil, message, 0)})
			text = rest
		}
		return list
	}
	var joined lis02.Joiner
	var frames [][]byte
	for _, frame := range t.Frames {
		parsed, _ := lis01.ParseFrame(frame.Token)
		before := len(joined.Rest())
		joined.Add(parsed.Text, parsed.End)
		whole := true // the frame is of one message only, so far
		for message, found := joined.Next(); found; message, found = joined.Next() {
			last := frame.Token
			if !whole || len(joined.Rest()) > 0 {
				last = lis01.AppendFrame(nil, lis01.Frame{Number: parsed.Number, Text: message[before:], End: true})
			}
			list = append(list, Message{Text: message, Frames: append(frames, last)})
			frames, before, whole = nil, 0, false
		}
		switch rest := joined.Rest(); {
		case len(rest) == 0:
		case whole:
			frames = append(frames, frame.Token)
		default:
			frames = [][]byte{lis01.AppendFrame(nil, lis01.Frame{Number: parsed.Number, Text: rest, End: parsed.End})}
		}
	}
	if rest := joined.Rest(); len(rest) > 0 {
		list = append(list, Message{Text: bytes.Clone(rest), Frames: frames})
	}
	return list
}
