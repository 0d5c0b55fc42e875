package imagetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// watchdogCase plants two faults: a gateway that stands still, which systemd finds, and a system that stands still, which
// the hardware finds.
func (b *box) watchdogCase() error {
	if err := b.working(); err != nil {
		return err
	}
	if err := b.gatewayStands(); err != nil {
		return fmt.Errorf("a gateway that stands still: %w", err)
	}
	if err := b.systemStands(); err != nil {
		return fmt.Errorf("a system that stands still: %w", err)
	}
	return errors.Join(b.three(b.overLAN), b.sound())
}

func (b *box) gatewayStands() error {
	place := b.journal.end()
	before, err := b.do("systemctl show -p MainPID --value assaygate")
	if err != nil {
		return err
	}
	if _, err := b.do("kill -STOP " + before); err != nil {
		return err
	}
	for _, marker := range []string{`assaygate\.service: Watchdog timeout`, `gateway ready`} {
		if _, place, err = b.journal.wait(watchdogLimit, place, marker); err != nil {
			return err
		}
	}
	after, err := b.do("systemctl show -p MainPID --value assaygate")
	if err == nil && (after == before || after == "0") {
		err = fmt.Errorf("its process was %s and is %s", before, after)
	}
	return errors.Join(err, b.three(b.overLAN))
}

// systemStands freezes PID 1. While it boots again, a disk with the very partitions of the card is in a USB socket: a box
// must take its slots and its data from the card.
func (b *box) systemStands() error {
	twin := filepath.Join(b.directory, "twin.img")
	if err := tool("cp", "--sparse=always", b.card, twin); err != nil {
		return err
	}
	defer os.Remove(twin)
	if err := b.plugDisk("twin", twin, false); err != nil {
		return err
	}
	if err := b.settled("sda4"); err != nil {
		return err
	}
	place := b.console.end()
	if _, err := b.do("kill -SEGV 1"); err != nil {
		return err
	}
	if err := b.await("WATCHDOG", watchdogLimit); err != nil {
		return err
	}
	slot, _, err := b.booted(place, bootLimit)
	if err != nil {
		return err
	}
	if slot != b.slot {
		return fmt.Errorf("slot %s is booted, and it was %s", slot, b.slot)
	}
	if err := b.fromCard(); err != nil {
		return fmt.Errorf("with a disk on USB that has the same partitions: %w", err)
	}
	return b.pullDisk("twin")
}

// fromCard says whether the box runs from its card, and from nothing else.
func (b *box) fromCard() error {
	_, err := b.do(`for name in boot rootfs-a rootfs-b data; do
	case $(readlink -f /dev/assaygate/$name) in /dev/mmcblk0p*) ;; *) echo "/dev/assaygate/$name is $(readlink -f /dev/assaygate/$name)"; false; break ;; esac
done && for place in / /data; do
	number=$(stat -c %d $place)
	at=$(readlink -f /sys/dev/block/$((number >> 8)):$((number & 255)))
	case $at in */mmcblk0/*) ;; *) echo "$place is on $at"; false; break ;; esac
done`)
	return err
}
