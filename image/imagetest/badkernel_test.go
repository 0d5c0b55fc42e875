package imagetest

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

// badKernelCase installs releases that do not start: one whose kernel U-Boot does not take, and one whose kernel finds no
// system and ends. The box goes back by itself, and does not install them again.
func badKernelCase(_ *testing.T, b *box) (string, error) {
	for _, release := range []struct {
		variable, version string
		tries             int
		marker            string
	}{
		// U-Boot goes on with the other slot at once.
		{"ASSAYGATE_RELEASES_NOKERNEL", "1.3.0", 1, `cannot be loaded`},
		{"ASSAYGATE_RELEASES_NOROOT", "1.3.1", 3, `Kernel panic`},
	} {
		if err := b.unbootable(release.variable, release.version, release.tries, release.marker); err != nil {
			return "", fmt.Errorf("version %s: %w", release.version, err)
		}
	}
	return "a release whose kernel U-Boot does not take (tried once), and one whose kernel ends without a system (three times): the box goes back by itself, says so, and does not install it again", nil
}

func (b *box) unbootable(variable, version string, tries int, marker string) error {
	releases := os.Getenv(variable)
	if releases == "" {
		return fmt.Errorf("%s names no repository (make test-image-long sets it)", variable)
	}
	if err := errors.Join(b.working(), b.three(b.overLAN)); err != nil {
		return err
	}
	from, place := b.slot, b.console.end()
	if err := b.stickWith(releases); err != nil {
		return err
	}
	place, err := b.fallsBack(place, slotOther(from), tries, func() error { return nil }, marker)
	if err != nil {
		return err
	}
	if _, _, err = b.console.wait(bootLimit, place, ready); err != nil {
		return err
	}
	b.cable.pull()
	return errors.Join(b.followJournal(), b.three(b.overLAN), b.verified(), b.sound(), b.outcome("fell-back", version), b.remembered(), b.pullDisk("update"))
}
