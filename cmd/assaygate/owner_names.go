package main

import (
	"path"
	"strings"
)

// litter reports whether a file is what computers leave on sticks, or what a box
// has written there.
func litter(name string) bool {
	root, _, _ := strings.Cut(strings.ToLower(name), "/")
	if strings.HasPrefix(path.Base(name), ".") || strings.HasPrefix(root, ".") {
		return true
	}
	for _, prefix := range []string{
		"system volume information", "$recycle.bin", "assaygate-report", "assaygate-support-", "assaygate-export-",
		"assaygate-backup-", "assaygate-start", "assaygate-unsealed-",
	} {
		if strings.HasPrefix(root, prefix) {
			return true
		}
	}
	return false
}
