package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
	"github.com/assaygate/assaygate/image/update/repository"
)

type updateRepoAdd struct {
	repoChange
	Bundles   []string `arg:"" name:"bundle" help:"The bundles of a version, one for each board."`
	Version   string   `help:"Their version; default: what they say themselves." placeholder:"V"`
	Board     string   `help:"The board of a single bundle, to be compared with what it says itself." placeholder:"NAME"`
	Minimum   string   `help:"The lowest version that can be updated to this one directly." placeholder:"V"`
	Notes     string   `help:"What changes, for people; @FILE takes it from a file." placeholder:"TEXT"`
	Downgrade bool     `help:"Let it replace higher versions, which are offered no longer."`
}

// Run implements a kong command.
func (c *updateRepoAdd) Run(s *streams) error {
	if c.Board != "" && len(c.Bundles) > 1 {
		return usageError{errors.New("--board is for one bundle; without it each bundle says its own board")}
	}
	notes, err := c.notes()
	if err != nil {
		return err
	}
	var bundles []repository.Bundle
	for _, path := range c.Bundles {
		of, err := c.release(path)
		if err != nil {
			return err
		}
		of.Notes = notes
		bundles = append(bundles, repository.Bundle{Path: path, Release: of})
	}
	return c.make(s, func(r *repository.Repository) (repository.Outcome, error) {
		out, err := r.Add(bundles)
		if err != nil {
			return out, err
		}
		for _, b := range bundles {
			fmt.Fprintf(s.out, "version %s for %s\n", release.Plain(b.Release.Version), b.Release.Boards[0])
			if board := b.Release.Boards[0]; strings.HasPrefix(board, debugPrefix) {
				fmt.Fprintf(s.out, "warning: %s is of the debug image, which has a shell for everybody: only boxes with that image take it, and those of a release never\n", b.Path)
			}
			if note := c.goesOut(r, b.Release.Version); !slices.Contains(out.Notes, note) {
				out.Notes = append(out.Notes, note)
			}
		}
		return out, nil
	})
}

// goesOut says how a version reaches boxes. Waves of an earlier day count for what
// is added to it now.
func (c *updateRepoAdd) goesOut(r *repository.Repository, version string) string {
	version = release.Plain(version)
	switch w, is, err := r.Waves(version); {
	case err != nil:
		return err.Error()
	case is:
		return "by its waves, version " + version + " is: " + repository.ReleaseReport{Waves: w}.State(time.Now())
	}
	return fmt.Sprintf("boxes take it from a stick only, until: assaygate update repo wave %s %s", c.Directory, version)
}

// notes are the text itself, or that of a file.
func (c *updateRepoAdd) notes() (string, error) {
	file, is := strings.CutPrefix(c.Notes, "@")
	if !is {
		return c.Notes, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("--notes: %w", err)
	}
	return strings.ReplaceAll(strings.TrimSpace(string(text)), "\r\n", "\n"), nil
}

// What the compatible strings of all boards begin with, and those of debug images.
const (
	boardPrefix = "assaygate-"
	debugPrefix = boardPrefix + "debug-"
)

// release is what boxes are told of one bundle. Where the flags say something, the
// bundle must say the same: RAUC would refuse it on the box.
func (c *updateRepoAdd) release(path string) (release.Release, error) {
	said, err := repository.ReadManifest(path)
	if err != nil {
		return release.Release{}, err
	}
	if c.Board != "" && boardPrefix+strings.TrimPrefix(c.Board, boardPrefix) != said.Compatible {
		return release.Release{}, fmt.Errorf("%s is for %s, and not for --board %s", path, said.Compatible, c.Board)
	}
	version := said.Version
	if c.Version != "" && release.Plain(c.Version) != release.Plain(version) {
		return release.Release{}, fmt.Errorf("%s is version %s, and not --version %s: boxes would go by its own", path, version, c.Version)
	}
	of := release.Release{Version: version, Boards: []string{said.Compatible}, Minimum: c.Minimum, Downgrade: c.Downgrade}
	if err := of.Validate(); err != nil {
		return release.Release{}, fmt.Errorf("%s: %w", path, err)
	}
	return of, nil
}
