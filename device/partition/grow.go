package partition

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// align is where a partition ends, in bytes: what cards erase at once is a
// multiple of it, and a partition does not grow for less.
const align = 1 << 20

// Grow has a partition reach to the next one, or to the end of the disk, and
// returns by how many bytes it has grown; 0 where there is nothing to gain.
// Nothing is written.
func (t *Table) Grow(number int) (gained int64, err error) {
	mine, used := t.Entry(number)
	if !used {
		return 0, fmt.Errorf("the disk has no partition %d", number)
	}
	end := t.lastUsable() + 1
	for n, e := range t.used {
		if e.Last >= end && e.First <= mine.Last {
			return 0, fmt.Errorf("partition %d reaches to where the copy of the partition table belongs: this disk is smaller than the image", n)
		}
		if n != number && e.First <= mine.Last && e.Last >= mine.First {
			return 0, fmt.Errorf("partitions %d and %d lie one over the other", number, n)
		}
		if e.First > mine.Last {
			end = min(end, e.First)
		}
	}
	end -= end % max(1, align/t.sector)
	if end <= mine.Last+1 {
		return 0, nil
	}
	binary.LittleEndian.PutUint64(t.entry(number)[offEntryLast:], uint64(end-1))
	return (end - 1 - mine.Last) * t.sector, nil
}

// lastUsable is the last sector before the copy, where that is at the end of the
// disk.
func (t *Table) lastUsable() int64 { return t.sectors - 1 - t.entrySectors() - 1 }

// Write writes what the disk has otherwise: first the copy at its end, and when
// that is safe the table itself. It reports whether it wrote anything.
func (t *Table) Write(d Disk) (wrote bool, err error) {
	last := t.sectors - 1
	for _, one := range []struct{ own, other, entries int64 }{
		{last, firstHeader, last - t.entrySectors()},
		{firstHeader, last, t.at},
	} {
		written, err := t.put(d, one.own, one.other, one.entries)
		wrote = wrote || written
		if err != nil {
			return wrote, fmt.Errorf("writing the partition table: %w", err)
		}
	}
	return wrote, nil
}

func (t *Table) put(d Disk, own, other, entries int64) (wrote bool, err error) {
	le, head := binary.LittleEndian, bytes.Clone(t.head)
	le.PutUint64(head[offOwn:], uint64(own))
	le.PutUint64(head[offOther:], uint64(other))
	le.PutUint64(head[offLastUsable:], uint64(t.lastUsable()))
	le.PutUint64(head[offEntries:], uint64(entries))
	le.PutUint32(head[offEntriesCRC:], crc32.ChecksumIEEE(t.entries))
	le.PutUint32(head[offHeaderCRC:], headerSum(head))
	for _, part := range []struct {
		data   []byte
		sector int64
	}{{t.entries, entries}, {head, own}} {
		is := make([]byte, len(part.data))
		if _, err := d.ReadAt(is, part.sector*t.sector); err == nil && bytes.Equal(is, part.data) {
			continue
		}
		wrote = true
		if _, err := d.WriteAt(part.data, part.sector*t.sector); err != nil {
			return wrote, err
		}
	}
	if !wrote {
		return false, nil
	}
	return true, d.Sync()
}
