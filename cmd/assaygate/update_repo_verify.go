package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
	"github.com/assaygate/assaygate/image/update/repository"
)

type updateRepoVerify struct {
	Directory string `arg:"" name:"repository" help:"The directory that init made, or a copy of what is published of it."`
	Root      string `help:"The root.json that your boxes were flashed with; default: the first one of the repository." placeholder:"FILE"`
	At        string `help:"Judge for another time than now, such as 2031-05-04T08:00:00Z." placeholder:"TIME"`
}

// Run implements a kong command.
func (c *updateRepoVerify) Run(s *streams) error {
	options := repository.VerifyOptions{At: time.Now()}
	var err error
	if c.At != "" {
		if options.At, err = time.Parse(time.RFC3339, c.At); err != nil {
			return usageError{fmt.Errorf("--at: %q is no time such as 2031-05-04T08:00:00Z", c.At)}
		}
	}
	if c.Root != "" {
		if options.Root, err = os.ReadFile(c.Root); err != nil {
			return fmt.Errorf("--root: %w", err)
		}
	}
	report, err := repository.Verify(c.Directory, options)
	if err != nil {
		return err
	}
	sayRoles(s, report.Roles)
	if report.Expired > 0 && len(report.Boards) > 0 {
		fmt.Fprintln(s.out, "until what has expired is renewed, boxes take nothing; then:")
	}
	for _, board := range report.Boards {
		sayBoard(s, board, options.At)
	}
	for _, of := range []struct {
		word  string
		lines []string
	}{{"note:", report.Notes}, {"warning:", report.Warnings}, {"fault:", report.Faults}} {
		for _, line := range of.lines {
			fmt.Fprintln(s.out, of.word, line)
		}
	}
	if len(report.Faults) > 0 {
		return faulty(c.Directory, len(report.Faults), report.Expired)
	}
	_, err = fmt.Fprintln(s.out, "ok: a box takes this repository")
	return err
}

// faulty says what to do. Where files are as they were signed, no other copy helps.
func faulty(directory string, faults, expired int) error {
	count := fmt.Sprintf("%d faults", faults)
	if faults == 1 {
		count = "1 fault"
	}
	remedy := "where no remedy stands behind it, take the files from a copy that is whole, such as the server's, or make the change again"
	if faults == expired {
		remedy = "what has expired is renewed as it says there"
	}
	return fmt.Errorf("%s in %s; %s", count, directory, remedy)
}

func sayRoles(s *streams, roles []repository.RoleReport) {
	for _, r := range roles {
		fmt.Fprintf(s.out, "%-9s version %d, signed by %d of %d, valid until %s\n", r.Role, r.Version, r.Threshold, r.Keys, r.Expires.Format("2006-01-02"))
	}
}

// sayBoard says what there is for a board, and what its boxes do.
func sayBoard(s *streams, board repository.BoardReport, at time.Time) {
	fmt.Fprintln(s.out, board.Board)
	for _, r := range board.Releases {
		fmt.Fprintf(s.out, "  %s, %.1f MB%s: %s\n", release.Plain(r.Release.Version), float64(r.Length)/1e6, terms(r.Release), r.State(at))
	}
	for _, box := range board.Boxes {
		name := whichBox(box)
		if box.Stick == "" {
			fmt.Fprintf(s.out, "  %s stays as it is\n", name)
			continue
		}
		var shares []string
		for _, share := range box.HTTPS {
			shares = append(shares, share.String())
		}
		fmt.Fprintf(s.out, "  %s takes %s from a stick; over HTTPS: %s\n", name, box.Stick, strings.Join(shares, ", "))
	}
}

func whichBox(box repository.BoxReport) string {
	switch {
	case box.Version == "":
		return "a box older than " + box.Below
	case box.Below != "":
		return "a box from " + box.Version + " on, older than " + box.Below
	}
	return "a box with " + box.Version
}

// terms are the conditions of a release.
func terms(of release.Release) (text string) {
	if of.Minimum != "" {
		text += ", from " + release.Plain(of.Minimum) + " on"
	}
	if of.Downgrade {
		text += ", replaces higher versions"
	}
	return text
}
