package imagetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// piCase boots the card on the board that QEMU has of the Raspberry Pi 3, with the device tree that Debian's kernel has for
// it, until the gateway is ready. It is started by its kernel alone, so there are no counters on the card, and no slot is
// marked good. The board's watchdog is left out: QEMU's resets the moment that it is set up. There is no network, for that
// board's is behind USB too, and no stick: QEMU's controller hangs the kernel when one is plugged in.
func piCase(t *testing.T, b *box) (string, error) {
	tree := os.Getenv("ASSAYGATE_PI_DTB")
	if tree == "" {
		return "", errors.New("ASSAYGATE_PI_DTB names no device tree (make test-image-long sets it)")
	}
	files := t.TempDir()
	if err := slotFiles(b.images.debug, files); err != nil {
		return "", err
	}
	list, err := partitionGUIDs(b.card)
	if err != nil {
		return "", err
	}
	h := b.hardware
	h.debug = false
	h.instead = []string{
		"-M", "raspi3b", "-m", "1G", "-dtb", tree, "-kernel", filepath.Join(files, "slot/boot/Image"), "-initrd", filepath.Join(files, "slot/boot/initrd"),
		"-append", "rauc.slot=A root=PARTUUID=" + list["rootfs-a"] + " ro rootwait panic=5 quiet loglevel=4 module_blacklist=bcm2835_wdt console=ttyS1,115200 console=ttyS0,115200",
		"-drive", "if=sd,format=raw,file=" + b.card,
	}
	began := time.Now()
	m, err := h.on()
	if err != nil {
		return "", err
	}
	b.machine = m
	if _, _, err := m.console.wait(3*bootLimit, 0, ready); err != nil {
		return "", err
	}
	took := time.Since(began)
	return fmt.Sprintf("to READY in %.0f s", took.Seconds()), nil
}
