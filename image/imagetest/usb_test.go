package imagetest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// usbCase plugs in what a box has nothing to do with: a keyboard, a network adapter, a disk that is no stick. The serial
// adapter beside them stays.
func (b *box) usbCase() error {
	if err := b.working(); err != nil {
		return err
	}
	if err := b.wired(); err != nil {
		return err
	}
	for _, device := range []struct{ driver, more, class string }{{"usb-kbd", "", "03"}, {"usb-net", "other", "02"}} {
		arguments := map[string]any{"driver": device.driver, "id": device.driver, "bus": "usb.0"}
		if device.more != "" {
			arguments["netdev"] = device.more
		}
		if _, err := b.order("device_add", arguments); err != nil {
			return err
		}
		// Each of its interfaces is there, and sent away.
		err := b.poll(momentLimit, device.driver+" that is sent away", func() (bool, error) {
			_, status, err := b.shell.run(momentLimit, `for i in /sys/bus/usb/devices/*:*; do
	[ "$(cat $i/bInterfaceClass)" = `+device.class+` ] && [ "$(cat $i/authorized)" = 0 ] && [ ! -e $i/driver ] && exit_with=0
done; [ "${exit_with:-1}" = 0 ]; r=$?; unset exit_with; [ $r = 0 ]`)
			return status == 0, err
		})
		if err != nil {
			return err
		}
	}
	if interfaces, err := b.do("ls /sys/class/net"); err != nil || strings.Contains(strings.ReplaceAll(interfaces, "eth0", ""), "eth") || strings.Contains(interfaces, "usb") {
		return fmt.Errorf("a network adapter on USB is an interface: %q (%v)", interfaces, err)
	}
	if keys, err := b.do("grep -i keyboard /proc/bus/input/devices || true"); err != nil || keys != "" {
		return fmt.Errorf("a keyboard on USB is an input: %q (%v)", keys, err)
	}
	if err := errors.Join(b.pullDevice("usb-kbd"), b.pullDevice("usb-net")); err != nil {
		return err
	}
	if err := b.wrongDisk(); err != nil {
		return err
	}
	return b.three(b.overWire)
}

// wrongDisk plugs in a disk with a FAT and a request on it, which is not removable: nobody's stick.
func (b *box) wrongDisk() error {
	directory, image := filepath.Join(b.directory, "disk"), filepath.Join(b.directory, "disk.img")
	if err := errors.Join(os.MkdirAll(directory, 0o700), os.WriteFile(filepath.Join(directory, "start"), nil, 0o600), makeStick(image, directory, 64)); err != nil {
		return err
	}
	if err := b.plugDisk("disk", image, false); err != nil {
		return err
	}
	if err := b.settled("sda"); err != nil {
		return err
	}
	if mounts, err := b.do("grep /dev/sd /proc/mounts || true"); err != nil || mounts != "" {
		return fmt.Errorf("a disk that is no stick is mounted: %q (%v)", mounts, err)
	}
	return b.pullDisk("disk")
}

// settled waits until the box has dealt with a disk.
func (b *box) settled(disk string) error {
	return b.poll(momentLimit, "disk "+disk, func() (bool, error) {
		_, status, err := b.shell.run(momentLimit, "test -e /dev/"+disk+" && udevadm settle && systemctl list-jobs --no-legend | grep -q . && false || test -e /dev/"+disk)
		return status == 0, err
	})
}
