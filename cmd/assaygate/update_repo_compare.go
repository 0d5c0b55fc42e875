package main

import (
	"errors"
	"fmt"

	"github.com/assaygate/assaygate/image/update/repository"
)

type updateRepoCompare struct {
	Directory string `arg:"" name:"repository" help:"The directory that init made."`
	Published string `arg:"" name:"copy" help:"A copy of what the server has: a directory with metadata in it, or an empty one before the first publication."`
}

// Run implements a kong command.
func (c *updateRepoCompare) Run(s *streams) error {
	faults, err := repository.Compare(c.Directory, c.Published)
	if err != nil {
		return err
	}
	for _, fault := range faults {
		fmt.Fprintln(s.out, "fault:", fault)
	}
	if len(faults) > 0 {
		return errors.New("this repository is an old state, from which boxes would take nothing: do not publish it; " +
			"bring public back from the server, over what is here, before anything else is signed")
	}
	_, err = fmt.Fprintln(s.out, "ok: nothing that boxes have seen is missing here")
	return err
}
