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
