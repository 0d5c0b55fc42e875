package configdrive

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// survey is a look at a stick that reads no file: what is there, and whether it
// has changed since.
type survey struct {
	root    fs.FileInfo
	entries []entry
	faults  []string
	notes   []string
	asked   bool // it has a report, which asks for a new one
	release bool // it has a repository of releases, of which a report tells what became
}

// entry is a file that means something.
type entry struct {
	place
	name string // as the stick has it
	info fs.FileInfo
}

// same reports whether nothing has changed. What the box writes does not count.
func (s *survey) same(other *survey) bool {
	return s != nil && other != nil && os.SameFile(s.root, other.root) && slices.Equal(s.notes, other.notes) && slices.Equal(s.faults, other.faults) &&
		slices.EqualFunc(s.entries, other.entries, func(a, b entry) bool {
			return a.name == b.name && a.info.Size() == b.info.Size() && a.info.ModTime().Equal(b.info.ModTime()) && a.info.Mode() == b.info.Mode()
		})
}

// nothing reports whether the stick is not meant for a box at all.
func (s *survey) nothing() bool {
	return len(s.entries) == 0 && len(s.faults) == 0 && len(s.notes) == 0 && !s.asked && !s.release
}

// look surveys the stick. Its error says that the stick cannot be read at all,
// for example because it was pulled.
func look(root *os.Root) (*survey, error) {
	var s survey
	var err error
	if s.root, err = root.Stat("."); err != nil {
		return nil, err
	}
	names, err := list(root, ".", maxEntries)
	if errors.Is(err, errTooMany) {
		s.faults = append(s.faults, fmt.Sprintf("the stick has more than %d files in its main folder; use an empty one", maxEntries))
		return &s, nil
	}
	if err != nil {
		return nil, err
	}
	folders, began := 0, ""
	for _, name := range names {
		lower := strings.ToLower(name)
		switch {
		case hidden(name):
		case lower == ReportName:
			s.asked = true
		case lower == StartName:
			began = name
		case written(name):
		case lower == MetadataName:
			s.release = isMetadata(root, name)
		case lower == ProfilesName || lower == TLSName:
			err = s.folder(root, lower, name)
		default:
			if err = s.file(root, name); err == nil && folders < maxFolders {
				folders += s.strayed(root, name)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	if began != "" && !s.has(ConfigName) && !s.has(Start) {
		// Filled in and saved as it was: the likeliest mistake of all.
		s.notes = append(s.notes, printable(began)+": is not taken under this name; when it is filled in, name it "+ConfigName)
	}
	slices.SortFunc(s.entries, func(a, b entry) int { return strings.Compare(a.key+"\n"+a.name, b.key+"\n"+b.name) })
	for i := 1; i < len(s.entries); i++ {
		if a, b := s.entries[i-1], s.entries[i]; a.key == b.key {
			s.faults = append(s.faults, fmt.Sprintf("%s and %s mean the same; remove one", printable(a.name), printable(b.name)))
		}
	}
	return &s, nil
}

func (s *survey) has(key string) bool {
	return slices.ContainsFunc(s.entries, func(one entry) bool { return one.key == key })
}

// file takes note of an entry at the root.
func (s *survey) file(root *os.Root, name string) error {
	at, known := placeOf(name)
	if !known {
		why := nearMiss(name)
		if why == "" {
			return nil
		}
		if info, err := root.Lstat(name); err == nil && info.IsDir() {
			return nil // renamed, it would be no file either
		}
		s.notes = append(s.notes, printable(name)+": "+why)
		return nil
	}
	return s.add(root, at, name)
}

func (s *survey) add(root *os.Root, at place, name string) error {
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it went away meanwhile, or its name cannot be looked up
	case err != nil:
		return err
	case info.IsDir() && at.control:
		// A folder called backup is anybody's.
	case info.IsDir():
		s.faults = append(s.faults, printable(name)+" is a folder; it must be a file")
	case !info.Mode().IsRegular():
		s.faults = append(s.faults, printable(name)+" is not a plain file; copy the file itself to the stick")
	case info.Size() > at.limit && at.empty:
		s.notes = append(s.notes, printable(name)+notEmpty)
	case info.Size() > at.limit:
		s.faults = append(s.faults, fmt.Sprintf("%s has %d bytes; at most %d are read", printable(name), info.Size(), at.limit))
	default:
		s.entries = append(s.entries, entry{at, name, info})
	}
	return nil
}

// folder takes note of what is in profiles or tls.
func (s *survey) folder(root *os.Root, folder, name string) error {
	info, err := root.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		s.faults = append(s.faults, printable(name)+" is not a folder; make a folder of that name and put the files into it")
		return nil
	}
	names, err := list(root, name, maxInFolder)
	if errors.Is(err, errTooMany) {
		s.faults = append(s.faults, fmt.Sprintf("%s holds more than %d files; remove what the box does not need", printable(name), maxInFolder))
		return nil
	}
	if err != nil {
		return err
	}
	for _, inner := range names {
		at, known := placeIn(folder, inner)
		shown := printable(name + "/" + inner)
		switch {
		case hidden(inner):
		case !known:
			s.notes = append(s.notes, shown+": is not taken; the name of a profile ends in .yaml")
		case !usable.MatchString(inner):
			s.faults = append(s.faults, shown+": this name cannot be used; take up to 64 letters, digits, dots, hyphens and underscores, beginning with a letter or digit")
		default:
			if err := s.add(root, at, path.Join(name, inner)); err != nil {
				return err
			}
		}
	}
	return nil
}

// isMetadata reports whether a folder is that of a repository of releases: anybody may
// have one of that name.
func isMetadata(root *os.Root, name string) bool {
	info, err := root.Lstat(path.Join(name, "timestamp.json"))
	return err == nil && info.Mode().IsRegular()
}

// strayed looks for a configuration, or a release, in a folder, where it is not taken. It
// returns how many folders it looked into.
func (s *survey) strayed(root *os.Root, name string) int {
	if info, err := root.Lstat(name); err != nil || !info.IsDir() {
		return 0
	}
	inner := path.Join(name, ConfigName)
	if info, err := root.Lstat(inner); err == nil && info.Mode().IsRegular() {
		s.notes = append(s.notes, printable(inner)+": is not taken from a folder; put it into the main folder of the stick")
	}
	if inner := path.Join(name, MetadataName); isMetadata(root, inner) {
		s.notes = append(s.notes, printable(inner)+": is not taken from a folder; put "+MetadataName+" and "+targetsName+" into the main folder of the stick")
	}
	return 1
}

var errTooMany = errors.New("too many entries")

// list returns the names in a directory in their order.
func list(root *os.Root, name string, most int) (names []string, err error) {
	directory, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer directory.Close()
	// Not ReadDir: its look at each entry fails where a name cannot be looked up,
	// as names with broken characters on a FAT.
	names, err = directory.Readdirnames(most + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(names) > most {
		return nil, errTooMany
	}
	slices.Sort(names)
	return names, nil
}

// read reads what the survey found. Where a file is not the one of the survey
// any more it returns errChanged: somebody is writing it.
func (s *survey) read(root *os.Root, step func(string) error) (Content, error) {
	c := Content{Files: make(map[string]File), Faults: slices.Clone(s.faults), Notes: slices.Clone(s.notes), Release: s.release}
	if len(c.Faults) > 0 {
		return c, nil // nothing of it will be used
	}
	for _, one := range s.entries {
		if err := step("read " + one.key); err != nil {
			return Content{}, err
		}
		data, err := one.read(root)
		if err != nil {
			return Content{}, fmt.Errorf("read %s: %w", one.name, err)
		}
		if one.empty && !blank(data) {
			c.Notes = append(c.Notes, printable(one.name)+notEmpty)
			continue
		}
		c.Files[one.key] = File{Name: one.name, Data: data}
	}
	return c, nil
}

// notEmpty: a file export.txt that holds something is more likely somebody's own
// than an order to copy patients' data.
const notEmpty = ": is not taken as a request, because it is not empty; make an empty file of this name"

func blank(data []byte) bool {
	return len(bytes.TrimSpace(bytes.Trim(data, "\xEF\xBB\xBF\xFE\xFF\x00"))) == 0
}

var errChanged = errors.New("the file is being changed")

func (e entry) read(root *os.Root) ([]byte, error) {
	// Without waiting: a pipe in the place of the file must not hold the box.
	file, err := root.OpenFile(e.name, os.O_RDONLY|nonBlocking, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !os.SameFile(info, e.info) || info.Size() != e.info.Size() {
		return nil, errChanged
	}
	data, err := io.ReadAll(io.LimitReader(file, e.limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) != info.Size() {
		return nil, errChanged
	}
	return data, nil
}

// quiet is how long a stick must not have changed before it is taken.
const quiet = time.Second
