package live

import "time"

// Counters are what has gone over a line since it was first expected, which is
// since the start or since it came into the configuration. They tell "no byte ever
// came" from "bytes, but no ENQ", and that from "ENQ, but no frame".
type Counters struct {
	Since      time.Time
	Opened     uint64    // how often the line was opened
	Ended      uint64    // how often one of these ended
	LastOpened time.Time // zero: never
	OpenedBy   string    // the remote of that: the peer's address, or the port's name
	LastEnded  time.Time // zero: never
	EndedBy    string    // the remote of that

	Received, Sent Traffic
}

// Traffic is what has gone over a line in one direction: bytes, and those of them
// that steer it, wherever they stood.
type Traffic struct {
	Bytes uint64
	Last  time.Time // of the last byte; zero: none

	ENQ, STX, ETX, ETB, EOT, ACK, NAK uint64
	VT, FS                            uint64 // start and end of an MLLP block
	// Odd are bytes above 7 bits, and NUL. A text has few of them; a line whose speed
	// is another than the instrument's has little else.
	Odd uint64
}

// count counts what was moved.
func (t *Traffic) count(at time.Time, pieces []Piece) {
	for _, p := range pieces {
		t.Bytes += uint64(len(p.Bytes) + p.Hidden)
		for _, c := range p.Bytes {
			switch {
			case c == 0 || c >= 0x80:
				t.Odd++
			case c <= lastControl:
				t.countControl(c)
			}
		}
	}
	t.Last = at
}

// lastControl is the last of the characters that are counted.
const lastControl = 0x1c

func (t *Traffic) countControl(c byte) {
	switch c {
	case 0x02:
		t.STX++
	case 0x03:
		t.ETX++
	case 0x04:
		t.EOT++
	case 0x05:
		t.ENQ++
	case 0x06:
		t.ACK++
	case 0x0b:
		t.VT++
	case 0x15:
		t.NAK++
	case 0x17:
		t.ETB++
	case lastControl:
		t.FS++
	}
}
