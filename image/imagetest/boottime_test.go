package imagetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// bootTimeCase compares the boot with that of the same card whose system lacks nothing but the gateway: it is masked, and
// with it what judges the slot by it. From the kernel's first line until the gateway serves its instruments (READY=1 to
// systemd), until the slot was judged by it (the marker), and until the system says that all is started, which is all that
// there is to wait for without the gateway. Both are started without the boot loader, for only so the kernel gets another
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
	masked := filepath.Join(directory, "masked.img")
	if err := b.maskedCard(masked); err != nil {
		return "", err
	}
	times := map[string][]time.Duration{}
	for range 5 {
		for _, card := range []string{b.card, masked} {
			ends := map[string]string{"with, all": allStarted, "serves": gatewayStarted, "judged": ready}
			if card == masked {
				ends = map[string]string{"without, all": allStarted}
			}
			if err := b.kernelBoot(directory, card, card == masked, ends, times); err != nil {
				return "", err
			}
		}
	}
	median := func(name string) float64 {
		slices.Sort(times[name])
		return times[name][2].Seconds()
	}
	without := median("without, all")
	result := ""
	for _, one := range []struct{ name, says string }{
		{"serves", "the gateway serves"}, {"judged", "and is found healthy"}, {"with, all", "all is started"},
	} {
		result += fmt.Sprintf("%s at %.1f s, %.2f times; ", one.says, median(one.name), median(one.name)/without)
	}
	return fmt.Sprintf("%swithout the gateway all is started at %.1f s (medians of 5, from the kernel on); power on to READY %.1f s, the first time with the growing of /data %.1f s",
		result, without, again.Seconds(), whole.Seconds()), nil
}

const (
	allStarted     = `Reached target .*multi-user\.target`
	gatewayStarted = `Started .*assaygate\.service`
)

// maskedCard is this card with the system of an image whose gateway is masked.
func (b *box) maskedCard(to string) error {
	image := os.Getenv("ASSAYGATE_IMAGE_MASKED")
	if image == "" {
		return errors.New("ASSAYGATE_IMAGE_MASKED names no image (make test-image-long sets it)")
	}
	from, err := partitions(image)
	if err != nil {
		return err
	}
	slot := from["rootfs-a"]
	if own, err := partitions(b.card); err != nil || own["rootfs-a"] != slot {
		return fmt.Errorf("the slot of %s is at %v, and the card's at %v (%v)", image, slot, own["rootfs-a"], err)
	}
	return errors.Join(
		tool("cp", "--sparse=always", b.card, to),
		tool("dd", "if="+image, "of="+to, "bs=1M", fmt.Sprintf("skip=%d", slot.begin>>20), fmt.Sprintf("seek=%d", slot.begin>>20),
			fmt.Sprintf("count=%d", (slot.end-slot.begin)>>20), "conv=notrunc", "status=none"),
	)
}

// kernelBoot boots a card by its kernel alone, and adds how long it took to each of the ends, which come in any order.
func (b *box) kernelBoot(files, card string, masked bool, ends map[string]string, times map[string][]time.Duration) error {
	list, err := partitionGUIDs(card)
	if err != nil {
		return err
	}
	h := b.hardware
	h.uboot, h.card = "", card
	h.more = []string{
		"-kernel", filepath.Join(files, "slot/boot/Image"), "-append",
		"rauc.slot=A root=PARTUUID=" + list["rootfs-a"] + " ro rootwait panic=5 quiet loglevel=4 console=ttyAMA0 systemd.show_status=1",
	}
	if _, err := os.Stat(filepath.Join(files, "slot/boot/initrd")); err == nil {
		h.more = append(h.more, "-initrd", filepath.Join(files, "slot/boot/initrd"))
	}
	began := time.Now()
	m, err := h.on()
	if err != nil {
		return err
	}
	defer m.cut()
	type came struct {
		name string
		took time.Duration
		err  error
	}
	all := make(chan came, len(ends))
	for name, end := range ends {
		go func() {
			_, _, err := m.console.wait(bootLimit, 0, end)
			all <- came{name, time.Since(began), err}
		}()
	}
	for range ends {
		one := <-all
		if one.err != nil {
			return one.err
		}
		times[one.name] = append(times[one.name], one.took)
	}
	if started := strings.Contains(m.console.since(0), "Starting \x1b[0;1;39massaygate.service"); started == masked {
		return fmt.Errorf("masked is %v, and the gateway was started is %v", masked, started)
	}
	return nil
}
