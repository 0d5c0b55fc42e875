//go:build unix

package main

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// likeBefore gives a file that was replaced the owner and mode that it had: root
// may have replaced one of the gateway's.
func likeBefore(path string, before fs.FileInfo) error {
	err := os.Chmod(path, before.Mode().Perm())
	old, is := before.Sys().(*syscall.Stat_t)
	if now, failed := os.Stat(path); is && failed == nil {
		if fresh, is := now.Sys().(*syscall.Stat_t); is && (fresh.Uid != old.Uid || fresh.Gid != old.Gid) {
			err = errors.Join(os.Lchown(path, int(old.Uid), int(old.Gid)), err)
		}
	}
	return err
}
