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
		content, err := os.ReadFile(file)
		fmt.Fprintf(hash, "%q %t %d\n", file, err == nil, len(content))
		hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil))
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
