package imagetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestLong is what takes too long for every change. Each case has a box of its own, and ends with a row of the table in
// docs/image-tests.md. make test-image-long RUN=kills runs one alone.
func TestLong(t *testing.T) {
	i := find(t)
	r := &results{began: time.Now()}
	defer r.summary()
	for _, one := range []struct {
		name string
		test func(t *testing.T, b *box) (string, error)
	}{
		{"sizes", sizesCase},
		{"boottime", bootTimeCase},
		{"kills", func(_ *testing.T, b *box) (string, error) { return b.kills(20) }},
		{"cutinstall", cutInstallCase},
		{"cutupdate", cutUpdateCase},
		{"badkernel", badKernelCase},
		{"restarts", restartsCase},
		{"full", fullCase},
		{"broken", brokenCase},
		{"memory", memoryCase},
		{"wear", wearCase},
		{"pi", piCase},
	} {
		r.run(t, one.name, func() (err error) {
			b := newBox(t, "long-"+one.name, hardware{images: i, debug: true}, i.debug)
			defer b.off()
			row, err := one.test(t, b)
			if err == nil {
				fmt.Printf("| %s | %s |\n", one.name, row)
			}
			return err
		})
	}
}

// sizesCase tells how large what is shipped is.
func sizesCase(_ *testing.T, b *box) (string, error) {
	slots, err := partitions(b.box)
	if err != nil {
		return "", err
	}
	image, err := fileSize(b.box)
	if err != nil {
		return "", err
	}
	// What a squashfs takes stands at byte 40 of it.
	size, err := squashfsSize(b.box, slots["rootfs-a"])
	if err != nil {
		return "", err
	}
	bundle, err := fileSize(strings.TrimSuffix(b.box, ".img") + ".raucb")
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("card %.0f MiB, system %.1f MiB of the %d MiB of a slot, bundle %.1f MiB", mib(image), mib(size), (slots["rootfs-a"].end-slots["rootfs-a"].begin)>>20, mib(bundle)), nil
}

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// fullCase fills /data. The box acknowledges nothing that it cannot keep, says so, and goes on when there is room again.
func fullCase(t *testing.T, b *box) (string, error) {
	if err := b.three(b.overLAN); err != nil {
		return "", err
	}
	// Most of it is only claimed, which takes no time; the last MiB are written, to the last block.
	fill := `set -- $(stat -f -c '%a %S' /data); fallocate -l $(($1 * $2 - 33554432)) /data/planted && sync && dd if=/dev/zero of=/data/planted2 bs=4k; sync; test -s /data/planted2`
	if _, status, err := b.shell.run(slower(3*time.Minute), fill); err != nil || status != 0 {
		return "", fmt.Errorf("filling /data ended with %d (%v)", status, err)
	}
	ctx := t.Context()
	taken, refused := 0, error(nil)
	for taken < 5000 && refused == nil {
		if refused = b.overLAN(ctx); refused == nil {
			taken++
		}
	}
	if refused == nil {
		return "", fmt.Errorf("%d messages were taken on a full card", taken)
	}
	state, status, err := b.shell.run(momentLimit, "assaygate spool status --config /data/config/assaygate.yaml")
	if err != nil || status != 0 || !strings.Contains(state, "nothing is taken in") {
		return "", fmt.Errorf("the box does not say that its card is full (%v): %s", err, state)
	}
	if _, err := b.do("rm /data/planted /data/planted2 && sync"); err != nil {
		return "", err
	}
	if err := b.poll(2*momentLimit, "box that takes messages again", func() (bool, error) { return b.overLAN(ctx) == nil, nil }); err != nil {
		return "", err
	}
	if err := b.delivered(); err != nil {
		return "", err
	}
	return fmt.Sprintf("%d more messages were taken, then all refused, and said; none acknowledged was lost, and the box went on by itself when there was room", taken), b.verified()
}

// memoryCase tells what the gateway takes of the memory.
func memoryCase(t *testing.T, b *box) (string, error) {
	if err := b.working(); err != nil {
		return "", err
	}
	read := func() (now, most float64, err error) {
		text, err := b.do("cat /proc/$(systemctl show -p MainPID --value assaygate)/status")
		return mib(statusKiB(text, "VmRSS") << 10), mib(statusKiB(text, "VmHWM") << 10), err
	}
	idle, _, err := read()
	if err != nil {
		return "", err
	}
	if err := b.many(t, 1000); err != nil {
		return "", err
	}
	after, most, err := read()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%.0f MiB after the first configuration, %.0f MiB after 1 000 messages, never more than %.0f MiB", idle, after, most), nil
}

