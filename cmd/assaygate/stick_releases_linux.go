package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// releaseFolders are the parts of a repository of releases, in the main folder of a
// stick.
func releaseFolders() []string { return []string{"metadata", "targets"} }

// showReleases shows the parts of a repository that are on a stick in another place,
// for reading: the update agent sees these, and nothing else that people carry
// about. Where the stick has none of them, or this system no update agent, nothing
// is shown.
func showReleases(stick, shared string) error {
	for _, name := range releaseFolders() {
		info, err := os.Stat(filepath.Join(stick, name))
		if errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
			return nil
		}
		if err != nil {
			return err
		}
	}
	if _, err := os.Stat(shared); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, name := range releaseFolders() {
		if err := showFolder(filepath.Join(stick, name), filepath.Join(shared, name)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// showFolder mounts a folder in another place too, where it can only be read,
// whatever becomes of the stick.
func showFolder(folder, at string) error {
	clone, err := unix.OpenTree(unix.AT_FDCWD, folder, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return err
	}
	defer unix.Close(clone)
	if err := unix.MountSetattr(clone, "", unix.AT_EMPTY_PATH, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return err
	}
	return unix.MoveMount(clone, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}
