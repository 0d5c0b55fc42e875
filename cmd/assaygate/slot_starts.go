package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/device/config"
)

// mostStarts is how many starts RAUC and boot.cmd give a slot.
const mostStarts = 3

// givenBack is how many starts an image on trial got back. Only root can write it: the
// update agent, and whoever has broken into it, must not get an image more of them. It
// counts for that image in that slot, however often it is installed.
type givenBack struct {
	Slot  string `json:"slot"`
	Image string `json:"image"`
	Times int    `json:"times"`
}

// giveBack undoes that U-Boot has counted this start, where the box goes down in
// good order: who switches it off before an image was judged has said nothing of
// that image. A crash, a watchdog and a restart by force do not come here.
//
// No image gets more starts back than it has: one that has the box start anew for
// ever, in whatever order, still comes to its end. So it is counted first, and
// where that cannot be kept nothing is given back.
func (j slotJudge) giveBack() {
	if !stopping() {
		return
	}
	left, err := j.startsLeft()
	if err == nil && left < mostStarts {
		err = j.giveOneBack(left + 1)
	}
	if err != nil {
		j.log.Warn("the box goes down before this image was judged, and this start counts against it", "slot", j.started.slot, "version", j.started.version, "reason", err)
	}
}

func (j slotJudge) giveOneBack(left uint64) error {
	var before givenBack
	text, err := readPlain(j.givenBackPath(), 4<<10)
	switch {
	case err == nil:
		_ = json.Unmarshal(text, &before) // not to be understood: none
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	now := givenBack{j.started.slot, j.started.image, 1}
	if before.Slot == now.Slot && before.Image == now.Image {
		now.Times += before.Times
	}
	if now.Times > mostStarts {
		return fmt.Errorf("it got %d starts back already", before.Times)
	}
	if text, err = json.MarshalIndent(now, "", "  "); err != nil {
		return err
	}
	if err := config.Publish(j.givenBackPath(), append(text, '\n')); err != nil {
		return err
	}
	if err := runQuietly("fw_setenv", leftName(j.started.slot), strconv.FormatUint(left, 16)); err != nil {
		return err
	}
	j.log.Info("the box goes down before this image was judged, and this start does not count", "slot", j.started.slot, "version", j.started.version, "left", left)
	return nil
}

func (j slotJudge) givenBackPath() string {
	return filepath.Join(j.root, "data/system/given-back.json")
}

// stopping reports whether systemd is about to stop all units, in their order.
func stopping() bool {
	ctx, cancel := context.WithTimeout(context.Background(), commandPatience)
	defer cancel()
	out, _ := exec.CommandContext(ctx, "systemctl", "is-system-running").Output() // which fails unless all is well
	return strings.TrimSpace(string(out)) == "stopping"
}

func (j slotJudge) startsLeft() (uint64, error) {
	environment, err := bootEnvironment(leftName(j.started.slot))
	if err != nil {
		return 0, err
	}
	return startsLeft(environment, j.started.slot)
}

// startsLeft is what U-Boot's environment says of a slot.
func startsLeft(environment map[string]string, slot string) (uint64, error) {
	text := environment[leftName(slot)]
	left, err := strconv.ParseUint(text, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("U-Boot's environment has %q as the starts that slot %s has left", text, slot)
	}
	return left, nil
}

func leftName(slot string) string { return "BOOT_" + slot + "_LEFT" }

// bootEnvironment reads variables of U-Boot.
func bootEnvironment(names ...string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandPatience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "fw_printenv", names...).Output()
	if err != nil {
		return nil, fmt.Errorf("asking for U-Boot's environment: %w", err)
	}
	environment := map[string]string{}
	for line := range strings.Lines(string(out)) {
		if key, value, is := strings.Cut(strings.TrimSpace(line), "="); is {
			environment[key] = strings.Trim(value, `"`)
		}
	}
	return environment, nil
}
