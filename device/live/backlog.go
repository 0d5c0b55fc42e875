package live

// backlog are the last entries of a line, as many as its bound allows.
type backlog struct {
	entries []Entry // oldest first
	last    uint64  // number of the newest entry there ever was
	held    int     // cost of them
	most    int     // bound of that
}

// bound changes how much is held.
func (b *backlog) bound(most int) {
	b.most = most
	b.shrink()
}

// add takes an entry and numbers it. It stays, however long it is.
func (b *backlog) add(e Entry) {
	b.last++
	e.Number = b.last
	b.entries = append(b.entries, e)
	b.held += e.cost()
	b.shrink()
}

// newest is the newest entry, nil for none.
func (b *backlog) newest() *Entry {
	if len(b.entries) == 0 {
		return nil
	}
	return &b.entries[len(b.entries)-1]
}

// goOn adds to the newest entry. Nobody has that yet.
func (b *backlog) goOn(pieces []Piece) {
	e := b.newest()
	b.held -= e.cost()
	e.Pieces, e.Cut = copied(joined(e.Pieces, pieces))
	b.held += e.cost()
	b.shrink()
}

// clear forgets the entries, not how many there were.
func (b *backlog) clear() { b.entries, b.held = nil, 0 }

func (b *backlog) shrink() {
	gone := 0
	for ; b.held > b.most && gone < len(b.entries)-1; gone++ {
		b.held -= b.entries[gone].cost()
		b.entries[gone] = Entry{} // what append moves away from holds nothing
	}
	b.entries = b.entries[gone:]
}

// after returns the entries behind the one with that number, up to so many, and how
// many before these are not there any more.
func (b *backlog) after(number uint64, most int) (list []Entry, lost uint64) {
	if len(b.entries) == 0 || number >= b.last {
		return nil, 0
	}
	first := b.entries[0].Number
	if number+1 < first {
		lost, number = first-number-1, first-1
	}
	list = b.entries[number+1-first:]
	return append([]Entry(nil), list[:min(most, len(list))]...), lost
}
