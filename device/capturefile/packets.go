package capturefile

import (
	"bytes"

	"github.com/assaygate/assaygate/protocols/lis01"
	"github.com/assaygate/assaygate/protocols/vendor"
)

// packetStarts is how many packets of the mini VIDAS and the Spotchem EL data
// can hold.
func packetStarts(data []byte) (n int) {
	for at := 0; ; at++ {
		next := bytes.IndexByte(data[at:], lis01.STX)
		if next < 0 {
			return n
		}
		at += next
		if format, _ := vendor.Opens(data[at:]); format != "" {
			n++
		}
	}
}

// packet takes the packet that data begins with and returns how much of data it
// is. The same one again in a session is a repeat, as it is on a line.
func (s *session) packet(format vendor.Format, data []byte, at int) int {
	s.finish()
	n, packet, _ := vendor.Split(data, true) // its error is always nil
	if n == 0 || !vendor.Whole(packet) {
		if n == 0 {
			n = len(data)
		}
		s.file.broken(at, "a packet without end")
		return n
	}
	content := bytes.TrimRight(packet, "\r\n\x03")
	if s.open && bytes.Equal(content, s.last) {
		return n
	}
	s.last = content
	s.file.vendor(Transmission{Format: format, At: at, Text: packet})
	return n
}

// vendor adds a packet or frame, and says what is wrong with its sum.
func (f *File) vendor(t Transmission) {
	t.Protocol = Vendor
	if err := vendor.Verify(t.Format, t.Text); err != nil {
		if p := f.add(Problem{At: t.At, Frame: true}); p != nil {
			p.Text = err.Error()
		}
	}
	f.Transmissions = append(f.Transmissions, t)
}
