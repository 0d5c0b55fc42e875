package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/image/update/repository"
)

type updateRepoInit struct {
	Directory        string `arg:"" name:"repository" help:"A directory that is new or empty."`
	RootKeys         int    `help:"How many root keys are made (default: ${default})." default:"3" placeholder:"N"`
	RootThreshold    int    `help:"How many of them must sign (default: ${default})." default:"2" placeholder:"N"`
	TargetsKeys      int    `help:"How many targets keys are made (default: ${default})." default:"1" placeholder:"N"`
	TargetsThreshold int    `help:"How many of them must sign (default: ${default})." default:"1" placeholder:"N"`
	TimestampDays    int    `help:"How long a timestamp is valid (default: ${default} days); longer where updates come by stick." default:"30" placeholder:"N"`
	repoKeys
}

// Run implements a kong command.
func (c *updateRepoInit) Run(s *streams) error {
	if !clockSet() {
		return errClock
	}
	keys, out, err := repository.Init(c.Directory, repository.InitOptions{
		KeyDirs: c.Keys, RootKeys: c.RootKeys, RootThreshold: c.RootThreshold,
		TargetsKeys: c.TargetsKeys, TargetsThreshold: c.TargetsThreshold, TimestampDays: c.TimestampDays,
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		fmt.Fprintln(s.out, "made", key)
	}
	sayOutcome(s, c.Directory, out)
	public := filepath.Join(c.Directory, "public")
	flashed := filepath.Join(public, "metadata", "1.root.json")
	if len(out.Missing) > 0 {
		fmt.Fprintf(s.out, "until all have signed there is nothing to publish; boxes are flashed with %s then\n", flashed)
	} else {
		fmt.Fprintf(s.out, "publish %s and nothing else; boxes are flashed with %s\n", public, flashed)
	}
	if len(keys) > 0 {
		_, err = fmt.Fprintf(s.out, "now move %s to sticks, each key to two, and keep these offline: with root keys all others are replaced, "+
			"and a targets key says what boxes install\n", strings.Join(offlineKeys(keys), ", "))
		return err
	}
	_, err = fmt.Fprintf(s.out, "put the private keys of waves, snapshot and timestamp into %s on the machine that publishes: without --keys, keys are looked for there\n",
		filepath.Join(c.Directory, "keys"))
	return err
}

// offlineKeys are the files of keys that people sign with.
func offlineKeys(files []string) (offline []string) {
	for _, file := range files {
		if role := repository.RoleOf(file); role == repository.Root || role == repository.Targets {
			offline = append(offline, filepath.Base(file))
		}
	}
	return offline
}
