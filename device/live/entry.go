package live

import "time"

// Kind is what an entry tells of.
type Kind string

// The kinds.
const (
	Received Kind = "received" // bytes from the instrument
	Sent     Kind = "sent"     // bytes to the instrument
	Timer    Kind = "timer"    // a timer starts or runs out
	Note     Kind = "note"     // what the box decided, and beginning and end of an opening
)

// Entry is one thing that happened on a line. It is not to be changed.
type Entry struct {
	Number uint64 // of the line's entries, in their order, without gaps
	At     time.Time
	Kind   Kind
	// Opening and Remote say which opening of the line it is of.
	Opening uint64
	Remote  string
	Pieces  []Piece // of what was received or sent
	Text    string  // of a timer or note
	Cut     int     // bytes that stood behind the pieces and were too many to keep
}

// Piece is a part of what was moved.
type Piece struct {
	Bytes  []byte
	Hidden int    // how many bytes are left out in place of Bytes
	Digest string // of the text of the frame or block that ends here; "" for none
}

const (
	// mostEntry is how many bytes of one entry are kept, and mostPieces in how many
	// pieces: an image of some megabytes tells nobody anything.
	mostEntry  = 8 << 10
	mostPieces = 256
	// entryCost and pieceCost are what an entry and a piece take beside their bytes,
	// about.
	entryCost = 160
	pieceCost = 48
)

// copied returns pieces that do not share memory with those, and how many bytes
// were too many.
func copied(pieces []Piece) (own []Piece, cut int) {
	size := 0
	for i, p := range pieces {
		if i < mostPieces {
			size += len(p.Bytes)
		}
	}
	buffer := make([]byte, 0, min(size, mostEntry))
	own = make([]Piece, 0, min(len(pieces), mostPieces))
	for _, p := range pieces {
		room := cap(buffer) - len(buffer)
		switch {
		case cut > 0 || len(own) == mostPieces:
			cut += len(p.Bytes) + p.Hidden
			continue
		case len(p.Bytes) > room:
			cut += len(p.Bytes) - room
			p.Bytes, p.Digest = p.Bytes[:room], ""
		}
		from := len(buffer)
		buffer = append(buffer, p.Bytes...)
		p.Bytes = buffer[from:len(buffer):len(buffer)]
		own = append(own, p)
	}
	return own, cut
}

// cost is about how much memory an entry takes.
func (e Entry) cost() int {
	cost := entryCost + len(e.Pieces)*pieceCost
	for _, p := range e.Pieces {
		cost += len(p.Bytes) + len(p.Digest)
	}
	return cost
}
