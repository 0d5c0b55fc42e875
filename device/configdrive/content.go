package configdrive

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// File is one file of a stick, as it was read.
type File struct {
	// Name is the path as the stick has it, with slashes: "Profiles/XN.yaml".
	Name string
	Data []byte
}

// Content is what a stick held, read whole before any of it is used: it may be
// pulled at any time.
type Content struct {
	// Files are those that mean something, by their path in lower case; a
	// control file by its name without .txt.
	Files map[string]File
	// Faults are why nothing of the stick is used. Notes are what a person
	// should know of it beside: names that are nearly right.
	Faults, Notes []string
	// Release reports whether there is a repository of releases beside, which is not read here.
	Release bool
}

// Has reports whether the stick has the file.
func (c Content) Has(key string) bool {
	_, has := c.Files[key]
	return has
}

// Folder returns the files of a folder, in the order of their names.
func (c Content) Folder(folder string) (files []File) {
	for _, key := range slices.Sorted(maps.Keys(c.Files)) {
		if strings.HasPrefix(key, folder+"/") {
			files = append(files, c.Files[key])
		}
	}
	return files
}

// Passwords returns the password files by their destination, "" for that of the
// only one.
func (c Content) Passwords() map[string]File {
	files := make(map[string]File)
	for key, file := range c.Files {
		if destination, is := PasswordOf(key); is {
			files[destination] = file
		}
	}
	return files
}

// digest is equal for the same content, and for that alone.
func (c Content) digest() string {
	sum := sha256.New()
	part := func(text []byte) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		sum.Write(length[:])
		sum.Write(text)
	}
	for _, key := range slices.Sorted(maps.Keys(c.Files)) {
		part([]byte(key))
		part(c.Files[key].Data)
	}
	for _, list := range [][]string{c.Faults, c.Notes} {
		part([]byte(strings.Join(list, "\n")))
	}
	return hex.EncodeToString(sum.Sum(nil))
}
