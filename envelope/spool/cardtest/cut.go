package cardtest

import (
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// sector is what a card writes whole or not at all.
const sector = 512

// Disk is what a card may hold, somewhere in a recording.
//
// It is stricter than file systems are. Of what was not flushed every change
// may be there or not, in any order and from any file, and a write may be torn
// at each sector. A file that was flushed still needs its directory flushed to
// have a name.
type Disk struct {
	recording *Recording
	position  int
	chance    *rand.Rand

	names   map[string]*inode // as the processes see them
	durable map[string]*inode // as they are on the card
	waiting []naming          // not yet flushed
}

type inode struct {
	durable []byte
	waiting []Operation // not yet flushed
}

// naming is one change of the directory.
type naming struct {
	name string
	file *inode // nil: the name goes
	from string // the name that goes in the same step, where it is a rename
}

// Disk returns the card as it was when the recording began. The seed decides
// what is left after a flush that failed.
func (r *Recording) Disk(seed uint64) *Disk {
	d := &Disk{
		recording: r, chance: rand.New(rand.NewPCG(seed, 0)),
		names: map[string]*inode{}, durable: map[string]*inode{},
	}
	for name, content := range r.start {
		d.names[name] = &inode{durable: slices.Clone(content)}
	}
	maps.Copy(d.durable, d.names)
	return d
}

// Advance brings the card to where so many operations are done.
func (d *Disk) Advance(position int) {
	for ; d.position < position; d.position++ {
		d.do(d.recording.Operations[d.position])
	}
}

func (d *Disk) do(o Operation) {
	switch o.Kind {
	case Create:
		d.names[o.Name] = &inode{}
		d.waiting = append(d.waiting, naming{name: o.Name, file: d.names[o.Name]})
	case Write, Truncate:
		file := d.names[o.Name]
		file.waiting = append(file.waiting, o)
	case Sync:
		file := d.names[o.Name]
		for _, change := range file.waiting {
			file.durable = change.apply(file.durable, nil)
		}
		file.waiting = nil
	case SyncFailed:
		file := d.names[o.Name]
		file.durable = file.remains(d.chance)
		file.waiting = nil
	case Delete:
		delete(d.names, o.Name)
		d.waiting = append(d.waiting, naming{name: o.Name})
	case Rename:
		file := d.names[o.Name]
		delete(d.names, o.Name)
		d.names[o.To] = file
		d.waiting = append(d.waiting, naming{name: o.To, file: file, from: o.Name})
	case SyncNames:
		for _, change := range d.waiting {
			change.apply(d.durable)
		}
		d.waiting = nil
	case Mark:
	}
}

func (n naming) apply(names map[string]*inode) {
	delete(names, n.from)
	if n.file == nil {
		delete(names, n.name)
	} else {
		names[n.name] = n.file
	}
}

// apply makes a write or truncation. torn says for each sector of a write
// whether it is left out; nil leaves out none.
func (o Operation) apply(content []byte, torn func() bool) []byte {
	if o.Kind == Truncate {
		return resize(content, int(o.Offset))
	}
	for from := 0; from < len(o.Data); {
		at := int(o.Offset) + from
		to := min(len(o.Data), from+sector-at%sector)
		if torn == nil || !torn() {
			content = resize(content, max(len(content), at+to-from))
			copy(content[at:], o.Data[from:to])
		}
		from = to
	}
	return content
}

func resize(content []byte, size int) []byte {
	if size <= len(content) {
		return content[:size]
	}
	return append(content, make([]byte, size-len(content))...)
}

// remains returns what a file may hold after the power was cut: of what was not
// flushed everything, nothing, or whatever chance will have.
func (f *inode) remains(chance *rand.Rand) []byte {
	content := slices.Clone(f.durable)
	keep := []float64{0, 0.1, 0.5, 0.9, 1}[chance.IntN(5)]
	tear := []float64{0, 0, 0.1, 0.5}[chance.IntN(4)]
	rubbish := chance.IntN(4) == 0
	for _, change := range f.waiting {
		if chance.Float64() >= keep {
			continue
		}
		var torn func() bool
		if chance.Float64() < tear {
			torn = func() bool { return chance.IntN(2) == 0 }
		}
		before := len(content)
		content = change.apply(content, torn)
		// Blocks that were allocated and never written may hold anything.
		if hole := int(change.Offset); rubbish && change.Kind == Write && before < hole && hole <= len(content) {
			fillRandom(content[before:hole], chance)
		}
	}
	return content
}

func fillRandom(b []byte, chance *rand.Rand) {
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
}

// Cut writes to a directory, which it makes, what the card may hold when the
// power is cut now.
func (d *Disk) Cut(directory string, chance *rand.Rand) error {
	names := maps.Clone(d.durable)
	if chance.IntN(2) == 0 { // as file systems with a journal do: in order
		for _, change := range d.waiting[:chance.IntN(len(d.waiting)+1)] {
			change.apply(names)
		}
	} else {
		for _, change := range d.waiting {
			if chance.IntN(2) == 0 {
				change.apply(names)
			}
		}
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if err := os.WriteFile(filepath.Join(directory, name), names[name].remains(chance), 0o600); err != nil {
			return err
		}
		if filepath.Ext(name) == ".db" && chance.IntN(4) == 0 {
			index := make([]byte, 32<<10)
			fillRandom(index, chance)
			if err := os.WriteFile(filepath.Join(directory, name+"-shm"), index, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}
