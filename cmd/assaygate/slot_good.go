package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/config"
)

const (
	// goodTries and goodPause are how often a slot is told to be good, should RAUC
	// not be up yet.
	goodTries = 5
	goodPause = 5 * time.Second
)

// good marks the slot good and remembers its image. Its error says that the slot could
// not be marked.
func (j slotJudge) good(ctx context.Context) error {
	if j.started.slot == "" {
		return nil
	}
	var err error
	for range goodTries {
		if err = runQuietly("rauc", "status", "mark-good"); err == nil || errors.Is(err, exec.ErrNotFound) || !rested(ctx, goodPause) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("the slot works, and cannot be marked good: %w", err)
	}
	j.tell("ASSAYGATE-GOOD " + j.about())
	if j.known() || j.data.Broken() != nil {
		return nil
	}
	j.keepVerdict(true, "the gateway is healthy, its store is open, and it takes the configuration")
	if err := j.remember(); err != nil {
		j.log.Error("that this image is good cannot be remembered: the next start is a trial again", "error", err)
		return nil
	}
	j.log.Info("this image is good", "slot", j.started.slot, "version", j.started.version)
	return nil
}

// sayUnmarked tells of an error of good where it fails nothing: the box goes on, and
// the next start tries again.
func (j slotJudge) sayUnmarked(err error) {
	if err != nil {
		j.log.Error("after a few more starts the box may take the other slot", "slot", j.started.slot, "reason", oneLine(err))
	}
}

// memoryPath is where it is remembered which image was good, by slot.
func (j slotJudge) memoryPath() string { return filepath.Join(j.root, "data/system/good-slots.json") }

// memory is what is remembered. What cannot be read is forgotten, which costs a
// trial.
func (j slotJudge) memory() map[string]string {
	memory := map[string]string{}
	text, err := readPlain(j.memoryPath(), 4<<10)
	if err == nil {
		err = json.Unmarshal(text, &memory)
	}
	if err != nil {
		return map[string]string{}
	}
	return memory
}

func (j slotJudge) remembered() string { return j.memory()[j.started.slot] }

func (j slotJudge) remember() error {
	memory := j.memory()
	memory[j.started.slot] = j.started.image
	text, err := json.MarshalIndent(memory, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(j.memoryPath()), 0o755); err != nil {
		return err
	}
	return config.Publish(j.memoryPath(), append(text, '\n'))
}

// otherSlot is the slot that U-Boot would take in place of this one. Its error
// says why there is none.
func (j slotJudge) otherSlot() (string, error) {
	environment, err := bootEnvironment("BOOT_ORDER", leftName("A"), leftName("B"))
	if err != nil {
		return "", err
	}
	other := map[string]string{"A": "B", "B": "A"}[j.started.slot]
	left, err := startsLeft(environment, other)
	switch {
	case other == "":
		return "", fmt.Errorf("%q is no slot", j.started.slot)
	case !slices.Contains(strings.Fields(environment["BOOT_ORDER"]), other):
		return "", fmt.Errorf("slot %s was given up before", other)
	case err != nil || left == 0:
		return "", fmt.Errorf("slot %s has no attempts left", other)
	}
	return other, j.holdsImage(other)
}

// holdsImage reports why there is no image in a slot: one that was never updated
// has an empty one.
func (j slotJudge) holdsImage(slot string) error {
	file, err := os.Open(filepath.Join(j.root, "dev/assaygate/rootfs-"+strings.ToLower(slot)))
	if err != nil {
		return err
	}
	defer file.Close()
	start := make([]byte, 4)
	if _, err := io.ReadFull(file, start); err != nil || !bytes.Equal(start, []byte("hsqs")) { // a squashfs
		return fmt.Errorf("slot %s is empty", slot)
	}
	return nil
}
