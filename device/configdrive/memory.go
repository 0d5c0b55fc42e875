package configdrive

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/assaygate/assaygate/device/config"
)

// memory is what is remembered over a restart of the stick that was dealt with
// last.
type memory struct {
	Digest string `json:"digest"` // of its content
	Stage  stage  `json:"stage"`
	Tries  int    `json:"tries"` // how often dealing with it has begun
}

type stage string

const (
	begun     stage = "begun"
	resetting stage = "resetting" // up to a reset, which ends the process
	done      stage = "done"
)

// mostTries is how often a stick is begun with, if the process ends each time
// while it does.
const mostTries = 2

var errBroken = errors.New("the box stopped more than once while it dealt with this stick, so it leaves it alone; plug it in again to try once more, and if that fails too, ask for help with the log of the box")

// awaited is how long after its start a box takes a stick for one that was in
// the socket all the time: its mount may take a while.
const awaited = 2 * time.Minute

// fresh reports whether the stick is to be dealt with, not only reported on.
func (m memory) fresh() bool { return m.Stage != done }

// recall returns what is remembered of the content; a new memory of it where
// that is nothing, or where the stick was plugged in while the box was running.
func (d *drive) recall(digest string) memory {
	anew := memory{Digest: digest, Stage: begun, Tries: 1}
	if !d.first || time.Since(d.begun) > awaited {
		return anew
	}
	file, err := os.Open(d.Memory)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			d.Log.Warn("what was done with the last stick is not known", "error", err)
		}
		return anew
	}
	defer file.Close()
	var before memory
	if err := json.NewDecoder(io.LimitReader(file, maxSmall)).Decode(&before); err != nil || before.Digest != digest {
		return anew
	}
	switch before.Stage {
	case done, resetting:
	case begun:
		before.Tries = max(0, before.Tries) + 1
	default:
		return anew
	}
	return before
}

// remember keeps it. Without, the stick would be dealt with again after a
// restart, which does no more than to repeat what it asks for.
func (d *drive) remember(m memory) {
	data, err := json.Marshal(m)
	if err == nil {
		err = config.Replace(d.Memory, append(data, '\n'))
	}
	if err != nil {
		d.Log.Warn("that the stick was dealt with cannot be remembered", "error", err)
	}
}
