package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// How long the tools of the file system may take. The check of each start is
// waited for by everything; a person has asked for the others.
const (
	checkPatience  = 8 * time.Minute
	makePatience   = 10 * time.Minute
	repairPatience = 30 * time.Minute
	// stopPatience is how long a tool may take to end that was told to.
	stopPatience = 10 * time.Second
	// mostToolLog bounds what a tool says that is logged.
	mostToolLog = 4 << 10
)

// tool runs a tool of the file system, and returns its status and what it said.
func tool(ctx context.Context, patience time.Duration, name string, args ...string) (status int, said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	command.Env = append(os.Environ(), "LC_ALL=C", "TZ=UTC")
	command.Cancel = func() error { return command.Process.Signal(unix.SIGTERM) }
	command.WaitDelay = stopPatience
	out, err := command.CombinedOutput()
	said = strings.TrimSpace(string(bytes.ToValidUTF8(out, nil)))
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return -1, said, fmt.Errorf("%s did not end within %s", name, patience)
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), said, nil
	}
	return 0, said, err
}

// fsck checks the file system, by -p or by -fy, and reports whether it is sound now,
// and whether something had to be repaired. See e2fsck(8) for its status.
func (p *preparing) fsck(ctx context.Context, patience time.Duration, how string) (repaired bool, err error) {
	status, said, err := tool(ctx, patience, "e2fsck", how, p.Device)
	p.logTool(how, status, said)
	p.tellLosses(said)
	switch {
	case err != nil:
		return false, err
	case status&^3 == 0:
		return status != 0, nil
	case status&8 != 0:
		return false, errNoFileSystem
	}
	return false, errors.New("its file system is damaged, and more than the check of each start repairs by itself")
}

// logTool keeps the end of what it said.
func (p *preparing) logTool(how string, status int, said string) {
	if said != "" {
		p.log.Info("the file system was checked", "how", how, "status", status, "said", endOf(said))
	}
}

func endOf(said string) string {
	return strings.ToValidUTF8(said[max(0, len(said)-mostToolLog):], "")
}

// makeFileSystem makes a new one. Its inode tables are zeroed by the kernel later,
// so that a first start does not wait for that. No discard: how long a card takes
// for it nobody knows. Root's reserve is what fsck and the system's notes live on
// where the gateway has filled the rest. The features left out are unknown to
// computers of a few years ago, on which a card may have to be repaired.
func (p *preparing) makeFileSystem(ctx context.Context, size int64) error {
	args := []string{
		"-q", "-F", "-t", "ext4", "-L", "assaygate-data", "-b", "4096", "-m", "1", "-e", "remount-ro",
		"-O", "^orphan_file,^metadata_csum_seed", "-E", "lazy_itable_init=1,lazy_journal_init=0,nodiscard",
	}
	if size >= 1<<30 {
		args = append(args, "-J", "size=32") // more is only more to be zeroed, and read after a power cut
	}
	status, said, err := tool(ctx, makePatience, "mke2fs", append(args, p.Device)...)
	if err == nil && status != 0 {
		err = fmt.Errorf("mke2fs: status %d: %s", status, endOf(said))
	}
	if err != nil {
		return fmt.Errorf("no file system can be made: %w", err)
	}
	return nil
}

// mounted mounts the file system for as long as do runs, where nobody else sees
// it, or for reading only.
func (p *preparing) mounted(readOnly bool, do func(directory string) error) error {
	if readOnly {
		return p.mountedWith(unix.MS_RDONLY, "errors=remount-ro", do)
	}
	return p.mountedWith(0, "errors=remount-ro", do)
}

func (p *preparing) mountedWith(flags uintptr, options string, do func(directory string) error) error {
	at := p.workplace()
	if err := os.MkdirAll(at, 0o700); err != nil {
		return err
	}
	flags |= unix.MS_NOATIME | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	if err := unix.Mount(p.Device, at, "ext4", flags, options); err != nil {
		return fmt.Errorf("it cannot be mounted: %w", err)
	}
	err := do(at)
	return errors.Join(err, unix.Unmount(at, 0))
}

// worthGrowing is how much larger the partition must be than its file system: a
// last group of blocks that is too small to be used is left over each time.
const worthGrowing = 16 << 20

// ext4Resize is EXT4_IOC_RESIZE_FS, which takes a number of blocks. The kernel
// grows the file system in steps of its journal, so that a power cut does no harm.
const ext4Resize = 0x40086610

// growFileSystem has the mounted file system fill the partition, of so many
// bytes, and returns by how many it has grown.
func (p *preparing) growFileSystem(directory string, size int64) (gained int64, err error) {
	super, err := p.superblock()
	if err != nil {
		return 0, err
	}
	is, block := super.size()
	if size-is < worthGrowing {
		return 0, nil
	}
	at, err := os.Open(directory)
	if err != nil {
		return 0, err
	}
	defer at.Close()
	blocks := uint64(size / block)
	if err := ioctl(at, ext4Resize, unsafe.Pointer(&blocks)); err != nil {
		return 0, fmt.Errorf("the file system cannot be grown: %w", err)
	}
	if err := unix.Syncfs(int(at.Fd())); err != nil {
		return 0, err
	}
	return size - is, nil
}
