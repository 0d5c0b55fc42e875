package imagetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// updateCase installs a bundle from a stick, and the box goes on in the other slot with all that it had.
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
	if err := b.install(b.images.update); err != nil {
		return err
	}
	place := b.console.end()
	if _, err := b.do("systemctl reboot"); err != nil {
		return err
	}
	slot, next, err := b.booted(place, bootLimit)
	if err != nil {
		return err
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
	return errors.Join(b.three(b.overLAN), b.three(b.overWire), b.sound())
}

// fallbackCase installs an image whose gateway never gets healthy. The box tries it as often as the counter says, and goes
// back by itself.
func (b *box) fallbackCase() error {
	if err := b.working(); err != nil {
		return err
	}
	from := b.slot
	before, err := b.sums("boot", slotName(from))
	if err != nil {
		return err
	}
	if err := b.install(b.images.spoilt); err != nil {
		return err
	}
	// Two tries in place of RAUC's three: the counter is what is tested, and a boot takes long here.
	if _, err := b.do(fmt.Sprintf("fw_setenv BOOT_%s_LEFT 2", slotOther(from))); err != nil {
		return err
	}
	place := b.console.end()
	if _, err := b.do("systemctl reboot"); err != nil {
		return err
	}
	var tried string
	for range 3 {
		match, next, err := b.console.wait(fallbackLimit, place, booting)
		if err != nil {
			return err
		}
		tried, place = tried+match[1], next
		if match[1] == from {
			break
		}
		if _, place, err = b.console.wait(fallbackLimit, place, `ASSAYGATE-TRIAL-FAILED`); err != nil {
			return err
		}
	}
	if want := strings.Repeat(slotOther(from), 2) + from; tried != want {
		return fmt.Errorf("the slots were tried in the order %s, want %s", tried, want)
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
	// After all of it the FAT is as it was flashed.
	return b.unchanged(b.hardware.images.debug, "boot")
}

func slotName(slot string) string { return "rootfs-" + strings.ToLower(slot) }

func slotOther(slot string) string { return map[string]string{"A": "B", "B": "A"}[slot] }

const bundleOnStick = "/run/assaygate/stick/update.raucb"

// install installs a bundle that is on a stick.
func (b *box) install(bundle string) error {
	if err := b.stickWith(bundle); err != nil {
		return err
	}
	output, status, err := b.shell.run(installLimit, "rauc install "+bundleOnStick)
	if err == nil && status != 0 {
		err = fmt.Errorf("rauc install ended with %d: %s", status, tail(output))
	}
	return errors.Join(err, b.pullDisk("update"))
}

// stickWith plugs in a stick with a bundle, and waits until the box sees it.
func (b *box) stickWith(bundle string) error {
	directory, image := filepath.Join(b.directory, "update"), filepath.Join(b.directory, "update.img")
	size, err := fileSize(bundle)
	if err != nil {
		return err
	}
	err = errors.Join(os.RemoveAll(directory), os.MkdirAll(directory, 0o700), os.Symlink(bundle, filepath.Join(directory, "update.raucb")))
	if err != nil {
		return err
	}
	if err := makeStick(image, directory, int(size>>20)+32); err != nil {
		return err
	}
	if err := b.plugDisk("update", image, true); err != nil {
		return err
	}
	return b.poll(momentLimit, "stick with the bundle", func() (bool, error) {
		_, status, err := b.shell.run(momentLimit, "test -e "+bundleOnStick)
		return status == 0, err
	})
}

// stored is how many messages the box has.
func (b *box) stored() (string, error) {
	return b.do(`assaygate spool status --config /data/config/assaygate.yaml | sed -n 's/^messages[^0-9]*\([0-9]*\).*/\1/p'`)
}
