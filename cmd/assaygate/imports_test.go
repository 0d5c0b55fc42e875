package main

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/assaygate/assaygate"

// mayImport is the architecture: which packages of ours a package may import.
// Siblings are strangers; "x/..." stands for x and all below it. Every package
// of the tree has its row here and in docs/architecture.md.
func mayImport() map[string][]string {
	return map[string][]string{
		"protocols/lis01":            {},
		"protocols/lis02":            {},
		"protocols/mllp":             {},
		"protocols/hl7":              {},
		"protocols/vendor":           {},
		"protocols/memorytest":       {},
		"envelope":                   {},
		"envelope/spool":             {"envelope"},
		"envelope/spool/cardtest":    {},
		"envelope/spool/spooltest":   {"envelope", "envelope/spool"},
		"device/port":                {},
		"device/probe":               {"device/port", "protocols/..."},
		"device/profile":             {"protocols/...", "envelope"},
		"device/instrument":          {"device/port", "device/profile", "protocols/...", "envelope", "envelope/spool"},
		"device/simulator":           {"device/capturefile", "device/port", "protocols/..."},
		"device/capturefile":         {"protocols/..."},
		"device/config":              {},
		"device/owner":               {},
		"device/configdrive":         {"device/config", "device/owner"},
		"device/network":             {},
		"device/health":              {},
		"device/live":                {},
		"device/certificate":         {},
		"device/commission":          {},
		"device/console":             {"device/console/...", "envelope", "envelope/spool"},
		"device/console/api":         {"envelope", "envelope/spool"},
		"device/console/login":       {},
		"device/console/picture":     {"envelope"},
		"device/board":               {},
		"device/partition":           {},
		"uplink":                     {"envelope", "envelope/spool"},
		"uplink/senaite":             {"envelope", "uplink"},
		"uplink/senaite/senaitetest": {},
		"uplink/capture":             {"envelope", "uplink"},
		"image/update/release":       {},
		"image/update/trust":         {"image/update/release"},
		"image/update/repository":    {"image/update/release"},
		"image/update/rauc":          {},
		"image/update/rauc/rauctest": {},
		"image/update/agent":         {"image/update/release", "image/update/trust"},
		"cmd/assaygate":              {"device/...", "protocols/...", "envelope/...", "uplink/...", "image/..."},
	}
}

// outsideWorld is what packages under protocols/ may not import: they are pure
// functions over bytes, and their caller owns line, clock and goroutines.
func outsideWorld() []string {
	return []string{"net/...", "os/...", "time/...", "log/...", "sync/...", "context/...", "syscall/...", "unsafe"}
}

// sources calls visit for every Go file below root that is part of the product,
// with its package's path from root. Tests may import what they like.
func sources(root string, visit func(pkg, file string) error) error {
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && file != root {
			_, err := os.Stat(filepath.Join(file, "go.mod"))
			if err == nil || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" {
				return filepath.SkipDir
			}
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		pkg, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(pkg), file)
	})
}

// forbiddenImports returns a line for each import below root that the table
// does not allow. It reads the files themselves: an answer of "go list" would
// come from the test cache, which does not see a new import.
func forbiddenImports(root string) ([]string, error) {
	rows := mayImport()
	var found []string
	err := sources(root, func(pkg, file string) error {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		allowed, known := rows[pkg]
		if !known {
			found = append(found, fmt.Sprintf("%s has no row in the import table", pkg))
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			own, isOwn := strings.CutPrefix(imported, module+"/")
			switch {
			case isOwn && known && !matches(own, allowed):
				found = append(found, fmt.Sprintf("%s may not import %s", pkg, own))
			case !isOwn && strings.HasPrefix(pkg, "protocols/") && matches(imported, outsideWorld()):
				found = append(found, fmt.Sprintf("%s is pure and may not import %s", pkg, imported))
			}
		}
		return nil
	})
	slices.Sort(found)
	return slices.Compact(found), err
}

// matches reports whether the import path is one of the patterns.
func matches(imported string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		tree, isTree := strings.CutSuffix(pattern, "/...")
		return imported == tree || isTree && strings.HasPrefix(imported, tree+"/")
	})
}

func TestImports(t *testing.T) {
	found, err := forbiddenImports("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, violation := range found {
		t.Error(violation)
	}
}

// TestImportsFindsPlantedViolations plants, for each row, every import that the
// row does not allow, and sees it found.
func TestImportsFindsPlantedViolations(t *testing.T) {
	rows := mayImport()
	for pkg, allowed := range rows {
		t.Run(pkg, func(t *testing.T) {
			for imported := range rows {
				want := []string{pkg + " may not import " + imported}
				if matches(imported, allowed) {
					want = nil
				}
				expectForbidden(t, pkg, module+"/"+imported, want)
			}
		})
	}
}

func TestImportsFindsImpureProtocols(t *testing.T) {
	for pkg := range mayImport() {
		for _, imported := range []string{
			"net", "net/http", "os", "os/exec", "time", "log", "log/slog",
			"sync", "sync/atomic", "context", "syscall", "unsafe",
		} {
			var want []string
			if strings.HasPrefix(pkg, "protocols/") {
				want = []string{pkg + " is pure and may not import " + imported}
			}
			expectForbidden(t, pkg, imported, want)
		}
		expectForbidden(t, pkg, "strings", nil)
	}
}

func TestImportsFindsPackagesWithoutARow(t *testing.T) {
	for _, pkg := range []string{"device/helper", "protocols", "protocols/lis03", "cmd/other", "util"} {
		expectForbidden(t, pkg, "strings", []string{pkg + " has no row in the import table"})
	}
}

func TestImportsLeavesOutTestsAndOtherModules(t *testing.T) {
	root := t.TempDir()
	violation := "import _ \"" + module + "/cmd/assaygate\"\n"
	plant(t, root, "envelope/envelope_test.go", "package envelope\n"+violation)
	plant(t, root, "device/port/testdata/x.go", "package x\n"+violation)
	plant(t, root, ".lint/tools.go", "package tools\n"+violation)
	plant(t, root, "other/go.mod", "module example.org/other\n")
	plant(t, root, "other/other.go", "package other\n"+violation)
	if found, err := forbiddenImports(root); err != nil || found != nil {
		t.Errorf("found %q, error %v; want nothing", found, err)
	}
	plant(t, root, "uplink/uplink.go", "package {\n")
	if _, err := forbiddenImports(root); err == nil {
		t.Error("a file that does not parse was passed over")
	}
}

// TestArchitectureShowsEveryRow holds the page that people read to the table.
func TestArchitectureShowsEveryRow(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for pkg := range mayImport() {
		if !strings.Contains(string(page), "\n| `"+pkg+"` |") {
			t.Errorf("docs/architecture.md has no row for %s", pkg)
		}
	}
}

// expectForbidden checks a tree that consists of one package with one import.
func expectForbidden(t *testing.T, pkg, imported string, want []string) {
	t.Helper()
	root := t.TempDir()
	plant(t, root, pkg+"/planted.go", fmt.Sprintf("package %s\n\nimport _ %q\n", path.Base(pkg), imported))
	found, err := forbiddenImports(root)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(found, want) {
		t.Errorf("%s imports %s: found %q, want %q", pkg, imported, found, want)
	}
}

// plant writes one file of a tree.
func plant(t *testing.T, root, name, text string) {
	t.Helper()
	file := filepath.Join(root, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
