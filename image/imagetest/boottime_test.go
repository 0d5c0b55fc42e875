package imagetest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// bootTimeCase compares the boot with that of the same image whose gateway is masked: from the kernel's first line until
// the system says that all is started. Both are started without the boot loader, for only so the kernel gets another
// argument. Medians of five, taken in turn.
func bootTimeCase(t *testing.T, b *box) (string, error) {
	if err := b.working(); err != nil { // with a configuration, as boxes have
		return "", err
	}
	whole := b.boots[0]
	b.off()
	if err := b.up(); err != nil {
		return "", err
	}
	again := b.boots[len(b.boots)-1]
	b.off()
	directory := t.TempDir()
	if err := slotFiles(b.images.debug, directory); err != nil {
		return "", err
	}
	times := map[bool][]time.Duration{}
	for range 5 {
		for _, masked := range []bool{false, true} {
			took, err := b.kernelBoot(directory, masked)
			if err != nil {
				return "", err
			}
			times[masked] = append(times[masked], took)
		}
	}
	for _, list := range times {
		slices.Sort(list)
	}
	with, without := times[false][2], times[true][2]
	return fmt.Sprintf("to READY %.1f s, without the gateway %.1f s to the same target: %.2f times (medians of 5, kernel to multi-user); power on to READY %.1f s, the first time with the growing of /data %.1f s",
		with.Seconds(), without.Seconds(), float64(with)/float64(without), again.Seconds(), whole.Seconds()), nil
}

// kernelBoot boots the card by its kernel alone, and returns how long it took until multi-user.target was reached.
func (b *box) kernelBoot(files string, masked bool) (time.Duration, error) {
	list, err := partitionGUIDs(b.card)
	if err != nil {
		return 0, err
	}
	line := "rauc.slot=A root=PARTUUID=" + list["rootfs-a"] + " ro rootwait panic=5 quiet loglevel=4 console=ttyAMA0 systemd.show_status=1 systemd.unit=multi-user.target"
	if masked {
		line += " systemd.mask=assaygate.service systemd.mask=assaygate-slot.service"
	}
	h := b.hardware
	h.uboot = ""
	h.more = []string{"-kernel", filepath.Join(files, "slot/boot/Image"), "-append", line}
	if _, err := os.Stat(filepath.Join(files, "slot/boot/initrd")); err == nil {
		h.more = append(h.more, "-initrd", filepath.Join(files, "slot/boot/initrd"))
	}
	began := time.Now()
	m, err := h.on()
	if err != nil {
		return 0, err
	}
	defer m.cut()
	if _, _, err := m.console.wait(bootLimit, 0, `Reached target .*multi-user.target`); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if !masked {
		if _, _, err := m.console.wait(bootLimit, 0, ready); err != nil {
			return 0, err
		}
		took = time.Since(began)
	}
	if masked && strings.Contains(m.console.since(0), ready) {
		return 0, fmt.Errorf("the gateway was started though it was masked")
	}
	return took, nil
}
