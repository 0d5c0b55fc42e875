package imagetest

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// cutPoint is a moment of an update at which the power fails. Reached returns at that moment, and began is a place of the
// console before it.
type cutPoint struct {
	name    string
	slow    bool // the download is to take a while
	reached func(b *box, began int) error
}

// cutPoints are in the order in which an update passes them.
var cutPoints = []cutPoint{
	{"download, 10 %", true, downloaded(10)},
	{"download, 50 %", true, downloaded(50)},
	{"download, 90 %", true, downloaded(90)},
	{"installation, begun", false, journalled(`Marking target slot rootfs\.\d as non-bootable`)},
	{"installation, 50 %", false, writtenHalf},
	{"installation, ended", false, journalled(`All slots updated`)},
	{"first start, boot loader", false, started()},
	{"first start, system", false, started(`Starting kernel`, `DEBUG IMAGE: root shell`)},
	{"verdict, healthy", false, started(ready)},
	{"verdict, written", false, started(`ASSAYGATE-GOOD`)},
}

// cutUpdateCase cuts the power at each point of an update over the network, each time on a card as it was before. The box always
// comes back in a slot that works, with all that it had, and comes to the end of the update by itself.
func cutUpdateCase(_ *testing.T, b *box) (string, error) {
	before := filepath.Join(b.directory, "before.img")
	for _, slow := range []bool{true, false} {
		rate := "0"
		if slow {
			rate = "1MiB"
		}
		if err := b.fromServer(b.images.waves, rate); err != nil {
			return "", err
		}
		if err := errors.Join(b.three(b.overLAN), b.shutdown()); err != nil {
			return "", err
		}
		if err := tool("cp", "--sparse=always", b.card, before); err != nil {
			return "", err
		}
		for _, point := range cutPoints {
			if point.slow != slow {
				continue
			}
			if err := tool("cp", "--sparse=always", before, b.card); err != nil {
				return "", err
			}
			came, err := b.cutAt(point)
			if err != nil {
				return "", fmt.Errorf("cut at %s: %w", point.name, err)
			}
			fmt.Printf("cutupdate: %s: came back in slot %s, and then the update succeeded\n", point.name, came)
		}
		if err := tool("cp", "--sparse=always", before, b.card); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("cut at %d points of an update over HTTPS, from the download to the verdict: the box came back each time in a slot that works, with every message, and came to the end of the update by itself", len(cutPoints)), nil
}

// cutAt has the box begin the update, cuts the power at the point, and returns the slot in which it comes back.
func (b *box) cutAt(point cutPoint) (slot string, err error) {
	if err := b.up(); err != nil {
		return "", err
	}
	from, began := b.slot, b.console.end()
	if err := errors.Join(b.three(b.overLAN), b.ledTo("1.1.1"), point.reached(b, began)); err != nil {
		return "", err
	}
	b.off()
	if err := b.up(); err != nil {
		return "", err
	}
	slot = b.slot
	if err := errors.Join(b.three(b.overLAN), b.verified()); err != nil {
		return "", fmt.Errorf("in slot %s: %w", slot, err)
	}
	if slot == from { // the box would ask within the hour
		began = b.console.end()
		if text, _, err := b.shell.run(momentLimit, "assaygate update check"); err != nil {
			return "", fmt.Errorf("%w: %s", err, text)
		}
		if b.slot, _, err = b.booted(began, installLimit+slower(2*time.Minute)+bootLimit); err != nil {
			return "", fmt.Errorf("the update that was cut does not go on: %w; %s", err, b.updateStatus())
		}
	}
	if b.slot == from {
		return "", fmt.Errorf("slot %s is booted again", from)
	}
	return slot, errors.Join(b.outcome("installed", "1.1.1"), b.three(b.overLAN), b.verified(), b.sound(), b.shutdown())
}

// shutdown switches the box off once all that it has is on its card.
func (b *box) shutdown() error {
	_, err := b.do("sync")
	b.off()
	return err
}

// downloaded is when so much of the bundle is on the card.
func downloaded(percent int64) func(*box, int) error {
	return func(b *box, _ int) error {
		size, err := fileSize(strings.TrimSuffix(b.images.update, "update.raucb") + "waves.raucb")
		if err != nil {
			return err
		}
		return b.poll(installLimit, fmt.Sprintf("%d %% of the bundle on the card", percent), func() (bool, error) {
			text, err := b.do("cat /data/system/update/bundles/* 2>/dev/null | wc -c")
			have, _ := strconv.ParseInt(text, 10, 64) // there is no file yet
			if have >= size {
				return false, fmt.Errorf("the download is over, of %d bytes", size)
			}
			return have >= size*percent/100, err
		})
	}
}

// journalled is when the journal says so.
func journalled(marker string) func(*box, int) error {
	return func(b *box, _ int) error {
		_, _, err := b.journal.wait(installLimit+slower(time.Minute), 0, marker)
		return err
	}
}

// writtenHalf is when half of the new system is on the card.
func writtenHalf(b *box, _ int) error {
	system := strings.TrimSuffix(b.images.update, "update.raucb") + "waves.squashfs"
	size, err := fileSize(system)
	if err != nil {
		return err
	}
	list, err := partitions(b.card)
	if err != nil {
		return err
	}
	depth := size / 2 / sector * sector
	place := list[slotName(slotOther(b.slot))].begin + depth
	want, err := sum(system, partition{depth, depth + sector})
	if err != nil {
		return err
	}
	return b.poll(installLimit+slower(time.Minute), "half of the update on the card", func() (bool, error) {
		have, err := sum(b.card, partition{place, place + sector})
		return have == want, err
	})
}

// started is when the new system's first start has come to the last of the markers on the console.
func started(markers ...string) func(*box, int) error {
	return func(b *box, began int) error {
		_, place, err := b.console.wait(installLimit+bootLimit, began, booting)
		for _, marker := range markers {
			if err == nil {
				_, place, err = b.console.wait(bootLimit, place, marker)
			}
		}
		return err
	}
}
