package imagetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/configdrive"
)

// makeStick makes a FAT stick of the files in a directory, with as many MiB.
func makeStick(image, directory string, mib int) error {
	_ = os.Remove(image)
	if err := tool("mkfs.vfat", "-n", "STICK", "-C", image, fmt.Sprint(mib<<10)); err != nil {
		return err
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if err := tool("mcopy", "-s", "-i", image, filepath.Join(directory, entry.Name()), "::/"); err != nil {
			return err
		}
	}
	return nil
}

// fromStick reads a file of a stick.
func fromStick(image, name string) (string, error) {
	out, err := exec.Command("mtype", "-i", image, "::/"+name).Output()
	if err != nil {
		return "", fmt.Errorf("%s of the stick: %w", name, err)
	}
	return string(out), nil
}

// tool runs a program whose output only matters when it fails.
func tool(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, tail(string(out)))
	}
	return nil
}

// plugDisk plugs a USB disk in; a stick is one that says of itself that it is removable.
func (m *machine) plugDisk(name, image string, removable bool) error {
	if _, err := m.order("blockdev-add", map[string]any{"driver": "raw", "node-name": name, "file": map[string]any{"driver": "file", "filename": image}}); err != nil {
		return err
	}
	_, err := m.order("device_add", map[string]any{"driver": "usb-storage", "id": name, "drive": name, "bus": m.usb, "removable": removable})
	return err
}

// pullDisk pulls it out, however it is used. The emulator lets go of the file a moment later.
func (m *machine) pullDisk(name string) error {
	if err := m.pullDevice(name); err != nil {
		return err
	}
	var used error
	err := m.poll(momentLimit, "end of the disk "+name, func() (bool, error) {
		_, used = m.order("blockdev-del", map[string]any{"node-name": name})
		return used == nil, nil
	})
	return errors.Join(err, used)
}

func (m *machine) pullDevice(name string) error {
	if _, err := m.order("device_del", map[string]any{"id": name}); err != nil {
		return err
	}
	return m.poll(momentLimit, "end of the USB device "+name, func() (bool, error) {
		devices, err := m.words("info usb")
		return !strings.Contains(devices, "ID: "+name), err
	})
}

// stick plugs in a stick of the files. after may sign it or the like.
func (m *machine) stick(work string, files map[string]string, after ...func(directory string) error) error {
	directory, image := filepath.Join(work, "stick"), filepath.Join(work, "stick.img")
	if err := os.RemoveAll(directory); err != nil {
		return err
	}
	for name, text := range files {
		to := filepath.Join(directory, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(path.Dir(to), 0o700), os.WriteFile(to, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	for _, do := range after {
		if err := do(directory); err != nil {
			return err
		}
	}
	if err := makeStick(image, directory, 64); err != nil {
		return err
	}
	return m.plugDisk("stick", image, true)
}

// report plugs a stick of the files in, as a person does, waits for the report, and pulls the stick.
func (m *machine) report(work string, files map[string]string, after ...func(directory string) error) (report string, err error) {
	if err := m.stick(work, files, after...); err != nil {
		return "", err
	}
	image := filepath.Join(work, "stick.img")
	// Whoever stands in front of the box has no other word of it either: the report is there or not.
	err = m.poll(stickLimit, "report on the stick that is final", func() (bool, error) {
		text, err := fromStick(image, configdrive.ReportName)
		report = strings.ReplaceAll(text, "\r\n", "\n")
		whole := err == nil && strings.HasSuffix(text, "\r\n") && !strings.Contains(text, "\x00")
		return whole && !slices.ContainsFunc(unfinished, func(first string) bool { return strings.HasPrefix(report, first) }), nil
	})
	if err != nil && report != "" {
		err = fmt.Errorf("%w; there is:\n%s", err, report)
	}
	return report, errors.Join(err, m.pullDisk("stick"))
}

// unfinished are the first lines of reports that are written once more.
var unfinished = []string{"The new configuration runs, on trial", "The box is still at work"}

// wantReport is report, and expects a first line that begins like that, and texts.
func (m *machine) wantReport(work string, files map[string]string, verdict string, texts []string, after ...func(string) error) error {
	began := time.Now()
	report, err := m.report(work, files, after...)
	if err != nil {
		return fmt.Errorf("after %v: %w", time.Since(began).Round(time.Second), err)
	}
	if !strings.HasPrefix(report, verdict) {
		return fmt.Errorf("the report does not begin with %q:\n%s", verdict, report)
	}
	for _, text := range texts {
		if !strings.Contains(report, text) {
			return fmt.Errorf("the report does not say %q:\n%s", text, report)
		}
	}
	return nil
}
