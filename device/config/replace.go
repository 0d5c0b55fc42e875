package config

import "fmt"

// Replace puts data in place of the file as Save does, but keeps nothing of
// what it held before.
func Replace(path string, data []byte) error {
	if err := replace(path, data); err != nil {
		return fmt.Errorf("save %s: %w", path, err)
	}
	return nil
}
