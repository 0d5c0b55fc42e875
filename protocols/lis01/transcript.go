package lis01

import "slices"

// Transcript is the accepted frames that a text was joined from, so that each
// message of a session can be kept with its own. The zero value is empty.
//
// A copy that was made before Add or Cut stays as it was: whoever could not
// store what came goes back to it.
type Transcript struct {
	frames []carried
	cut    int // bytes of the text that were taken off: places count from before them
}

// carried is a frame with the place of what it carries.
type carried struct {
	token    []byte // nil for the rest of a frame that a message ended in
	number   byte
	end      bool
	from, to int
}

// Add adds a frame as received, which carries the joined text from from up to
// to. The Transcript keeps the token.
func (t *Transcript) Add(token []byte, f Frame, from, to int) {
	t.frames = append(t.frames, carried{token, f.Number, f.End, t.cut + from, t.cut + to})
}

// Cut takes off the frames that carry a message, with which the joined text
// begins. They are as received, but for one that carries more than the end of
// the message: it is made two, and the first is an end frame.
func (t *Transcript) Cut(message []byte) [][]byte {
	end := t.cut + len(message)
	n := 0
	for n < len(t.frames) && t.frames[n].to <= end {
		n++
	}
	tokens := make([][]byte, 0, n+1)
	for i, f := range t.frames[:n] {
		f.end = f.end || i == n-1
		tokens = append(tokens, f.encode(message, t.cut))
	}
	rest := slices.Clone(t.frames[n:])
	if n < len(t.frames) && rest[0].from < end {
		first := rest[0]
		first.token, first.end, first.to = nil, true, end
		tokens = append(tokens, first.encode(message, t.cut))
		rest[0].token, rest[0].from = nil, end
	}
	t.frames, t.cut = rest, end
	return tokens
}

// Tokens returns the frames that carry text, which is all the joined text that
// was not taken off.
func (t *Transcript) Tokens(text []byte) [][]byte {
	tokens := make([][]byte, 0, len(t.frames))
	for _, f := range t.frames {
		tokens = append(tokens, f.encode(text, t.cut))
	}
	return tokens
}

// Len returns how many frames there are.
func (t *Transcript) Len() int { return len(t.frames) }

// encode returns the frame as received, or, of one that was made two, its part
// of text, which begins at a place.
func (c carried) encode(text []byte, at int) []byte {
	if c.token != nil {
		return c.token
	}
	return AppendFrame(nil, Frame{Number: c.number, Text: text[c.from-at : c.to-at], End: c.end})
}
