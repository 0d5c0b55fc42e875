package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// check is what each start does: it brings to its end what a power cut has
// interrupted, and repairs what can be counted anew. e2fsck -p alone would do more:
// it takes away the name of a file whose inode is broken, and says so to nobody. So
// it is asked first what it would find, and only a person has files taken away.
func (p *preparing) check(ctx context.Context) (repaired bool, err error) {
	super, err := p.superblock()
	if err != nil {
		return false, errNoFileSystem // e2fsck -n would go on with a copy of it
	}
	if err := p.replay(super); err != nil {
		return false, err
	}
	status, said, err := tool(ctx, checkPatience, "e2fsck", "-n", p.Device)
	switch {
	case err != nil:
		return false, err
	case status == 0 && cleanSays.MatchString(said):
		return false, nil
	case status&^7 != 0:
		p.logTool("-n", status, said)
		return false, errNoFileSystem
	}
	if found := firstHarm(said); found != "" {
		p.logTool("-n", status, said)
		return false, fmt.Errorf("its file system is damaged, and a repair could take files away, which only a person may have done: %s", found)
	}
	return p.fsck(ctx, checkPatience, "-p")
}

// errNoFileSystem is what cannot be read as one.
var errNoFileSystem = errors.New("no sound file system can be read on it")

// replay has the kernel bring the journal to its end. It gives nothing up for that,
// as e2fsck -p may with a journal that is broken.
func (p *preparing) replay(super superblock) error {
	if !super.needsReplay() {
		return nil
	}
	return p.mounted(false, func(directory string) error {
		at, err := os.Open(directory)
		if err != nil {
			return err
		}
		defer at.Close()
		return unix.Syncfs(int(at.Fd()))
	})
}

var (
	// cleanSays is what e2fsck says of a file system that it need not look at.
	cleanSays = regexp.MustCompile(`(?m): clean, [0-9]+/[0-9]+ files`)
	// harmless are the lines of e2fsck -n whose repair takes nothing away: what can
	// be counted anew, and what it says besides. Any other is for a person.
	harmless = regexp.MustCompile(`^(` + strings.Join([]string{
		`|Pass [0-9].*|(Fix|Optimize|Create)\? no|IGNORED\.|e2fsck [0-9].*`,
		`.* (contains a file system with errors|was not cleanly unmounted), check forced\.`,
		`.*\*+ WARNING: Filesystem still has errors \*+|.*: [0-9]+/[0-9]+ files .*`,
		`(Block|Inode) bitmap differences: .*|(Free (blocks|inodes)|Directories) count wrong.*`,
		`Inode [0-9]+ ref count is .*|Inode [0-9]+, i_blocks is .*|Deleted inode [0-9]+ has zero dtime\..*`,
		`Padding at end of (block|inode) bitmap is not set\..*|/lost\+found not found\..*`,
		`Group [0-9]+ (block|inode) bitmap does not match checksum\.`,
		`Inode [0-9]+ extent tree .* could be (shorter|narrower)\..*`,
	}, "|") + `)$`)
	// takes are the lines by which a repair says that it takes something away.
	takes = regexp.MustCompile(`(Clear|Truncate|Salvage|Delete file|Recreate|Reallocate|Squash|Clone multiply-claimed blocks)\? yes|CLEARED|TRUNCATED|SALVAGED|DELETED|RECREATED`)
	finds = regexp.MustCompile(`(?m)Connect to /lost\+found\? yes`)
)

// firstHarm is the first line of what e2fsck -n says whose repair could take
// something away, "" for none.
func firstHarm(said string) string {
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); !harmless.MatchString(line) {
			text, _, _ := strings.Cut(line, "  ")
			return text
		}
	}
	return ""
}

// tellLosses has everybody told what a repair says that it took away.
func (p *preparing) tellLosses(said string) {
	var lost []string
	for line := range strings.Lines(said) {
		if takes.MatchString(line) {
			text, _, _ := strings.Cut(strings.TrimSpace(line), "  ")
			lost = append(lost, text)
		}
	}
	if len(lost) > 0 {
		p.tell("the repair took damaged files or parts of them away, in %s, the first: %s; look at what is missing: configuration, owner, messages", count(len(lost), "place"), lost[0])
	}
	if found := len(finds.FindAllString(said, -1)); found > 0 {
		p.tell("%s without a name now in lost+found: docs/recovery.md", count(found, "file"))
	}
}
