package board

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mount is one line of /proc/self/mountinfo; see proc_pid_mountinfo(5).
type mount struct {
	number  string   // of the device, MAJOR:MINOR
	options []string // of the mount and of its file system
}

// readOnly reports whether nothing can be written. Since Linux 6.15 an ext4 that
// has stopped itself over an error still says rw, and beside it what has happened.
func (m mount) readOnly() bool {
	return slices.ContainsFunc(m.options, func(option string) bool {
		return option == "ro" || option == "emergency_ro" || option == "shutdown"
	})
}

// mountOf finds what is mounted at a path: the mount with the longest path of
// those above it, and of equal ones the newest, which covers the others.
func (s System) mountOf(path string) (m mount, found bool) {
	root := s.Proc
	if root == "" {
		root = "/proc"
	}
	text, err := os.ReadFile(filepath.Join(root, "self", "mountinfo"))
	if err != nil {
		return mount{}, false
	}
	longest := -1
	for line := range strings.Lines(string(text)) {
		// 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
		before, after, _ := strings.Cut(line, " - ")
		here, there := strings.Fields(before), strings.Fields(after)
		if len(here) < 6 || len(there) < 3 {
			continue
		}
		at := escapes.Replace(here[4])
		if !below(path, at) || len(at) < longest {
			continue
		}
		longest = len(at)
		m = mount{here[2], append(strings.Split(here[5], ","), strings.Split(there[2], ",")...)}
	}
	return m, longest >= 0
}

// escapes are how the kernel writes what would end a field.
var escapes = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)

func below(path, directory string) bool {
	return path == directory || strings.HasPrefix(path, strings.TrimSuffix(directory, "/")+"/")
}
