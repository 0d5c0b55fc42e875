package config

import (
	"fmt"
	"os"
)

// Replace puts data in place of the file as Save does, but keeps nothing of
// what it held before.
func Replace(path string, data []byte) error { return replaceWith(path, data, ownersMode) }

// Publish is Replace for what other users of the computer read too.
func Publish(path string, data []byte) error { return replaceWith(path, data, everybodysMode) }

// Who may read a file. A configuration holds passwords.
const (
	ownersMode     = 0o600
	everybodysMode = 0o644
)

func replaceWith(path string, data []byte, mode os.FileMode) error {
	if err := replace(path, data, mode); err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return nil
}
