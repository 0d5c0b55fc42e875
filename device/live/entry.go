package live

import (
	"fmt"
	"time"
)

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

	epoch uint32 // of its line
}

// Mark is what to subscribe with in order to go on behind the entry.
func (e Entry) Mark() string { return fmt.Sprintf("%08x-%d", e.epoch, e.Number) }

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

const (
	// A serial port gives a frame in reads of a few bytes each. What comes within
	// goesOnFor of the first of them is one entry, up to mostJoined bytes.
	goesOnFor  = 200 * time.Millisecond
	mostJoined = 1 << 10
)

// goesOn reports whether what another entry has moved goes on with this one.
func (e *Entry) goesOn(next Entry, pieces []Piece) bool {
	if e.Kind != next.Kind || e.Opening != next.Opening || e.Cut > 0 {
		return false
	}
	if late := next.At.Sub(e.At); late < 0 || late > goesOnFor {
		return false
	}
	size := 0
	for _, list := range [][]Piece{e.Pieces, pieces} {
		for _, p := range list {
			size += len(p.Bytes) + p.Hidden
		}
	}
	return size <= mostJoined && len(e.Pieces)+len(pieces) <= mostPieces
}

// joined are both lists, in which what goes on is one piece.
func joined(a, b []Piece) []Piece {
	list := append([]Piece(nil), a...)
	for _, p := range b {
		switch last := len(list) - 1; {
		case last < 0:
		case list[last].Hidden == 0 && p.Hidden == 0 && list[last].Digest == "" && p.Digest == "":
			list[last].Bytes = append(list[last].Bytes[:len(list[last].Bytes):len(list[last].Bytes)], p.Bytes...)
			continue
		case list[last].Hidden > 0 && p.Hidden > 0 && list[last].Digest == "":
			list[last].Hidden += p.Hidden
			list[last].Digest = p.Digest
			continue
		}
		list = append(list, p)
	}
	return list
}

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
	cost := entryCost + len(e.Pieces)*pieceCost + len(e.Text)
	for _, p := range e.Pieces {
		cost += len(p.Bytes) + len(p.Digest)
	}
	return cost
}
