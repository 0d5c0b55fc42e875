package main

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const conformance = "../../docs/conformance.md"

// proof is the name of a test, or of a dialogue that a test plays.
var proof = regexp.MustCompile("`((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+|[a-z0-9]+/[a-z0-9_-]+\\.txt)`")

// A conformance statement is worth what proves it: each of its rows names a test
// or a dialogue that is there.
func TestConformanceIsProven(t *testing.T) {
	known := proofs(t)
	text, err := os.ReadFile(conformance)
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range unproven(string(text), known) {
		t.Error("docs/conformance.md " + fault)
	}
	if rows := strings.Count(string(text), "\n| "); rows < 60 {
		t.Errorf("only %d rows", rows)
	}
}

func TestConformanceFindsWhatIsNotProven(t *testing.T) {
	known := map[string]bool{"TestSplit": true, "astm/clean.txt": true}
	const head = "| what | how | proof |\n|---|---|---|\n"
	for row, faults := range map[string]int{
		"| a | b | `TestSplit` |\n":                      0,
		"| a | b | `TestSplit`, `astm/clean.txt` |\n":    0,
		"| a | b | |\n":                                  1,
		"| a | b | `TestGone` |\n":                       1,
		"| a | `TestSplit` | words |\n":                  1,
		"| a | b | `TestSplit`, `TestGone` |\n":          1,
		"| a | b | `TestSplit`, `mllp/not_here.txt` |\n": 1,
	} {
		if got := unproven(head+row, known); len(got) != faults {
			t.Errorf("%q: %q", row, got)
		}
	}
}

// unproven lists the rows of tables whose last column names no proof, or one
// that is not known.
func unproven(text string, known map[string]bool) (faults []string) {
	header := true
	for _, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "|") {
			header = true
			continue
		}
		if header {
			header = !strings.HasPrefix(line, "|---")
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), " | ")
		found := proof.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(found) == 0 {
			faults = append(faults, "proves nothing in "+line)
		}
		for _, name := range found {
			if !known[name[1]] {
				faults = append(faults, "names "+name[1]+", which is not there")
			}
		}
	}
	return faults
}

// proofs are the names of all tests of the tree, and of all dialogues.
func proofs(t *testing.T) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	function := regexp.MustCompile(`^func ((?:Test|Fuzz|Benchmark)[A-Za-z0-9_]+)\(`)
	for _, top := range []string{"cmd", "device", "protocols", "envelope", "uplink"} {
		err := filepath.WalkDir(filepath.Join("../..", top), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			slashed := filepath.ToSlash(path)
			if _, dialogue, ok := strings.Cut(slashed, "/testdata/dialogues/"); ok {
				known[dialogue] = true
			}
			if !strings.HasSuffix(slashed, "_test.go") {
				return nil
			}
			file, err := os.Open(path)
			if err != nil {
				return err
			}
			defer file.Close()
			lines := bufio.NewScanner(file)
			lines.Buffer(nil, 1<<20)
			for lines.Scan() {
				if m := function.FindStringSubmatch(lines.Text()); m != nil {
					known[m[1]] = true
				}
			}
			return lines.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return known
}
