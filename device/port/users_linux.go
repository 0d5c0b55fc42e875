package port

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Users lists the other processes that have a device open, without touching it:
// those whose open files may be looked at, and those that hold a lock on it, as
// the gateway does. Complete says that no process was closed to this one; then an
// empty list means that nobody has the device.
func (s System) Users(path string) (list []Process, complete bool, err error) {
	entries, err := os.ReadDir(s.proc())
	if err != nil {
		return nil, false, fmt.Errorf("who uses %s: %w", path, err)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	pids := s.lockers(path)
	complete = false
	closed := false
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		// Where a system hides other users' processes, its first one is hidden too.
		complete = complete || pid == 1
		switch has, err := s.has(pid, path); {
		case err != nil && !s.kernelThread(pid):
			closed = closed || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.ESRCH)
		case has:
			pids = append(pids, pid)
		}
	}
	complete = (complete || os.Getpid() == 1) && !closed
	slices.Sort(pids)
	for _, pid := range slices.Compact(pids) {
		list = append(list, Process{ID: pid, Name: attribute(s.proc(strconv.Itoa(pid)), "comm")})
	}
	return list, complete, nil
}

// has reports whether a process has the device open.
func (s System) has(pid int, path string) (bool, error) {
	directory := s.proc(strconv.Itoa(pid), "fd")
	files, err := os.ReadDir(directory)
	if err != nil {
		return false, err
	}
	for _, file := range files {
		if target, err := os.Readlink(filepath.Join(directory, file.Name())); err == nil && target == path {
			return true, nil
		}
	}
	return false, nil
}

// kernelThread reports whether a process is one: those have no files, and may be
// looked at by root only.
func (s System) kernelThread(pid int) bool {
	const flags, kthread = 6, 0x00200000 // the field behind the name in brackets, and PF_KTHREAD
	stat := attribute(s.proc(strconv.Itoa(pid)), "stat")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) <= flags {
		return false
	}
	value, err := strconv.ParseUint(fields[flags], 10, 64)
	return err == nil && value&kthread != 0
}

// lockers are the processes that hold a lock on the device. The kernel tells
// everybody.
func (s System) lockers(path string) (pids []int) {
	var stat unix.Stat_t
	if unix.Stat(path, &stat) != nil {
		return nil
	}
	of := fmt.Sprintf("%02x:%02x:%d", unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino)
	text, _ := os.ReadFile(s.proc("locks"))
	for line := range strings.Lines(string(text)) {
		// 1: FLOCK  ADVISORY  WRITE 1234 00:06:395 0 EOF
		fields := strings.Fields(line)
		if len(fields) < 6 || fields[len(fields)-3] != of {
			continue
		}
		if pid, err := strconv.Atoi(fields[len(fields)-4]); err == nil && pid > 0 && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
