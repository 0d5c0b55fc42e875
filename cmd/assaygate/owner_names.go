package main

import (
	"path"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/configdrive"
)

// onStick reports whether a box looks at the file of this slash path on a stick.
func onStick(name string) bool {
	folder, base := path.Split(strings.ToLower(name))
	switch folder {
	case configdrive.TLSName + "/":
		return true
	case configdrive.ProfilesName + "/":
		return strings.HasSuffix(base, ".yaml")
	case "":
	default:
		return false
	}
	_, password := configdrive.PasswordOf(base)
	return password || base == configdrive.ConfigName || base == configdrive.RestoreName ||
		slices.Contains(configdrive.Controls(), strings.TrimSuffix(base, ".txt"))
}

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
