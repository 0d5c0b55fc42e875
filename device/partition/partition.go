// Package partition lets the last partition of a card grow to the card's end.
//
// It knows the GUID Partition Table of UEFI 2.10, chapter 5: a header in the
// second sector and a table of entries behind it, and a copy of both at the end
// of the disk, entries first. It changes nothing but the end of one partition and
// the place of that copy. What the first sector says, which a board's firmware reads
// too, stays as it is; a card may write it again, as it is, with its neighbours.
//
// A power cut at any moment leaves one of the two whole: the copy is written and
// synced before the first is touched. Linux looks at the copy only with the kernel
// argument gpt.
package partition

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Disk is where a table is read from and written to: an *os.File.
type Disk interface {
	io.ReaderAt
	io.WriterAt
	Sync() error
}

// Table is the partition table of a disk.
type Table struct {
	sector  int64 // bytes of one
	sectors int64 // of the disk
	head    []byte
	entries []byte
	each    int64 // bytes of one entry
	at      int64 // sector of the first entries, wherever they were read from
}

// Entry is one partition, in sectors. Last belongs to it.
type Entry struct {
	First, Last int64
}

const (
	signature  = "EFI PART"
	headerSize = 92
	leastEntry = 128
	// mostEntries bounds, in bytes, what is read on the word of a header.
	mostEntries = 1 << 20
)

// Places in a header, and in an entry.
const (
	offHeaderSize  = 12
	offHeaderCRC   = 16
	offOwn         = 24
	offOther       = 32
	offLastUsable  = 48
	offEntries     = 72
	offCount       = 80
	offEach        = 84
	offEntriesCRC  = 88
	offEntryFirst  = 32
	offEntryLast   = 40
	offEntryName   = 56 // in UTF-16, up to offEntryName + sizeEntryName
	sizeEntryName  = 72
	firstHeader    = 1
	primaryEntries = 2
)

// ErrNone says that a disk has no table, or none that is whole.
var ErrNone = errors.New("there is no sound partition table (GPT)")

// Read reads the table of a disk of so many bytes, with sectors of so many. Where
// the first one is spoilt it takes the copy at the end of the disk.
func Read(d Disk, size, sector int64) (*Table, error) {
	if sector < 512 || size < 1<<20 {
		return nil, ErrNone
	}
	last := size/sector - 1
	first, err := read(d, sector, last, firstHeader)
	if err == nil {
		return first, nil
	}
	second, worse := read(d, sector, last, last)
	if worse == nil {
		return second, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrNone, errors.Join(err, worse))
}

// read reads one of the two.
func read(d Disk, sector, last, at int64) (*Table, error) {
	head := make([]byte, sector)
	if _, err := d.ReadAt(head, at*sector); err != nil {
		return nil, fmt.Errorf("sector %d: %w", at, err)
	}
	le := binary.LittleEndian
	size := int64(le.Uint32(head[offHeaderSize:]))
	if string(head[:len(signature)]) != signature || size < headerSize || size > sector {
		return nil, fmt.Errorf("sector %d is no header", at)
	}
	if want := le.Uint32(head[offHeaderCRC:]); headerSum(head[:size]) != want {
		return nil, fmt.Errorf("the header in sector %d has another checksum than it says", at)
	}
	count, each := int64(le.Uint32(head[offCount:])), int64(le.Uint32(head[offEach:]))
	table := int64(le.Uint64(head[offEntries:]))
	if int64(le.Uint64(head[offOwn:])) != at || each < leastEntry || each > sector || count < 1 || count*each > mostEntries || table < 0 || table > last {
		return nil, fmt.Errorf("the header in sector %d says what cannot be", at)
	}
	entries := make([]byte, count*each)
	if _, err := d.ReadAt(entries, table*sector); err != nil {
		return nil, fmt.Errorf("entries in sector %d: %w", table, err)
	}
	if crc32.ChecksumIEEE(entries) != le.Uint32(head[offEntriesCRC:]) {
		return nil, fmt.Errorf("the entries in sector %d have another checksum than their header says", table)
	}
	t := &Table{sector: sector, sectors: last + 1, head: head[:size:size], entries: entries, each: each, at: primaryEntries}
	if at == firstHeader {
		t.at = table
	}
	for n := 1; n <= int(count); n++ {
		if e, used := t.Entry(n); used && (e.First < t.at || e.Last < e.First || e.Last > last) {
			return nil, fmt.Errorf("partition %d, sectors %d to %d, is not on this disk of %d sectors", n, e.First, e.Last, t.sectors)
		}
	}
	return t, nil
}

// headerSum is the checksum of a header, of which the checksum itself is not part.
func headerSum(head []byte) uint32 {
	bare := bytes.Clone(head)
	clear(bare[offHeaderCRC : offHeaderCRC+4])
	return crc32.ChecksumIEEE(bare)
}

func (t *Table) entry(number int) []byte {
	from := int64(number-1) * t.each
	if number < 1 || from >= int64(len(t.entries)) {
		return nil
	}
	return t.entries[from : from+t.each]
}

// Entry returns a partition by its number, from 1 on, and whether there is one.
func (t *Table) Entry(number int) (e Entry, used bool) {
	raw := t.entry(number)
	if raw == nil || bytes.Equal(raw[:16], make([]byte, 16)) {
		return Entry{}, false
	}
	return Entry{
		First: int64(binary.LittleEndian.Uint64(raw[offEntryFirst:])),
		Last:  int64(binary.LittleEndian.Uint64(raw[offEntryLast:])),
	}, true
}

// Holds reports whether there is a partition with this name, of plain letters.
func (t *Table) Holds(name string) bool {
	want := make([]byte, sizeEntryName)
	for i, letter := range []byte(name[:min(len(name), sizeEntryName/2)]) {
		want[2*i] = letter
	}
	for n := range t.used {
		if bytes.Equal(t.entry(n)[offEntryName:offEntryName+sizeEntryName], want) {
			return true
		}
	}
	return false
}

// used calls yield for each partition.
func (t *Table) used(yield func(number int, e Entry) bool) {
	for n := 1; t.entry(n) != nil; n++ {
		if e, used := t.Entry(n); used && !yield(n, e) {
			return
		}
	}
}

// entrySectors is how many sectors the entries take.
func (t *Table) entrySectors() int64 { return (int64(len(t.entries)) + t.sector - 1) / t.sector }

// Gap reports whether a stretch of bytes lies behind the table and before all
// partitions.
func (t *Table) Gap(offset, length int64) bool {
	from, to := offset/t.sector, (offset+length-1)/t.sector
	gap := from >= t.at+t.entrySectors()
	for _, e := range t.used {
		gap = gap && to < e.First
	}
	return gap
}
