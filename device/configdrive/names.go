package configdrive

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// The names at the root of a stick that mean something, in lower case. A stick
// is read without regard to case: FAT keeps the case of some names only.
const (
	ConfigName    = "assaygate.yaml"
	ManifestName  = "assaygate-manifest.json"
	SignatureName = "assaygate-manifest.sig"
	RestoreName   = "restore.age"
	PasswordName  = "password.txt" // of the one LIMS; password-NAME.txt of one of several
	ProfilesName  = "profiles"
	TLSName       = "tls"
	// MetadataName is the folder of a repository of releases, which the update agent
	// reads. Here it only asks for a report.
	MetadataName = "metadata"
	targetsName  = "targets"

	Collect     = "collect"
	Export      = "export"
	Backup      = "backup"
	SetClock    = "set-clock"
	Unseal      = "unseal"
	EraseSealed = "erase-sealed"
	Repair      = "repair"
	StartEmpty  = "start-empty"
	Reset       = "reset"
	Start       = "start"
)

// ReportName is what the box writes last. StartName is the configuration that
// the control file `start` asks for.
const (
	ReportName = "assaygate-report.txt"
	StartName  = "assaygate-start.yaml"
)

// Controls are the control files, in the order in which they are carried out:
// what takes something out of the box comes before what changes it.
func Controls() []string {
	return []string{Collect, Export, Backup, SetClock, Unseal, EraseSealed, Repair, StartEmpty, Reset, Start}
}

const (
	passwordPrefix = "password-"
	passwordSuffix = ".txt"
)

// PasswordOf returns the destination that a password file is for, "" where it
// does not say; false where the name is that of no password file.
func PasswordOf(name string) (destination string, ok bool) {
	if name == PasswordName {
		return "", true
	}
	middle, isOne := strings.CutPrefix(name, passwordPrefix)
	destination, ends := strings.CutSuffix(middle, passwordSuffix)
	return destination, isOne && ends && destination != ""
}

// Limits of what is read, in bytes. A stick is anybody's: none of it may fill
// the memory of a small box.
const (
	maxConfig  = 1 << 20
	maxProfile = 256 << 10
	maxTLS     = 64 << 10
	maxSmall   = 4 << 10 // passwords, control files, a signature
	maxRestore = 32 << 20
)

// Bounds of the number of entries, at the root and in a folder. Beyond them the
// stick is not read: it is no configuration, or a trap.
const (
	maxEntries  = 4096
	maxInFolder = 64
	maxFolders  = 64 // that are looked into for a configuration in the wrong place
)

// place is what a name on the stick stands for.
type place struct {
	key     string // in lower case, a control file without .txt
	limit   int64
	control bool
	empty   bool // a request says nothing more than its name
}

// placeOf returns what a file at the root stands for; false for all others.
func placeOf(name string) (place, bool) {
	lower := strings.ToLower(name)
	switch lower {
	case ConfigName:
		return place{key: ConfigName, limit: maxConfig}, true
	case ManifestName:
		return place{key: ManifestName, limit: maxConfig}, true
	case SignatureName:
		return place{key: SignatureName, limit: maxSmall}, true
	case RestoreName:
		return place{key: RestoreName, limit: maxRestore}, true
	}
	if _, is := PasswordOf(lower); is {
		return place{key: lower, limit: maxSmall}, true
	}
	if control := strings.TrimSuffix(lower, ".txt"); slices.Contains(Controls(), control) {
		// Which store is to be erased, and why, or what time it is, cannot be told by a name.
		return place{key: control, limit: maxSmall, control: true, empty: control != EraseSealed && control != SetClock}, true
	}
	return place{}, false
}

// placeIn returns what a file in a folder stands for.
func placeIn(folder, name string) (place, bool) {
	key := folder + "/" + strings.ToLower(name)
	switch {
	case folder == ProfilesName && strings.HasSuffix(key, ".yaml"):
		return place{key: key, limit: maxProfile}, true
	case folder == TLSName:
		return place{key: key, limit: maxTLS}, true
	}
	return place{}, false
}

// usable is what a file's name in a folder may be: it becomes one on the box.
var usable = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// hidden reports whether an entry is the operating system's: what macOS and
// Windows leave on every stick.
func hidden(name string) bool {
	return strings.HasPrefix(name, ".") || strings.EqualFold(name, "System Volume Information") || strings.EqualFold(name, "$RECYCLE.BIN")
}

// written reports whether an entry is one that the box itself writes.
func written(name string) bool {
	lower := strings.ToLower(name)
	for _, prefix := range []string{"assaygate-report", "assaygate-support-", "assaygate-export-", "assaygate-backup-", "assaygate-sealed-", "assaygate-start"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return lower == temporary
}

var copied = regexp.MustCompile(`( \([0-9]+\)| - .+|~[0-9]+)$`)

// nearMiss says what is wrong with a name that was meant to be one of ours; ""
// where it was not.
func nearMiss(name string) string {
	lower := strings.ToLower(name)
	stem := strings.TrimSuffix(lower, path.Ext(lower))
	var meant string
	switch {
	case lower == ConfigName+".txt":
		return "Windows hides the end of its name, which is .txt; name it " + ConfigName + " (in the Explorer: View, File name extensions)"
	case lower == "assaygate.yml", lower == "assaygate.txt", lower == "assaygate.yaml.yaml", lower == "assaygate", lower == "assaygate.yml.txt",
		strings.HasPrefix(lower, "assaygate") && copied.MatchString(stem):
		meant = ConfigName
	case lower == "password", lower == "passwort.txt", lower == "password.txt.txt":
		meant = PasswordName
	case strings.HasPrefix(lower, "assaygate-manifest."):
		meant = "what assaygate owner sign wrote: " + ManifestName + " and " + SignatureName
		return "is not taken under this name; name it " + meant
	case lower == RestoreName+".txt", lower == "restore", lower == "restore.txt":
		meant = RestoreName
	case slices.Contains(Controls(), strings.TrimSuffix(stem, ".txt")) && slices.Contains([]string{".txt", ".text", ".rtf", ".doc", ".docx", ".yaml"}, path.Ext(lower)):
		meant = strings.TrimSuffix(stem, ".txt")
	default:
		return ""
	}
	return "is not taken under this name; name it " + meant
}

// Means reports whether a file of that slash path is one that a box uses.
func Means(name string) bool {
	folder, inner, below := strings.Cut(name, "/")
	if !below {
		_, known := placeOf(name)
		return known
	}
	_, known := placeIn(strings.ToLower(folder), inner)
	return known && usable.MatchString(inner)
}
