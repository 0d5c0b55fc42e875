package main

import (
	"fmt"
	"io"
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
	if err := createNew(output, func(to io.Writer) error {
		_, err := io.Copy(to, content)
		return err
	}); err != nil {
		return err
	}
	_, err = fmt.Fprintln(s.out, output)
	return err
}
