package imagetest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// A door would show itself in one of these: the boot loader's prompt, a login, a shell that does what was typed. That the
// kernel's terminal repeats the keys is none.
var door = regexp.MustCompile(`(?m)=> |login:|[Pp]assword|^.*[#$] $|knock|sysrq: |emergency mode|maintenance`)

// knocking is what somebody types who has found the pins of the serial console.
const knocking = "\x03\x03 \r\nroot\r\necho kn''ock\r\n\x1b\r\n"

// bootCase boots the image as it is sold, which lets nobody in, and then the debug image, which all the rest needs.
func bootCase(t *testing.T, b *box) error {
	if err := closedBox(t, b.hardware); err != nil {
		return fmt.Errorf("the image as it is sold: %w", err)
	}
	if err := b.up(); err != nil {
		return fmt.Errorf("the debug image: %w", err)
	}
	if b.slot != "A" {
		return fmt.Errorf("the first boot is of slot %s", b.slot)
	}
	return errors.Join(b.grown(), b.sound())
}

// closedBox boots the image as it is sold, with somebody at the serial console from the first moment on.
func closedBox(t *testing.T, h hardware) error {
	h.debug = false
	b := newBox(t, "closed", h, h.box)
	defer b.off()
	m, err := b.on()
	if err != nil {
		return err
	}
	b.machine = m
	if _, err := m.keys.Write([]byte(knocking)); err != nil {
		return err
	}
	slot, next, err := m.booted(0, bootLimit)
	if err != nil {
		return err
	}
	if slot != "A" {
		return fmt.Errorf("the first boot is of slot %s", slot)
	}
	if _, err := m.keys.Write([]byte(knocking)); err != nil {
		return err
	}
	// A break and a letter are orders to the kernel, where it takes them.
	if _, err := m.order("chardev-send-break", map[string]any{"id": "console"}); err != nil {
		return err
	}
	if _, err := m.keys.Write([]byte("h")); err != nil {
		return err
	}
	// The stick works, and whatever would have answered on the console has had its time.
	if err := m.wantReport(b.directory, map[string]string{"start": ""}, "All is well.", []string{"start: a configuration to begin with is"}); err != nil {
		return err
	}
	if found := door.FindString(m.console.since(0)); found != "" {
		return fmt.Errorf("the console answers %q to keys:\n%s", strings.TrimSpace(found), tail(m.console.since(next)))
	}
	return nil
}

// grown says whether the first boot made /data as large as the card allows.
func (b *box) grown() error {
	list, err := partitions(b.card)
	if err != nil {
		return err
	}
	before, err := partitions(b.hardware.images.debug)
	if err != nil {
		return err
	}
	is, was := list["data"], before["data"]
	card, err := fileSize(b.card)
	if err != nil {
		return err
	}
	if is.begin != was.begin || is.end <= was.end || card-is.end > 4<<20 {
		return fmt.Errorf("the partition data is from %d to %d on a card of %d, and was to %d in the image", is.begin, is.end, card, was.end)
	}
	blocks, err := b.do(`stat -f -c '%b %S' /data`)
	if err != nil {
		return err
	}
	var count, size int64
	if _, err := fmt.Sscan(blocks, &count, &size); err != nil || count*size < (is.end-is.begin)*8/10 {
		return fmt.Errorf("the file system of /data has %s blocks and their size, in a partition of %d bytes (%v)", blocks, is.end-is.begin, err)
	}
	return nil
}

// sound says whether all of the system has started, and by itself.
func (b *box) sound() error {
	failed, err := b.do(`systemctl list-units --failed --no-legend --plain`)
	if err != nil {
		return err
	}
	if failed != "" {
		return fmt.Errorf("failed on the box: %s", failed)
	}
	return nil
}
