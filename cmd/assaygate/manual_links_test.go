package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// manualLink is a link or a picture of Markdown; its target is captured.
	manualLink = regexp.MustCompile(`\]\(([^()\s]+)\)`)
	// fencedText and codeSpan show text as it is: nothing in them is a link.
	fencedText = regexp.MustCompile("(?ms)^ *```.*?^ *```$")
	codeSpan   = regexp.MustCompile("`[^`\n]*`")
	// leftOfAnchor is what an anchor keeps of its heading, as GitHub makes it.
	leftOfAnchor = regexp.MustCompile(`[^\p{L}\p{N}\p{M}_ -]`)
)

// anchorsOf returns the anchors of a page's headings.
func anchorsOf(page string) map[string]bool {
	anchors := map[string]bool{}
	for line := range strings.Lines(fencedText.ReplaceAllString(page, "")) {
		marks, heading, found := strings.Cut(strings.TrimSpace(line), " ")
		if !found || marks == "" || strings.Trim(marks, "#") != "" {
			continue
		}
		heading = manualLink.ReplaceAllString(heading, "]")
		anchors[strings.ReplaceAll(leftOfAnchor.ReplaceAllString(strings.ToLower(heading), ""), " ", "-")] = true
	}
	return anchors
}

// brokenLinks returns the links of a page that lead nowhere. Those to other
// places of the Internet are not followed.
func brokenLinks(path, page string, read func(string) (string, error)) (broken []string) {
	page = codeSpan.ReplaceAllString(fencedText.ReplaceAllString(page, ""), "")
	for _, link := range manualLink.FindAllStringSubmatch(page, -1) {
		file, anchor, _ := strings.Cut(link[1], "#")
		if strings.Contains(file, "://") {
			continue
		}
		target := path
		if file != "" {
			target = filepath.Join(filepath.Dir(path), file)
		}
		text, err := read(target)
		if err != nil || anchor != "" && !anchorsOf(text)[anchor] {
			broken = append(broken, link[1])
		}
	}
	return broken
}

// Who follows a link of the manual stands before a machine that does not work.
func TestManualLinksLeadSomewhere(t *testing.T) {
	pages := []string{"../../README.md", "../../CHANGELOG.md"}
	if err := filepath.WalkDir("../../docs", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".md") {
			pages = append(pages, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	read := func(path string) (string, error) {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return "", nil
		}
		text, err := os.ReadFile(path)
		return string(text), err
	}
	for _, path := range pages {
		page, err := read(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range brokenLinks(path, page, read) {
			t.Errorf("%s: the link %s leads nowhere", filepath.ToSlash(filepath.Clean(path)), link)
		}
	}
}

func TestBrokenLinksAreFound(t *testing.T) {
	pages := map[string]string{
		"docs/a.md": "# A\n[b](b.md) [c](c.md) [d](b.md#here) [e](b.md#there) [f](#a) [g](#b) ![p](p.png) `[x](x.md)`\n```\n[y](y.md)\n```\n[w](https://example.org/w)\n",
		"docs/b.md": "# B\n## Here\n```\n# there\n```\n### It's `X`, not: Y\n[i](#its-x-not-y)\n",
	}
	read := func(path string) (string, error) {
		text, found := pages[filepath.ToSlash(path)]
		if !found {
			return "", fs.ErrNotExist
		}
		return text, nil
	}
	if got := strings.Join(brokenLinks("docs/a.md", pages["docs/a.md"], read), " "); got != "c.md b.md#there #b p.png" {
		t.Errorf("broken: %s", got)
	}
	if got := brokenLinks("docs/b.md", pages["docs/b.md"], read); got != nil {
		t.Errorf("broken: %v", got)
	}
}
