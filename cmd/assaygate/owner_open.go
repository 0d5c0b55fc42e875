package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/assaygate/assaygate/device/owner"
)

type ownerOpen struct {
	File string `arg:"" help:"The encrypted file." placeholder:"FILE"`
	privateKey
	Output string `help:"Where the content goes, which must not exist; - is standard output. Default: FILE without .age." placeholder:"FILE"`
}

// Run implements a kong command.
func (c *ownerOpen) Run(s *streams) error {
	output := c.Output
	if output == "" {
		var ends bool
		if output, ends = strings.CutSuffix(c.File, ".age"); !ends || output == "" {
			return usageError{fmt.Errorf("%s does not end in .age; say with --output where its content goes", c.File)}
		}
	}
	key, err := c.read()
	if err != nil {
		return err
	}
	from, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer from.Close()
	content, err := owner.Decrypt(from, key)
	if err != nil {
		return fmt.Errorf("%s: %w", c.File, err)
	}
	if output == "-" {
		if _, err := io.Copy(s.out, content); err != nil {
			return fmt.Errorf("%s is not whole: %w", c.File, err)
		}
		return nil
	}
	if err := writeNew(output, content); err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "%s\n", output)
	return err
}

// writeNew writes a file that must not exist, readable by its owner only. What
// could not be written whole is removed.
func writeNew(path string, content io.Reader) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already and is not overwritten; name another file with --output", path)
	}
	if err != nil {
		return err
	}
	_, err = io.Copy(file, content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		return errors.Join(fmt.Errorf("%s could not be written whole: %w", path, err), os.Remove(path))
	}
	return nil
}
