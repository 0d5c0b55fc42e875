package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// misdocumented returns a line for each package below root that has not exactly
// one package comment, or one that does not begin as godoc wants it.
func misdocumented(root string) ([]string, error) {
	comments := make(map[string][]string)
	names := make(map[string]string)
	err := sources(root, func(pkg, file string) error {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.PackageClauseOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		names[pkg] = parsed.Name.Name
		if text := parsed.Doc.Text(); text != "" { // Text leaves out directives
			comments[pkg] = append(comments[pkg], text)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var found []string
	for pkg, name := range names {
		first := "Package " + name + " "
		if name == "main" {
			first = "Command " + pkg[strings.LastIndex(pkg, "/")+1:] + " "
		}
		switch texts := comments[pkg]; {
		case len(texts) != 1:
			found = append(found, fmt.Sprintf("%s has %d package comments, not one", pkg, len(texts)))
		case !strings.HasPrefix(texts[0], first):
			found = append(found, fmt.Sprintf("%s: the package comment does not begin with %q", pkg, first))
		}
	}
	slices.Sort(found)
	return found, nil
}

func TestPackageDocs(t *testing.T) {
	found, err := misdocumented("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range found {
		t.Error(violation)
	}
}

func TestPackageDocsFindsPlantedViolations(t *testing.T) {
	for name, test := range map[string]struct {
		files []string
		want  []string
	}{
		"one":           {[]string{"// Package port opens lines.\npackage port\n", "package port\n"}, nil},
		"none":          {[]string{"package port\n", "// A stray note.\n\npackage port\n"}, []string{"device/port has 0 package comments, not one"}},
		"two":           {[]string{"// Package port opens lines.\npackage port\n", "// Package port too.\npackage port\n"}, []string{"device/port has 2 package comments, not one"}},
		"other words":   {[]string{"// Opens lines.\npackage port\n"}, []string{`device/port: the package comment does not begin with "Package port "`}},
		"only a tag":    {[]string{"//go:build linux\npackage port\n"}, []string{"device/port has 0 package comments, not one"}},
		"not a command": {[]string{"// Package main runs.\npackage main\n"}, []string{`device/port: the package comment does not begin with "Command port "`}},
		"a command":     {[]string{"// Command port runs.\npackage main\n"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			for i, text := range test.files {
				plant(t, root, fmt.Sprintf("device/port/file%d.go", i), text)
			}
			plant(t, root, "device/port/port_test.go", "// Package port has a comment in a test.\npackage port\n")
			found, err := misdocumented(root)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(found, test.want) {
				t.Errorf("found %q, want %q", found, test.want)
			}
		})
	}
}