func statusKiB(text, name string) int64 {
	for _, line := range strings.Split(text, "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name+":" {
			n, _ := strconv.ParseInt(fields[1], 10, 64) // the kernel's
			return n
		}
	}
	return 0
}

// many sends messages over the network, one after the other.
func (b *box) many(t *testing.T, n int) error {
	line, err := b.dialLAN(t.Context())
	if err != nil {
		return err
	}
	defer line.Close()
	for range n {
		if err := sendHL7(t.Context(), line, b.sample("Lan"), b.promised); err != nil {
			return err
		}
	}
	_, err = b.promised.settle(b.lims, 5*time.Minute)
	return err
}

// wearCase counts what is written to the card, by the kernel's own count of sectors: in a time in which nothing happens,
// and for 1 000 messages.
func wearCase(t *testing.T, b *box) (string, error) {
	minutes := 15
	if text := os.Getenv("ASSAYGATE_IDLE_MINUTES"); text != "" {
		var err error
		if minutes, err = strconv.Atoi(text); err != nil {
			return "", fmt.Errorf("ASSAYGATE_IDLE_MINUTES: %w", err)
		}
	}
	if err := b.three(b.overLAN); err != nil {
		return "", err
	}
	written := func() (int64, error) {
		text, err := b.do("sync; cat /sys/block/mmcblk0/stat")
		if err != nil {
			return 0, err
		}
		n, err := strconv.ParseInt(strings.Fields(text)[6], 10, 64)
		return n * sector, err
	}
	// A minute first, so that what the start still writes does not count.
	if _, _, err := b.shell.run(2*time.Minute, "sleep 60"); err != nil {
		return "", err
	}
	first, err := written()
	if err != nil {
		return "", err
	}
	if _, _, err := b.shell.run(time.Duration(minutes+2)*time.Minute, fmt.Sprintf("sleep %d", minutes*60)); err != nil {
		return "", err
	}
	idle, err := written()
	if err != nil {
		return "", err
	}
	if err := b.many(t, 1000); err != nil {
		return "", err
	}
	busy, err := written()
	if err != nil {
		return "", err
	}
	hour := float64(idle-first) * 60 / float64(minutes)
	return fmt.Sprintf("idle %.0f KiB in %d minutes, so %.0f KiB an hour and %.1f MiB a day; %.1f MiB for 1 000 messages in a row, delivered", float64(idle-first)/1024, minutes, hour/1024, hour*24/(1<<20), mib(busy-idle)), nil
}

// cutInstallCase cuts the power while an update is written: as soon as so much of it has reached the card. The box goes on
// in the slot that it had.
func cutInstallCase(_ *testing.T, b *box) (string, error) {
	if err := b.working(); err != nil {
		return "", err
	}
	system := strings.TrimSuffix(b.images.update, ".raucb") + ".squashfs"
	size, err := fileSize(system)
	if err != nil {
		return "", err
	}
	for _, part := range []int64{10, 50, 90} {
		from := b.slot
		list, err := partitions(b.card)
		if err != nil {
			return "", err
		}
		depth := size * part / 100 / sector * sector
		place := list[slotName(slotOther(from))].begin + depth
		if err := errors.Join(b.zero(place, sector), b.stickWith(b.images.releases)); err != nil {
			return "", err
		}
		if err := b.poll(installLimit, fmt.Sprintf("%d %% of the update on the card", part), func() (bool, error) {
			want, err1 := sum(system, partition{depth, depth + sector})
			have, err2 := sum(b.card, partition{place, place + sector})
			return want == have, errors.Join(err1, err2)
		}); err != nil {
			return "", err
		}
		b.off()
		if err := b.up(); err != nil {
			return "", fmt.Errorf("after a cut at %d %%: %w", part, err)
		}
		if b.slot != from {
			return "", fmt.Errorf("after a cut at %d %% slot %s is booted", part, b.slot)
		}
	}
	if err := b.updateCase(); err != nil { // the box has the bundle of before on its card, and goes on with that
		return "", fmt.Errorf("an update after all: %w", err)
	}
	return "cut when 10, 50 and 90 % of an update were on the card: the box goes on in the slot that it had; an update after that succeeds", nil
}

// slotFiles takes kernel and initrd out of a slot of an image.
func slotFiles(image, to string) error {
	list, err := partitions(image)
	if err != nil {
		return err
	}
	slot := list["rootfs-a"]
	system := filepath.Join(to, "system.squashfs")
	if err := tool("dd", "if="+image, "of="+system, "bs=1M", fmt.Sprintf("skip=%d", slot.begin>>20), fmt.Sprintf("count=%d", (slot.end-slot.begin)>>20), "status=none"); err != nil {
		return err
	}
	return tool("unsquashfs", "-q", "-n", "-d", filepath.Join(to, "slot"), system, "boot")
}
