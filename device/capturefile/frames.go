package capturefile

import (
	"bytes"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/lis02"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// frames makes a transmission from each session, and from each packet. A file
// without ENQ and EOT shows a new session by frame number 1 with an H record.
func (f *File) frames(data []byte, base int) {
	starts, packets := bytes.Count(data, []byte{lis01.STX}), packetStarts(data)
	f.expect(min(starts, bytes.Count(data, []byte{lis01.ENQ})+bytes.Count(data, []byte{lis01.EOT})+bytes.Count(data, []byte("\x021H"))+packets+1))
	s := session{file: f, all: make([]Frame, 0, starts-packets)}
	for at := 0; at < len(data); {
		if format := s.opens(data[at:]); format != "" {
			at += s.packet(format, data[at:], base+at)
			continue
		}
		advance, token, _ := lis01.Split(data[at:], true) // its error is always nil
		skipped := data[at : at+advance-len(token)]
		switch n := lis01.Junk(skipped); {
		case advance == 0:
			s.unread(base+at, data[at:], "a frame without end")
			advance = len(data) - at
		case n > 0 && skipped[0] == lis01.STX:
			s.unread(base+at, skipped, "a frame without end")
		case IsHeader(bytes.TrimLeft(skipped, "\r\n\x00 ")):
			f.broken(base+at, "a message outside any frame")
		case n > 0:
			f.doubtful(base+at, "%d bytes outside any frame", n)
		}
		at += advance
		switch {
		case len(token) == 1 && (token[0] == lis01.ENQ || token[0] == lis01.EOT):
			s.finish()
			s.open, s.last = token[0] == lis01.ENQ, nil
		case len(token) > 1:
			at -= len(token)
			at += s.token(token, upToNext(data[at:]), base+at)
		}
	}
	s.finish()
}

// upToNext is data, which begins with STX, up to the next one.
func upToNext(data []byte) []byte {
	if next := bytes.IndexByte(data[1:], lis01.STX); next >= 0 {
		return data[:1+next]
	}
	return data
}

// session is a transmission on its way.
type session struct {
	file *File
	all  []Frame // of the file; those of this session from here on
	from int
	open bool   // there was an ENQ
	last []byte // packet of this session
	part part
}

// part is what there is of a frame that cannot be read. Its sender may have
// repeated it.
type part struct {
	at   int
	text []byte
	why  string
}

// token takes the frame that data begins with, and returns how much of data it
// is.
func (s *session) token(token, data []byte, at int) int {
	frame, n, err := newFrame(token, data, at)
	if err != nil {
		name := "without number"
		if len(token) > 1 && token[1] >= '0' && token[1] <= '9' {
			name = string(token[1:2])
		}
		s.unread(at, token, "frame "+name+": "+err.Error())
		return n
	}
	if s.begins(frame) {
		s.finish()
	}
	s.settle(&frame)
	// A repeat takes the place of what it repeats.
	if s.repeats(frame) {
		s.all = s.all[:len(s.all)-1]
	}
	s.all = append(s.all, frame)
	return n
}

// unread notes what cannot be read. It is a problem unless the next frame is the
// same again.
func (s *session) unread(at int, text []byte, why string) {
	s.settle(nil)
	s.part = part{at, text, why}
}

// settle says that a part could not be read, unless a frame is all of it.
func (s *session) settle(by *Frame) {
	p := s.part
	s.part = part{}
	if p.text == nil || by != nil && by.Err == nil && (isPartOf(p.text, by.Token) || likely(p.text, by.Token)) {
		return
	}
	s.file.broken(p.at, p.why)
}

// isPartOf reports whether a token goes on as part does, whatever was made of
// the ends of its lines. Frames with the same number, and not only that, are the
// same frame.
func isPartOf(part, token []byte) bool {
	seen := 0
	at := 0
	for _, c := range part {
		if c == lis01.CR || c == lis01.LF {
			continue
		}
		for at < len(token) && (token[at] == lis01.CR || token[at] == lis01.LF) {
			at++
		}
		if at == len(token) || token[at] != c {
			return false
		}
		at++
		seen++
	}
	return seen > len("\x021H")
}

// begins reports whether a frame is the first one of another session.
func (s *session) begins(frame Frame) bool {
	text, _ := frame.text()
	return frame.Err == nil && frame.Token[1] == '1' && IsHeader(text) && len(s.all) > s.from && !s.repeats(frame)
}

// repeats reports whether a frame is the last one again: its bytes, or what
// they were before the line damaged them.
func (s *session) repeats(frame Frame) bool {
	if len(s.all) == s.from {
		return false
	}
	last := s.all[len(s.all)-1]
	if bytes.Equal(bytes.TrimRight(last.Token, "\r\n"), bytes.TrimRight(frame.Token, "\r\n")) {
		return true
	}
	return last.Err != nil && frame.Err == nil && likely(last.Token, frame.Token)
}

// likely reports whether a damaged frame was a sound one: one as long, with the
// same number.
func likely(damaged, sound []byte) bool {
	a, b := bytes.TrimRight(damaged, "\r\n"), bytes.TrimRight(sound, "\r\n")
	return len(a) == len(b) && len(a) > 1 && a[1] == b[1]
}

// finish makes a transmission of the frames so far.
func (s *session) finish() {
	s.settle(nil)
	frames := s.all[s.from:len(s.all):len(s.all)]
	s.from = len(s.all)
	if len(frames) == 0 {
		return
	}
	size := 0
	for _, frame := range frames {
		size += len(frame.Token)
	}
	text := make([]byte, 0, size)
	var joined lis02.Joiner
	for i := range frames {
		frame := &frames[i]
		part, end := frame.text()
		before := len(joined.Rest())
		joined.Add(part, end)
		if len(joined.Rest())-before > len(part) {
			text = append(text, lis01.CR) // it ends a record whose sender leaves it out
		}
		for _, found := joined.Next(); found; _, found = joined.Next() {
		}
		frame.In = len(text)
		text = append(text, part...)
		if frame.Err != nil {
			if p := s.file.add(Problem{At: frame.At, Frame: true}); p != nil {
				p.Text = "frame " + frame.Name() + ": " + frame.Err.Error()
			}
		}
	}
	s.file.Transmissions = append(s.file.Transmissions, Transmission{Protocol: ASTM, At: frames[0].At, Text: text, Frames: frames})
}

// opens tells the format of the packet that data begins with. A Spotchem's
// cannot be told from a frame within a session, and none sends so.
func (s *session) opens(data []byte) vendor.Format {
	format, _ := vendor.Opens(data)
	if format == vendor.SpotchemEL && s.open {
		return ""
	}
	return format
}
