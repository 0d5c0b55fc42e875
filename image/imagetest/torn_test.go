package imagetest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
)

// tornCase: the power was cut while the partition table was written, so that its first half is none. The box boots by the
// copy at the card's end, and writes the first one anew.
func (b *box) tornCase() error {
	if err := b.three(b.overLAN); err != nil {
		return err
	}
	before, err := partitions(b.card)
	if err != nil {
		return err
	}
	whole, err := b.tableStart()
	if err != nil {
		return err
	}
	b.off()
	if err := b.zero(sector, 33*sector); err != nil { // header and entries
		return err
	}
	if err := b.up(); err != nil {
		return err
	}
	if err := errors.Join(b.three(b.overLAN), b.sound()); err != nil {
		return err
	}
	if now, err := b.tableStart(); err != nil || !slices.Equal(now, whole) {
		return fmt.Errorf("the first half was not written anew as it was (%v)", err)
	}
	after, err := partitions(b.card)
	if err != nil || !maps.Equal(before, after) {
		return fmt.Errorf("the partitions are %v, and were %v (%v)", after, before, err)
	}
	return nil
}

// tableStart is the partition table at the start of the card.
func (b *box) tableStart() ([]byte, error) {
	card, err := os.Open(b.card)
	if err != nil {
		return nil, err
	}
	defer card.Close()
	table := make([]byte, 33*sector)
	_, err = card.ReadAt(table, sector)
	return table, err
}

// zero writes zeros to the card.
func (b *box) zero(at, size int64) error {
	card, err := os.OpenFile(b.card, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = card.WriteAt(make([]byte, size), at)
	return errors.Join(err, card.Close())
}
