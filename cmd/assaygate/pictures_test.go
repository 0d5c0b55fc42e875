package main

import (
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// pictures is where those of the manual stand.
const pictures = "../../docs/screenshots"

var pictureName = regexp.MustCompile(`screenshots/([^)\s]+\.png)`)

// Each picture that the manual names is there, and each that is there is named.
func TestManualPictures(t *testing.T) {
	named := map[string]string{}
	err := filepath.WalkDir("../../docs", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, found := range pictureName.FindAllSubmatch(text, -1) {
			named[string(found[1])] = path
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(pictures, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, is := named[filepath.Base(file)]; !is {
			t.Errorf("no page of the manual shows %s", file)
		}
		delete(named, filepath.Base(file))
		expectSmallPicture(t, file)
	}
	for name, page := range named {
		t.Errorf("%s shows %s, which is not there: make test-browser SCREENSHOTS=docs/screenshots", page, name)
	}
}

// expectSmallPicture expects a PNG that is small enough for everybody who clones
// the project.
func expectSmallPicture(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	about, err := f.Stat()
	if err != nil || about.Size() > largestPicture {
		t.Errorf("%s is too large (%v)", file, err)
	}
	shown, err := png.DecodeConfig(f)
	if err != nil || !slices.Contains([]int{narrow, wide}, shown.Width) {
		t.Errorf("%s is %d pixels wide (%v)", file, shown.Width, err)
	}
}
