package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/assaygate/assaygate/device/partition"
)

// dataDisk is the card that the partition for /data is on.
type dataDisk struct {
	device  string // of the partition
	number  int
	disk    *os.File
	table   *partition.Table
	sector  int64
	guarded bool // the card or its partition takes no writes
}

// errNoPartition says nothing of why: the card may be slow, or not answer.
var errNoPartition = errors.New("it was not there when the box started")

// cardLacks reports whether the card that the box was started from is there, and its
// table has no partition of that name. Only that one would be flashed anew.
func cardLacks(device string) bool {
	for _, other := range []string{"boot", "rootfs-a", "rootfs-b"} {
		disk, err := openDataDisk(filepath.Join(filepath.Dir(device), other))
		if err != nil {
			continue
		}
		defer disk.close()
		return !disk.table.Holds(filepath.Base(device))
	}
	return false
}

// openDataDisk finds the disk of a partition and reads its table. What it returns
// is to be closed.
func openDataDisk(device string) (*dataDisk, error) {
	var info unix.Stat_t
	if err := unix.Stat(device, &info); errors.Is(err, unix.ENOENT) {
		return nil, errNoPartition
	} else if err != nil {
		return nil, err
	}
	if info.Mode&unix.S_IFMT != unix.S_IFBLK {
		return nil, fmt.Errorf("%s is not a partition", device)
	}
	major, minor := unix.Major(info.Rdev), unix.Minor(info.Rdev)
	text, err := os.ReadFile(fmt.Sprintf("/sys/dev/block/%d:%d/partition", major, minor))
	number, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || bad != nil {
		return nil, fmt.Errorf("%s is not a partition of a disk", device)
	}
	d := &dataDisk{device: device, number: number}
	path := filepath.Join("/dev", filepath.Base(diskOf(major, minor)))
	if d.disk, err = os.OpenFile(path, os.O_RDWR, 0); errors.Is(err, unix.EACCES) || errors.Is(err, unix.EROFS) {
		d.guarded = true
		d.disk, err = os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	if err := d.read(); err != nil {
		return nil, errors.Join(err, d.disk.Close())
	}
	return d, nil
}

func (d *dataDisk) read() error {
	size, err := d.disk.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	sector, err := unix.IoctlGetInt(int(d.disk.Fd()), unix.BLKSSZGET)
	if err != nil {
		return err
	}
	d.sector = int64(sector)
	if d.table, err = partition.Read(d.disk, size, d.sector); err != nil {
		return fmt.Errorf("%s: %w", d.disk.Name(), err)
	}
	part, err := os.Open(d.device)
	if err != nil {
		return err
	}
	defer part.Close()
	protected, err := unix.IoctlGetInt(int(part.Fd()), unix.BLKROGET)
	d.guarded = d.guarded || protected != 0
	return err
}

// guardPartition has the kernel refuse every write to the partition until the box
// is started anew, whoever asks: what is mounted then can only be read. Or it takes
// that back.
func guardPartition(device string, guarded bool) error {
	part, err := os.Open(device)
	if err != nil {
		return err
	}
	defer part.Close()
	value := 0
	if guarded {
		value = 1
	}
	return unix.IoctlSetPointerInt(int(part.Fd()), unix.BLKROSET, value)
}

// mountedAt reports where the device is mounted, "" for nowhere.
func mountedAt(device string) (at string, err error) {
	var info unix.Stat_t
	if err := unix.Stat(device, &info); err != nil {
		return "", err
	}
	mounts, err := mountTable()
	for _, one := range mounts {
		if one.major == unix.Major(info.Rdev) && one.minor == unix.Minor(info.Rdev) {
			at = one.at
		}
	}
	return at, err
}

// grow has the partition reach to the end of the card. It returns by how many
// bytes it has grown, and has the kernel know in any case.
func (d *dataDisk) grow() (gained int64, err error) {
	if gained, err = d.table.Grow(d.number); err != nil {
		return 0, err
	}
	if _, err := d.table.Write(d.disk); err != nil {
		return 0, err
	}
	return gained, d.tellKernel()
}

// tellKernel has it know how large the partition is. It would not read the whole
// table again while another partition is mounted.
func (d *dataDisk) tellKernel() error {
	e, _ := d.table.Entry(d.number)
	length := (e.Last - e.First + 1) * d.sector
	if size, err := d.size(); err == nil && size == length {
		return nil
	}
	part := unix.BlkpgPartition{Start: e.First * d.sector, Length: length, Pno: int32(d.number)}
	arg := unix.BlkpgIoctlArg{Op: unix.BLKPG_RESIZE_PARTITION, Datalen: int32(unsafe.Sizeof(part)), Data: (*byte)(unsafe.Pointer(&part))}
	err := ioctl(d.disk, unix.BLKPG, unsafe.Pointer(&arg))
	runtime.KeepAlive(&part)
	if err != nil {
		return fmt.Errorf("telling the kernel how large the partition is: %w", err)
	}
	return nil
}

// size is how many bytes the partition has, as the kernel knows it.
func (d *dataDisk) size() (int64, error) {
	part, err := os.Open(d.device)
	if err != nil {
		return 0, err
	}
	defer part.Close()
	return part.Seek(0, io.SeekEnd)
}

func ioctl(f *os.File, request uint, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), uintptr(request), uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

// errNoGap keeps a note from being written over something else.
var errNoGap = errors.New("on this card there is no room for a note to the next start: its partitions are not those of the image")

// note returns what the next start was told, the zero value for nothing.
func (d *dataDisk) note() (cardNote, error) {
	if !d.table.Gap(dataNoteOffset, dataNoteSize) {
		return cardNote{}, errNoGap
	}
	sector := make([]byte, dataNoteSize)
	if _, err := d.disk.ReadAt(sector, dataNoteOffset); err != nil {
		return cardNote{}, err
	}
	return parseCardNote(sector)
}

// setNote tells the next start, durably. The zero value takes the note away.
func (d *dataDisk) setNote(n cardNote) error {
	sector, err := n.encode()
	if err != nil {
		return err
	}
	return d.setSector(sector, dataNoteOffset)
}

// madeMark is what stands on the card once this file system was made on it.
func madeMark(s superblock) []byte {
	sector := make([]byte, dataNoteSize)
	copy(sector, fmt.Sprintf("%s%x\n", dataMadeMark, s.uuid()))
	return sector
}

// made reports whether the card says that this file system was made on it.
func (d *dataDisk) made(s superblock) bool {
	is := make([]byte, dataNoteSize)
	_, err := d.disk.ReadAt(is, dataMadeOffset)
	return err == nil && d.table.Gap(dataMadeOffset, dataNoteSize) && bytes.Equal(is, madeMark(s))
}

// setMade has the card say so, durably.
func (d *dataDisk) setMade(s superblock) error {
	if d.made(s) {
		return nil
	}
	return d.setSector(madeMark(s), dataMadeOffset)
}

// errSwallowed is what a worn card does: it takes a write, says that all is well,
// and has forgotten it.
var errSwallowed = errors.New("it takes what is written, and does not keep it")

// setSector writes one sector of the gap, durably, and asks the card whether it has
// it: a note that comes back could have a file system made over what was stored.
func (d *dataDisk) setSector(sector []byte, offset int64) error {
	if !d.table.Gap(offset, int64(len(sector))) {
		return errNoGap
	}
	if _, err := d.disk.WriteAt(sector, offset); err != nil {
		return err
	}
	if err := d.disk.Sync(); err != nil {
		return err
	}
	is, err := readDirect(d.disk.Name(), offset, len(sector))
	switch {
	case err != nil:
		return fmt.Errorf("reading back what was written: %w", err)
	case !bytes.Equal(is, sector):
		return errSwallowed
	}
	return nil
}

// directBlock is what O_DIRECT wants offset, length and address to be multiples of,
// on every card.
const directBlock = 4096

// readDirect reads from the card itself, not from what the kernel remembers of it.
// The offset is a multiple of directBlock, the length at most that.
func readDirect(device string, offset int64, length int) ([]byte, error) {
	file, err := os.OpenFile(device, os.O_RDONLY|unix.O_DIRECT, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	room := make([]byte, 2*directBlock)
	align := -int(uintptr(unsafe.Pointer(unsafe.SliceData(room)))) & (directBlock - 1)
	block := room[align : align+directBlock]
	if n, err := file.ReadAt(block, offset); n < length {
		return nil, errors.Join(err, io.ErrUnexpectedEOF)
	}
	return block[:length], nil
}

func (d *dataDisk) close() error { return d.disk.Close() }
