package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// stickFormat is a file system that a stick may have, with its mount options.
type stickFormat struct {
	name    string
	options [][2]string // a value of "" is a flag
}

// stickFormats are those of every camera and laptop. Who may read it is
// said by the directories in which it is mounted: the gateway all of it, the update
// agent the parts that it shows. With flush what was written is on the stick a moment
// later, for people pull it.
func stickFormats(owner *user.User) []stickFormat {
	common := [][2]string{{"uid", owner.Uid}, {"gid", owner.Gid}, {"fmask", "0133"}, {"dmask", "0022"}}
	return []stickFormat{
		{"vfat", append([][2]string{{"utf8", "1"}, {"shortname", "mixed"}, {"flush", ""}}, common...)},
		{"exfat", append([][2]string{{"iocharset", "utf8"}}, common...)},
	}
}

// Run implements a kong command.
func (c stickMount) Run(s *streams) error {
	owner, err := user.Lookup(c.Owner)
	if err != nil {
		return fmt.Errorf("stick: %w", err)
	}
	format, err := mountStick(c.Device, c.At, stickFormats(owner))
	if err != nil {
		return fmt.Errorf("stick: %w", err)
	}
	fmt.Fprintf(s.out, "stick: %s (%s) is mounted for reading\n", c.Device, format)
	if err := showReleases(c.At, c.Shared); err != nil {
		// All else of the stick is read all the same.
		fmt.Fprintln(s.err, "assaygate: stick: the releases on it cannot be shown to the update agent:", err)
	}
	return nil
}

// mountStick mounts a device with the first format that fits, for reading. The
// first stick wins: a second one is refused while it is there. So is everything
// on a disk that the box itself has mounted something from, for where the box
// starts from a USB disk that one looks like a stick.
func mountStick(device, at string, formats []stickFormat) (format string, err error) {
	var info unix.Stat_t
	if err := unix.Stat(device, &info); err != nil {
		return "", fmt.Errorf("%s: %w", device, err)
	}
	if info.Mode&unix.S_IFMT != unix.S_IFBLK {
		return "", fmt.Errorf("%s is not a disk", device)
	}
	unlock, err := lockPlace(at)
	if err != nil {
		return "", err
	}
	defer unlock()
	mounts, err := mountTable()
	if err != nil {
		return "", err
	}
	disk := diskOf(unix.Major(info.Rdev), unix.Minor(info.Rdev))
	for _, one := range mounts {
		if one.at == at {
			return "", fmt.Errorf("%s is left alone: %s is in already; pull that one, and put this one in again", device, one.source)
		}
		if disk != "" && diskOf(one.major, one.minor) == disk {
			return "", fmt.Errorf("%s is left alone: the box uses that disk for %s", device, one.at)
		}
	}
	var errs []error
	for _, one := range formats {
		err := mountAs(device, at, one)
		if err == nil {
			return one.name, nil
		}
		if errors.Is(err, unix.ENODEV) {
			err = errors.New("this system cannot read it")
		}
		errs = append(errs, fmt.Errorf("as %s: %w", one.name, err))
	}
	return "", fmt.Errorf("%s cannot be mounted; format it as FAT32: %w", device, errors.Join(errs...))
}

// lockPlace lets one at a time look at the place and change what is mounted there:
// a stick with two partitions has two services started at once. Two mounts, one
// over the other, would be taken away the wrong one first, and what stayed would
// keep every later stick out.
func lockPlace(at string) (unlock func(), err error) {
	directory, err := os.Open(filepath.Dir(at))
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(directory.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", directory.Name(), err), directory.Close())
	}
	return func() { directory.Close() }, nil
}

// mountAs mounts the file system for reading, but the mount itself is one that
// may be written: making the stick writable is then a matter of the file system
// alone. A mount's own flag would stay behind in each mount that was made of it,
// such as the one in the gateway's sandbox.
func mountAs(device, at string, format stickFormat) error {
	fs, err := unix.Fsopen(format.name, unix.FSOPEN_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(fs)
	err = errors.Join(unix.FsconfigSetString(fs, "source", device), unix.FsconfigSetFlag(fs, "ro"))
	for _, option := range format.options {
		if option[1] == "" {
			err = errors.Join(err, unix.FsconfigSetFlag(fs, option[0]))
		} else {
			err = errors.Join(err, unix.FsconfigSetString(fs, option[0], option[1]))
		}
	}
	if err == nil {
		err = unix.FsconfigCreate(fs)
	}
	if err != nil {
		return err
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC|unix.MOUNT_ATTR_NOATIME)
	if err != nil {
		return err
	}
	defer unix.Close(mount)
	return unix.MoveMount(mount, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// Run implements a kong command. A stick that somebody pulled is gone already;
// what still reads from it gets errors until it lets go.
func (c stickUnmount) Run(s *streams) error {
	unlock, err := lockPlace(c.At)
	if err != nil {
		return fmt.Errorf("stick: %w", err)
	}
	defer unlock()
	mounts, err := mountTable()
	if err != nil {
		return fmt.Errorf("stick: %w", err)
	}
	for _, one := range mounts {
		if one.source == c.Device && filepath.Dir(one.at) == c.Shared {
			if err := unix.Unmount(one.at, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("stick: %s: %w", one.at, err)
			}
		}
		if one.at == c.At && one.source == c.Device {
			if err := unix.Unmount(c.At, unix.MNT_DETACH); err != nil {
				return fmt.Errorf("stick: %s: %w", c.At, err)
			}
			fmt.Fprintf(s.out, "stick: %s is gone\n", c.Device)
		}
	}
	return nil
}

// mounted is one line of the kernel's table of mounts.
type mounted struct {
	major, minor uint32
	at, source   string
}

// mountTable reads /proc/self/mountinfo, see proc_pid_mountinfo(5).
func mountTable() ([]mounted, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	var list []mounted
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		var one mounted
		if len(fields) < 7 {
			continue
		}
		if _, err := fmt.Sscanf(fields[2], "%d:%d", &one.major, &one.minor); err != nil {
			continue
		}
		one.at = unescaped(fields[4])
		for i, field := range fields {
			if field == "-" && i+2 < len(fields) {
				one.source = unescaped(fields[i+2])
			}
		}
		list = append(list, one)
	}
	return list, nil
}

// unescaped puts back what would have broken the table's lines.
func unescaped(text string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(text)
}

// diskOf is the directory in /sys of the disk that a block device is or is a
// part of, "" where it is none.
func diskOf(major, minor uint32) string {
	path, err := filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", major, minor))
	if err != nil {
		return ""
	}
	if _, err := os.Stat(filepath.Join(path, "partition")); err == nil {
		return filepath.Dir(path)
	}
	return path
}
