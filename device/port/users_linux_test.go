package port

import (
	"fmt"
	"os"
	"reflect"
	"testing"

	"golang.org/x/sys/unix"
)

// process makes one with an open file.
func (tr *tree) process(pid int, name, flags, file string) {
	tr.t.Helper()
	dir := tr.proc(fmt.Sprint(pid))
	tr.file(dir+"/comm", name+"\n")
	tr.file(dir+"/stat", fmt.Sprintf("%d (%s) S 1 1 1 0 -1 %s 0 0\n", pid, name, flags))
	if file != "" {
		if err := os.MkdirAll(dir+"/fd", 0o755); err != nil {
			tr.t.Fatal(err)
		}
		if err := os.Symlink(file, dir+"/fd/5"); err != nil {
			tr.t.Fatal(err)
		}
	}
}

func TestUsers(t *testing.T) {
	tr := laptop(t)
	tr.plug("ttyUSB0", "1-1.3", "1.0", "0", ftdi)
	tr.plug("ttyUSB1", "1-1.4", "1.0", "0", ftdi)
	path := tr.dev("ttyUSB0")
	users := func(want []Process, complete bool) {
		t.Helper()
		got, whole, err := tr.Users(path)
		if err != nil || !reflect.DeepEqual(got, want) || whole != complete {
			t.Errorf("got %+v, complete %v, %v; want %+v, %v", got, whole, err, want, complete)
		}
	}
	tr.process(300, "minicom", "4194304", tr.dev("ttyUSB1"))
	users(nil, false) // process 1 is not seen, so that others may not be either
	tr.process(1, "init", "4194560", "/dev/null")
	users(nil, true)
	tr.process(2, "kworker/0:1 (x)", "69238880", "") // of the kernel
	tr.file(tr.proc("2", "fd"), "not a directory, as one that may not be read")
	tr.file(tr.proc("3", "stat"), "") // gone meanwhile
	if err := os.Mkdir(tr.proc("3", "fd"), 0o755); err != nil {
		t.Fatal(err)
	}
	users(nil, true)
	tr.process(301, "picocom", "4194304", path)
	users([]Process{{301, "picocom"}}, true)

	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		t.Fatal(err)
	}
	tr.process(302, "assaygate", "4194304", "/dev/null")
	tr.file(tr.proc("locks"), fmt.Sprintf("1: FLOCK  ADVISORY  WRITE 302 %02x:%02x:%d 0 EOF\n2: POSIX  ADVISORY  READ 303 00:00:1 0 EOF\n3: -> FLOCK  ADVISORY  WRITE 301 %02x:%02x:%d 0 EOF\n",
		unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino, unix.Major(stat.Dev), unix.Minor(stat.Dev), stat.Ino))
	users([]Process{{301, "picocom"}, {302, "assaygate"}}, true)
}

// Where a process may not be looked at, an empty list proves nothing.
func TestUsersOfOthers(t *testing.T) {
	tr := laptop(t)
	tr.plug("ttyUSB0", "1-1.3", "1.0", "0", ftdi)
	tr.process(1, "init", "4194560", "/dev/null")
	tr.process(300, "getty", "4194304", "/dev/null")
	if err := os.RemoveAll(tr.proc("300", "fd")); err != nil {
		t.Fatal(err)
	}
	tr.file(tr.proc("300", "fd"), "not a directory, as one that may not be read")
	if list, complete, err := tr.Users(tr.dev("ttyUSB0")); err != nil || list != nil || complete {
		t.Errorf("got %+v, complete %v, %v", list, complete, err)
	}
}
