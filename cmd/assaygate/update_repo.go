package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/assaygate/assaygate/image/update/repository"
)

// updateRepo are the commands of who makes releases and of who runs a fleet. None
// asks anything, so that scripts and cron can call them.
type updateRepo struct {
	Init    updateRepoInit    `cmd:"" help:"Make a repository, and its keys. Example: assaygate update repo init repository"`
	Add     updateRepoAdd     `cmd:"" help:"Offer bundles to boxes. Example: assaygate update repo add repository assaygate-raspberrypi4_64-v1.2.0.raucb"`
	Remove  updateRepoRemove  `cmd:"" help:"Offer a version no longer. Example: assaygate update repo remove repository 1.2.0"`
	Wave    updateRepoWave    `cmd:"" help:"Let a version go out over HTTPS in waves, or pause it. Example: assaygate update repo wave repository 1.2.0"`
	Refresh updateRepoRefresh `cmd:"" help:"Renew the timestamp, as cron does each day. Example: assaygate update repo refresh repository"`
	Sign    updateRepoSign    `cmd:"" help:"Add signatures to what waits for them, and publish what is complete. Example: assaygate update repo sign repository --keys E:"`
	Rotate  updateRepoRotate  `cmd:"" help:"Put a new key in place of another. Example: assaygate update repo rotate repository root-1 --keys E:"`
	Prune   updateRepoPrune   `cmd:"" help:"Remove the files of bundles and waves that no box is told of any more. Example: assaygate update repo prune repository"`
	Key     updateRepoKey     `cmd:"" help:"Make a key of one's own, or show which one a file holds. Example: assaygate update repo key root-2.pem"`
	Compare updateRepoCompare `cmd:"" help:"Say whether a repository is at least as new as what is published. Example: assaygate update repo compare repository seen"`
	Verify  updateRepoVerify  `cmd:"" help:"Judge a repository as a box would. Example: assaygate update repo verify repository"`
}

// repoKeys is the flag that names the private keys.
type repoKeys struct {
	Keys []string `help:"A directory with private keys, instead of keys in the repository; may be repeated." placeholder:"DIR" sep:"none"`
}

// repoChange is a repository that a command changes.
type repoChange struct {
	Directory string `arg:"" name:"repository" help:"The directory that init made."`
	repoKeys
}

var errClock = errors.New("the clock of this computer is wrong, and signatures say until when they are valid: set it")

// make opens the repository, changes it, and says what came of it.
func (c repoChange) make(s *streams, change func(*repository.Repository) (repository.Outcome, error)) error {
	if !clockSet() {
		return errClock
	}
	r, err := repository.Open(c.Directory, c.Keys...)
	if err != nil {
		return err
	}
	defer r.Close()
	out, err := change(r)
	if err != nil {
		return err
	}
	sayOutcome(s, c.Directory, out)
	return nil
}

// sayOutcome says what boxes see now, and what is still to be done.
func sayOutcome(s *streams, directory string, out repository.Outcome) {
	for _, note := range out.Notes {
		fmt.Fprintln(s.out, note)
	}
	for _, role := range out.Signed {
		fmt.Fprintln(s.out, "signed", role)
	}
	for _, name := range out.Published {
		fmt.Fprintln(s.out, "wrote", filepath.ToSlash(filepath.Join("public", "metadata", name)))
	}
	if len(out.Missing) == 0 {
		return
	}
	fmt.Fprintln(s.out, "not published yet, it waits for:")
	for _, missing := range out.Missing {
		fmt.Fprintln(s.out, "  "+missing.String())
	}
	fmt.Fprintf(s.out, "what is signed lies in %s: bring it to where these keys are, and call there: assaygate update repo sign %s\n",
		filepath.ToSlash(filepath.Join(directory, "pending.json")), filepath.ToSlash(directory))
}

type updateRepoRemove struct {
	repoChange
	Version string `arg:"" help:"The version, which no box takes any more. Boxes that have it keep it."`
}

// Run implements a kong command.
func (c *updateRepoRemove) Run(s *streams) error {
	return c.make(s, func(r *repository.Repository) (repository.Outcome, error) { return r.Remove(c.Version) })
}

type updateRepoPrune struct {
	Directory string `arg:"" name:"repository" help:"The directory that init made."`
}

// Run implements a kong command.
func (c *updateRepoPrune) Run(s *streams) error {
	r, err := repository.Open(c.Directory)
	if err != nil {
		return err
	}
	defer r.Close()
	removed, err := r.Prune()
	for _, name := range removed {
		fmt.Fprintln(s.out, "removed public/"+name)
	}
	if err == nil && len(removed) == 0 {
		fmt.Fprintln(s.out, "nothing to remove")
	}
	return err
}

type updateRepoRefresh struct {
	repoChange
	Renew []string `help:"Sign a role anew that people sign, so that it expires later: root, targets or waves; may be repeated." placeholder:"ROLE" sep:"none"`
}

// Run implements a kong command.
func (c *updateRepoRefresh) Run(s *streams) error {
	return c.make(s, func(r *repository.Repository) (repository.Outcome, error) { return r.Refresh(c.Renew...) })
}

type updateRepoSign struct {
	repoChange
	Show bool `help:"Only show what waits for signatures."`
}

// Run implements a kong command.
func (c *updateRepoSign) Run(s *streams) error {
	return c.make(s, func(r *repository.Repository) (repository.Outcome, error) {
		lines, stale := r.Waiting(), r.Stale()
		if len(lines) == 0 && len(stale) == 0 {
			fmt.Fprintln(s.out, "nothing waits for signatures")
			return repository.Outcome{}, nil
		}
		for _, line := range lines {
			fmt.Fprintln(s.out, line)
		}
		if !c.Show {
			return r.Sign()
		}
		for _, reason := range stale {
			fmt.Fprintln(s.out, "warning:", reason)
		}
		return repository.Outcome{}, nil
	})
}

type updateRepoRotate struct {
	repoChange
	Key  string `arg:"" help:"The name of the key that goes, such as root-1."`
	With string `help:"The file of the new key, private or public; default: make one in the directory of the keys." placeholder:"FILE"`
}

// Run implements a kong command.
func (c *updateRepoRotate) Run(s *streams) error {
	return c.make(s, func(r *repository.Repository) (repository.Outcome, error) {
		made, out, err := r.Rotate(c.Key, c.With)
		if made != "" {
			fmt.Fprintln(s.out, "made", made)
		}
		if err == nil {
			out.Notes = append(out.Notes, keepUntilPublished(c.Key, len(out.Missing) > 0))
		}
		return out, err
	})
}

// keepUntilPublished says when the old key goes. While a root only waits, another
// one may have to be signed in its place.
func keepUntilPublished(key string, waits bool) string {
	if waits {
		return fmt.Sprintf("keep %s until the machine has published this, and destroy it then", key)
	}
	return fmt.Sprintf("destroy %s once this is on the server", key)
}
