package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// digestOf tells whether files hold what they held before. It says nothing of
// what that is. "" is no file.
func digestOf(files ...string) string {
	hash := sha256.New()
	for _, file := range files {
		if file == "" {
			continue
		}
		content, err := readFile(file)
		fmt.Fprintf(hash, "%q %t %d\n", file, err == nil, len(content))
		hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil))
}

// digestOfText tells whether a text is what it was before.
func digestOfText(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// readFile reads a file, and nothing else: a pipe in its place would be waited for
// without end, and with it whoever waits for the one who reads.
func readFile(path string) ([]byte, error) {
	if err := isFile(path); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
}

// isFile is why there is no file of that path, nil where there is one.
func isFile(path string) error {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	return err
}

// profileFiles are the own profiles in the directory, in order.
func profileFiles(directory string) (files []string) {
	if directory == "" {
		return nil
	}
	entries, _ := os.ReadDir(directory) // one that is missing has none
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".yaml") {
			files = append(files, filepath.Join(directory, entry.Name()))
		}
	}
	return files
}
