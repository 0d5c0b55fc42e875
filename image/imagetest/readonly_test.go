package imagetest

import (
	"errors"
	"fmt"
	"strings"
)

// readonlyCase: nothing but /data and memory can be written to.
func (b *box) readonlyCase() error {
	if err := b.working(); err != nil {
		return err
	}
	mounts, err := b.do("cat /proc/mounts")
	if err != nil {
		return err
	}
	var data string
	for _, line := range strings.Split(mounts, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			continue
		}
		device, place, kind, options := fields[0], fields[1], fields[2], ","+fields[3]+","
		switch {
		case place == "/" && (kind != "squashfs" || !strings.Contains(options, ",ro,")):
			return fmt.Errorf("the root is %s", line)
		case place == "/data":
			data = line
			for _, option := range []string{"rw", "nosuid", "nodev", "noexec", "noatime"} {
				if !strings.Contains(options, ","+option+",") {
					return fmt.Errorf("/data is mounted without %s: %s", option, line)
				}
			}
		case strings.HasPrefix(device, "/dev/") && strings.Contains(options, ",rw,") && !strings.HasPrefix(data, device+" "):
			return fmt.Errorf("more than /data can be written to: %s", line)
		}
	}
	if data == "" {
		return fmt.Errorf("/data is not mounted:\n%s", mounts)
	}
	for _, command := range []string{"touch /etc/planted", "touch /usr/planted", "touch /planted", "touch /boot/planted", "mount -o remount,rw / && touch /planted"} {
		if output, status, err := b.shell.run(momentLimit, command); err != nil || status == 0 {
			return fmt.Errorf("%s succeeds: %s (%v)", command, output, err)
		}
	}
	return errors.Join(b.onlyRootUpdates(), b.unchanged(b.hardware.images.debug, "boot", "rootfs-a", "rootfs-b"))
}

// onlyRootUpdates: who has taken over the gateway can neither install a system nor say which one is good.
func (b *box) onlyRootUpdates() error {
	const ask = "busctl call de.pengutronix.rauc / "
	if _, err := b.do(ask + "de.pengutronix.rauc.Installer GetSlotStatus"); err != nil {
		return fmt.Errorf("root may not ask RAUC, so that nobody else may says nothing: %w", err)
	}
	as, err := b.do("stat -c '%u %g' /data/spool")
	if err != nil {
		return err
	}
	var user, group int
	if _, err := fmt.Sscan(as, &user, &group); err != nil || user == 0 {
		return fmt.Errorf("the gateway's user is %q (%v)", as, err)
	}
	for _, request := range []string{
		"de.pengutronix.rauc.Installer Install s /run/assaygate/planted.raucb",
		"de.pengutronix.rauc.Installer InstallBundle 'sa{sv}' /run/assaygate/planted.raucb 0",
		"de.pengutronix.rauc.Installer Mark ss good booted",
		"org.freedesktop.DBus.Properties GetAll s de.pengutronix.rauc.Installer",
	} {
		output, status, err := b.shell.run(momentLimit, fmt.Sprintf("/usr/bin/setpriv --reuid %d --regid %d --clear-groups %s%s 2>&1", user, group, ask, request))
		if err != nil {
			return err
		}
		if status == 0 || !strings.Contains(strings.ToLower(output), "denied") && !strings.Contains(output, "rejected") {
			return fmt.Errorf("the gateway's user asks RAUC for %s: status %d, %s", request, status, tail(output))
		}
	}
	return nil
}

// unchanged says whether these partitions are as in the image, and all that lies outside of partitions but the boot
// loader's counters, a note about /data, and the partition table, which grew with the card.
func (b *box) unchanged(image string, names ...string) error {
	list, err := partitions(image)
	if err != nil {
		return err
	}
	card, err := partitions(b.card)
	if err != nil {
		return err
	}
	first := list["boot"].begin
	regions := map[string]partition{}
	for _, name := range names {
		if list[name] != card[name] || list[name].end == 0 {
			return fmt.Errorf("the partition %s is at %v, and was at %v", name, card[name], list[name])
		}
		regions[name] = list[name]
	}
	for _, p := range list {
		first = min(first, p.begin)
	}
	// Behind the table's 34 sectors, around the two copies of the counters and the note.
	regions["the gap before the counters"] = partition{34 * sector, environment.begin}
	regions["the gap behind the counters"] = partition{environment.end, note.begin}
	regions["the gap behind the note"] = partition{note.end, made.begin}
	regions["the gap behind the mark"] = partition{made.end, first}
	for name, region := range regions {
		if is, err := same(image, b.card, region); err != nil || !is {
			return fmt.Errorf("%s of the card was written to (%v)", name, err)
		}
	}
	return nil
}

// environment is where the boot loader keeps its counters, note where root notes for the next start what is to be done
// with /data, made where it says which file system is the card's; see image/layout.
var (
	environment = partition{0x100000, 0x150000}
	note        = partition{0x180000, 0x180000 + sector}
	made        = partition{0x1C0000, 0x1C0000 + sector}
)

// sums are the checksums of partitions.
func (b *box) sums(names ...string) (map[string]string, error) {
	list, err := partitions(b.card)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, name := range names {
		if sums[name], err = sum(b.card, list[name]); err != nil {
			return nil, err
		}
	}
	return sums, nil
}
