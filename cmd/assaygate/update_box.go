package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/assaygate/assaygate/image/update/agent"
	"github.com/assaygate/assaygate/image/update/rauc"
)

// What the commands of updates on a box have in common.
type updateHere struct {
	Root string `help:"Where the system's files are." default:"/" type:"path" hidden:""`
}

func (u updateHere) places() updatePlaces { return updatePlaces{u.Root} }

// updateStatusCommand tells how it stands with updates.
type updateStatusCommand struct {
	updateHere
	JSON bool `name:"json" help:"As JSON, with the last outcome in it."`
}

// Run implements a kong command.
func (c *updateStatusCommand) Run(s *streams) error {
	known, err := c.places().known()
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(s.out)
		e.SetIndent("", "  ")
		return e.Encode(known.status)
	}
	for _, line := range known.lines() {
		fmt.Fprintln(s.out, line)
	}
	return nil
}

// updateCheckCommand has all repositories asked now.
type updateCheckCommand struct{ updateHere }

// Run implements a kong command.
func (c *updateCheckCommand) Run(s *streams) error {
	return c.ask(s, askCheck, installRequest{})
}

// updateInstallCommand has a release of a folder installed, by the same rules as
// any other.
type updateInstallCommand struct {
	updateHere
	Path  string `arg:"" help:"The folder that holds metadata and targets, or one bundle in it." type:"path"`
	Again bool   `help:"Also where this box has refused it, or gone back from it, before."`
}

// Run implements a kong command.
func (c *updateInstallCommand) Run(s *streams) error {
	request := installRequest{Folder: c.Path, Again: c.Again}
	info, err := os.Stat(c.Path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		if request.Folder, err = repositoryOf(c.Path); err != nil {
			return usageError{err}
		}
		request.Bundle = filepath.Base(c.Path)
	}
	return c.ask(s, askInstall, request)
}

// ask has the agent do something, and shows what came of it.
func (u updateHere) ask(s *streams, what string, request installRequest) error {
	if err := u.places().onBox(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerPatience+10*time.Second)
	defer cancel()
	text, err := json.Marshal(request)
	if err != nil {
		return err
	}
	answer, err := askUnix(ctx, u.places().control(), "POST", what, bytes.NewReader(text), mostStatus)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return errors.New("only root may ask the update agent")
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("the update agent does not run, so no release comes, and none is installed: see systemctl status assaygate-update")
	case err != nil:
		return err
	}
	var known knownUpdates
	if err := json.Unmarshal(answer, &known.status); err != nil {
		return fmt.Errorf("the update agent's answer cannot be read: %w", err)
	}
	known.runs, known.outcome = true, known.status.Outcome
	for _, line := range known.lines() {
		fmt.Fprintln(s.out, line)
	}
	return nil
}

// updateConfirmCommand marks the slot that runs good, by a person's word.
type updateConfirmCommand struct {
	updateHere
	Bus string `help:"The D-Bus on which RAUC is, in its notation; the system's where it is not named." hidden:""`
}

// Run implements a kong command. The slot's judge starts anew, and finds that the image
// is good: else it would go on waiting for the gateway, and take the box back.
func (c *updateConfirmCommand) Run(s *streams) error {
	if err := c.places().onBox(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	judge := slotJudge{root: c.Root, started: c.places().started(), log: newLog(LogSettings{}, s.err), tell: func(string) {}}
	if judge.started.slot == "" {
		return errors.New("this system was not started from a slot: there is nothing to confirm")
	}
	if _, err := (&rauc.Client{Address: c.Bus}).Mark(ctx, rauc.Good, rauc.Booted); err != nil {
		return err
	}
	errs := []error{judge.remember(), c.places().keepVerdict(agent.Verdict{
		Slot: judge.started.slot, Version: judge.started.version, Good: true, Reason: "a person has said that it is good", At: time.Now().Round(0),
	})}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("slot %s is marked good, and that cannot be remembered: the next start is a trial again: %w", judge.started.slot, err)
	}
	fmt.Fprintf(s.out, "slot %s with version %s is good\n", judge.started.slot, judge.started.version)
	return runQuietly("systemctl", "--no-block", "try-restart", "assaygate-slot.service")
}

// updateRebootCommand is root's part of starting the box anew when a release was
// installed. It starts the box, and reads nothing that the agent wrote.
type updateRebootCommand struct{ updateHere }

// Run implements a kong command. The request goes first: one that stays would start
// the box anew without end.
func (c *updateRebootCommand) Run(s *streams) error {
	err := os.Remove(c.places().reboot())
	if errors.Is(err, fs.ErrNotExist) {
		return nil // taken back
	}
	if err != nil {
		return err
	}
	io.WriteString(s.out, "the box starts anew, to try the release that was installed\n")
	return runQuietly("systemctl", "--no-block", "reboot")
}
