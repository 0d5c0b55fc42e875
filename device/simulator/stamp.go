package simulator

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/assaygate/assaygate/device/capturefile"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// The fields of an H record and of an MSH segment that are stamped. In both
// the number of a field is one more than that of the delimiters before it.
type headerFields struct{ time, controlID, processingID int }

func fieldsOf(p Protocol) headerFields {
	if p == HL7 {
		return headerFields{time: 7, controlID: 10, processingID: 11}
	}
	return headerFields{time: 14, controlID: 3, processingID: 12}
}

// prepare makes the message ready for the line.
func (m Message) prepare(o Options, now time.Time) (outgoing, error) {
	out := outgoing{protocol: m.Protocol, text: m.Text, frames: m.Frames}
	if m.Protocol == Vendor {
		m.preparePacket(&out, o, now)
		return out, nil
	}
	if !o.Verbatim {
		out.controlID = freshID()
	} else {
		out.controlID = controlIDOf(m)
	}
	stamp := stamper{fields: fieldsOf(m.Protocol), time: now.Format("20060102150405"), controlID: out.controlID, change: o.change}
	if o.Verbatim {
		stamp = stamper{}
	}
	size := o.FrameSize
	if size <= 0 {
		size = lis01.SafeText
	}
	switch {
	case m.Protocol == HL7:
		out.text = stamp.apply(m.Text)
	case len(m.Frames) == 0:
		out.frames = lis01.AppendMessage(nil, stamp.apply(m.Text), size)
	case !o.Verbatim:
		return out, m.stampFrames(&out, stamp, size)
	}
	return out, nil
}

// overhead is what a frame has beside its text.
const overhead = 7

// stampFrames stamps an ASTM capture that has frames of its own. They keep
// their ends, so that the line sees the instrument's own way of cutting, and
// get numbers and checksums anew. Where the cut goes through the header, or the
// stamped header makes a frame too long, the text is cut anew.
func (m Message) stampFrames(out *outgoing, stamp stamper, size int) error {
	longest := 0
	for _, raw := range m.Frames {
		longest = max(longest, len(raw)-overhead)
	}
	size = max(size, longest)
	room := size // an instrument with longer frames than the safe ones has no such limit
	if longest > lis01.SafeText {
		room = lis01.MaxText
	}
	var frames [][]byte
	atStart := true // the frame begins with a record
	for i, raw := range m.Frames {
		frame, err := lis01.ParseFrame(raw)
		if err != nil && !errors.Is(err, lis01.ErrChecksum) {
			return fmt.Errorf("frame %d of the capture: %w", i+1, err)
		}
		ends := frame.End || bytes.HasSuffix(frame.Text, []byte("\r"))
		last := frame.Text[bytes.LastIndexByte(bytes.TrimSuffix(frame.Text, []byte("\r")), '\r')+1:]
		if !ends && capturefile.IsHeader(last) {
			out.frames = lis01.AppendMessage(nil, stamp.apply(m.Text), size)
			return nil
		}
		rest := 0 // of a record that began in the frame before
		if !atStart {
			rest = bytes.IndexByte(frame.Text, '\r') + 1
			if rest == 0 {
				rest = len(frame.Text)
			}
		}
		frame.Text = append(stamp.changed(frame.Text[:rest]), stamp.apply(frame.Text[rest:])...)
		if len(frame.Text) > room {
			out.frames = lis01.AppendMessage(nil, stamp.apply(m.Text), size)
			return nil
		}
		frame.Number = '0' + byte((i+1)%8)
		frames = append(frames, lis01.AppendFrame(nil, frame))
		atStart = ends
	}
	out.frames = frames
	return nil
}

// stamper puts new values into the headers of a text. The zero value changes
// nothing.
type stamper struct {
	fields    headerFields
	time      string
	controlID string
	change    func([]byte) []byte
}

func (s stamper) changed(text []byte) []byte {
	if s.change == nil {
		return bytes.Clone(text)
	}
	return s.change(text)
}

// apply returns the text with every header stamped. All other bytes, the ends
// of records among them, stay.
func (s stamper) apply(text []byte) []byte {
	if s.fields.time == 0 {
		return text
	}
	var out []byte
	for len(text) > 0 {
		end := bytes.IndexAny(text, "\r\n")
		if end < 0 {
			end = len(text)
		}
		if record := text[:end]; capturefile.IsHeader(record) || bytes.HasPrefix(record, []byte("MSH")) && len(record) > 4 {
			out = append(out, s.header(record)...)
		} else {
			out = append(out, record...)
		}
		rest := text[end:]
		ends := rest[:len(rest)-len(bytes.TrimLeft(rest, "\r\n"))]
		out = append(out, ends...)
		text = rest[len(ends):]
	}
	return s.changed(out)
}

// header returns an H record or MSH segment with the new values. A time stands
// only where the header has room for one; processing id and control id are put
// in where they were left out.
func (s stamper) header(record []byte) []byte {
	delimiter := delimiterOf(record)
	fields := bytes.Split(record, []byte{delimiter})
	for len(fields) < s.fields.processingID {
		fields = append(fields, nil)
	}
	if len(fields) >= s.fields.time {
		fields[s.fields.time-1] = []byte(s.time)
	}
	fields[s.fields.controlID-1] = []byte(s.controlID)
	// MSH-11 may have a processing mode as its second component.
	id := fields[s.fields.processingID-1]
	mode := len(id)
	if record[0] == 'M' {
		if i := bytes.IndexByte(id, record[4]); i >= 0 {
			mode = i
		}
	}
	fields[s.fields.processingID-1] = append([]byte("T"), id[mode:]...)
	return bytes.Join(fields, []byte{delimiter})
}

// delimiterOf returns the field delimiter of an H record or MSH segment.
func delimiterOf(header []byte) byte {
	if header[0] == 'M' {
		return header[3]
	}
	return header[1]
}

// controlIDOf returns the control id that stands in a message's first header.
func controlIDOf(m Message) string {
	header := bytes.TrimLeft(m.Text, " \t\r\n\x00\x02")
	if end := bytes.IndexAny(header, "\r\n"); end >= 0 {
		header = header[:end]
	}
	if len(header) < 4 {
		return ""
	}
	fields := bytes.Split(header, []byte{delimiterOf(header)})
	if n := fieldsOf(m.Protocol).controlID; n <= len(fields) {
		return string(fields[n-1])
	}
	return ""
}
