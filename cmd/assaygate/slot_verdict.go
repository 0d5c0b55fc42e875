package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/assaygate/assaygate/device/config"
)

// slotVerdict is what came of the last trial. It is kept on /data, so that who has
// installed the image finds the reason after the box has gone back to the other
// slot. A start that was no trial, and one that came to no verdict, leave it,
// but for [slotJudge.amendVerdict].
type slotVerdict struct {
	Slot    string    `json:"slot"`
	Version string    `json:"version"`
	Good    bool      `json:"good"`
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"` // as far as the box knew the time
}

// verdictPath is where it is kept.
func (j slotJudge) verdictPath() string {
	return filepath.Join(j.root, "data/system/update/verdict.json")
}

// keepVerdict writes it, durably. Without it the box goes on all the same.
func (j slotJudge) keepVerdict(good bool, reason string) {
	text, err := json.MarshalIndent(slotVerdict{j.started.slot, j.started.version, good, reason, time.Now().UTC()}, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(j.verdictPath()), 0o755)
	}
	if err == nil {
		err = config.Publish(j.verdictPath(), append(text, '\n'))
	}
	if err != nil {
		j.log.Error("what came of the trial cannot be kept", "good", good, "error", err)
	}
}

// amendVerdict replaces a verdict that an image of the same version does not work,
// where that image is known to be good: a person may have said so while the judge was
// about to fail it, and a known image gets no verdict any more.
func (j slotJudge) amendVerdict() {
	var last slotVerdict
	text, err := readPlain(j.verdictPath(), 64<<10)
	if err != nil || json.Unmarshal(text, &last) != nil || j.data.Broken() != nil {
		return
	}
	if last.Slot == j.started.slot && last.Version == j.started.version && !last.Good {
		j.keepVerdict(true, "this image is known to be good on this box")
	}
}
