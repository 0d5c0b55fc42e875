package imagetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
)

// updateCase brings a release by stick. The box installs it by itself while an analyser sends, and goes on in the other slot
// with all that it had.
func (b *box) updateCase() error {
	if err := b.working(); err != nil {
		return err
	}
	if err := b.three(b.overLAN); err != nil {
		return err
	}
	from := b.slot
	before, err := b.sums("boot", slotName(from))
	if err != nil {
		return err
	}
	stored, err := b.stored()
	if err != nil {
		return err
	}
	place := b.console.end()
	if err := b.stickWith(b.images.releases); err != nil {
		return err
	}
	slot, next, err := b.booted(place, installLimit+bootLimit)
	if err != nil {
		return fmt.Errorf("%w; %s", err, b.updateStatus())
	}
	if slot == from {
		return fmt.Errorf("slot %s is booted again", slot)
	}
	b.slot = slot
	b.cable.pull()
	if _, _, err := b.console.wait(bootLimit, place, `ASSAYGATE-GOOD slot=`+slot); err != nil {
		return fmt.Errorf("the new slot was not marked good (%d): %w", next, err)
	}
	after, err := b.sums("boot", slotName(from))
	if err != nil {
		return err
	}
	for name, was := range before {
		if after[name] != was {
			return fmt.Errorf("the update has written to %s", name)
		}
	}
	if have, err := b.stored(); err != nil || have != stored {
		return fmt.Errorf("the store had %s messages, and has %s (%v)", stored, have, err)
	}
	if err := errors.Join(b.three(b.overLAN), b.three(b.overWire), b.sound()); err != nil {
		return err
	}
	return errors.Join(b.outcome("installed", "1.1.0"), b.pullDisk("update"))
}

// fallbackCase installs an image whose gateway never gets healthy. The box tries it as often as the counter says, and goes
// back by itself. Two of its three tries are taken away, to save time: the long runs badkernel and restarts have all three.
func (b *box) fallbackCase() error {
	if err := b.working(); err != nil {
		return err
	}
	from := b.slot
	before, err := b.sums("boot", slotName(from))
	if err != nil {
		return err
	}
	place := b.console.end()
	if err := b.stickWith(b.images.spoilt); err != nil {
		return err
	}
	place, err = b.fallsBack(place, slotOther(from), 1, func() error { return b.counted(slotOther(from), 2, 0) }, `ASSAYGATE-TRIAL-FAILED`)
	if err != nil {
		return err
	}
	if _, _, err = b.console.wait(bootLimit, place, ready); err != nil {
		return err
	}
	b.cable.pull()
	after, err := b.sums("boot", slotName(from))
	if err != nil {
		return err
	}
	for name, was := range before {
		if after[name] != was {
			return fmt.Errorf("the update that failed has written to %s", name)
		}
	}
	if err := errors.Join(b.followJournal(), b.three(b.overLAN), b.verified(), b.sound()); err != nil {
		return err
	}
	// The stick is still plugged in, and the release is not tried again.
	if err := errors.Join(b.outcome("fell-back", "1.2.0"), b.remembered()); err != nil {
		return err
	}
	// After all of it the FAT is as it was flashed.
	return b.unchanged(b.hardware.images.debug, "boot")
}

// fallsBack follows the console while a slot is tried, which ends each time as the marker says, until the other one is started.
// tried is called at each try.
func (b *box) fallsBack(place int, slot string, tries int, tried func() error, marker string) (int, error) {
	var order string
	for n := 1; n <= tries+1; n++ {
		match, next, err := b.console.wait(fallbackLimit, place, booting)
		if err != nil {
			return 0, err
		}
		order, place = order+match[1], next
		if match[1] != slot {
			break
		}
		if err := tried(); err != nil {
			return 0, err
		}
		if _, place, err = b.console.wait(fallbackLimit, place, marker); err != nil {
			return 0, err
		}
	}
	if want := strings.Repeat(slot, tries) + slotOther(slot); order != want {
		return 0, fmt.Errorf("the slots were tried in the order %s, want %s", order, want)
	}
	return place, nil
}

// counted expects that a slot has so many tries left, and leaves it others. It can be called before the box is ready.
func (b *box) counted(slot string, left, others int) error {
	name := "BOOT_" + slot + "_LEFT"
	// Before the shell runs a command may be lost, or wait with those that were sent again: only the first counts.
	once := fmt.Sprintf("test -e /run/counted || { fw_printenv -n %s >/run/counted && fw_setenv %s %d; }; cat /run/counted", name, name, others)
	var text string
	err := b.poll(bootLimit, "answer of the shell", func() (bool, error) {
		var err error
		text, _, err = b.shell.run(5*time.Second, once)
		return err == nil, nil
	})
	if err == nil && strings.TrimSpace(text) != fmt.Sprint(left) {
		err = fmt.Errorf("%s is %s, want %d", name, text, left)
	}
	return err
}

func slotName(slot string) string { return "rootfs-" + strings.ToLower(slot) }

func slotOther(slot string) string { return map[string]string{"A": "B", "B": "A"}[slot] }

// stickWith plugs in a stick with what a repository publishes, or with other files.
func (b *box) stickWith(from string) error {
	image := filepath.Join(b.directory, "update.img")
	size, err := treeSize(from)
	if err != nil {
		return err
	}
	if err := makeStick(image, from, int(size>>20)+32); err != nil {
		return err
	}
	return b.plugDisk("update", image, true)
}

func treeSize(directory string) (size int64, err error) {
	err = filepath.WalkDir(directory, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

// updateStatus is what the box says of updates, for the words of a failure.
func (b *box) updateStatus() string {
	text, _, err := b.shell.run(momentLimit, "assaygate update status 2>&1")
	return fmt.Sprintf("assaygate update status: %s (%v)", text, err)
}

// outcome waits until the box has judged its last update.
func (b *box) outcome(result, version string) error {
	var text string
	err := b.poll(slower(time.Minute), "outcome "+result+" of "+version, func() (bool, error) {
		var err error
		if text, _, err = b.shell.run(momentLimit, "cat /data/system/update/outcome.json"); err != nil {
			return false, err
		}
		var is struct{ Result, Version string }
		_ = json.Unmarshal([]byte(text), &is) // it is not there yet
		return is.Result == result && is.Version == version, nil
	})
	if err != nil {
		return fmt.Errorf("%w: the last one is %s; %s", err, text, b.updateStatus())
	}
	return nil
}

// remembered says whether the box tells that it does not install the release again.
func (b *box) remembered() error {
	return b.poll(slower(time.Minute), "word that the release is not installed again", func() (bool, error) {
		text, err := b.do("assaygate update status")
		return strings.Contains(text, "not installed again"), err
	})
}

// stored is how many messages the box has.
func (b *box) stored() (string, error) {
	return b.do(`assaygate spool status --config /data/config/assaygate.yaml | sed -n 's/^messages[^0-9]*\([0-9]*\).*/\1/p'`)
}
