package capturefile

import (
	"bytes"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/lis02"
)

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
	var frames lis01.Transcript
	for _, frame := range t.Frames {
		parsed, _ := lis01.ParseFrame(frame.Token)
		before := len(joined.Rest())
		joined.Add(parsed.Text, parsed.End)
		after := len(joined.Rest())
		frames.Add(frame.Token, parsed, max(before, after-len(parsed.Text)), after)
		for message, found := joined.Next(); found; message, found = joined.Next() {
			list = append(list, Message{Text: message, Frames: frames.Cut(message)})
		}
		if len(joined.Rest()) == 0 {
			frames = lis01.Transcript{}
		}
	}
	if rest := joined.Rest(); len(rest) > 0 {
		list = append(list, Message{Text: bytes.Clone(rest), Frames: frames.Tokens(rest)})
	}
	return list
}
