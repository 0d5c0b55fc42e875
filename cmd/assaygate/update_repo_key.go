package main

import (
	"fmt"
	"strings"

	"github.com/assaygate/assaygate/image/update/repository"
)

type updateRepoKey struct {
	File string `arg:"" help:"The file to write, ROLE-N.pem; its public half goes beside it, as ROLE-N.pub. A file that ends in .pub is only shown."`
}

// Run implements a kong command.
func (c *updateRepoKey) Run(s *streams) error {
	if strings.HasSuffix(c.File, ".pub") {
		return c.show(s, c.File)
	}
	public, err := repository.NewKey(c.File)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "the private key is in %s: %s\n"+
		"the public key is in %s: give it to who makes the repository\n", c.File, keeping(repository.RoleOf(c.File)), public)
	return c.show(s, public)
}

// show says by which characters a key is told from others: sign shows the same
// behind each name.
func (c *updateRepoKey) show(s *streams, public string) error {
	id, err := repository.ShortID(public)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "its id begins with %s: compare this where sign names the key\n", id)
	return err
}

// keeping says where a private key of the role belongs.
func keeping(role string) string {
	switch role {
	case repository.Root, repository.Targets:
		return "keep it offline, in two copies, and give it to nobody"
	case repository.Waves, repository.Snapshot, repository.Timestamp:
		return "it belongs into the directory keys of the repository, on the machine that publishes"
	}
	return "keep it offline, in two copies, and give it to nobody; rotate --with takes it by any name, init only as ROLE-N.pem with one of the roles " +
		strings.Join(repository.Roles(), ", ")
}
