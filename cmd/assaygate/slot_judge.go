package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/assaygate/assaygate/device/board"
)

// slotJudge judges the slot.
type slotJudge struct {
	root     string
	started  startedSlot
	data     board.DataState
	deadline time.Duration
	healthy  func(context.Context) error // see slotCommand.healthy
	tell     func(line string)           // on the console
	log      *slog.Logger
}

const (
	askHealth = 2 * time.Second
	// askSeldom is the pause once the box has not been healthy for the deadline.
	askSeldom = 10 * time.Second
)

// judge returns when there is nothing more to be judged, or ctx ends: whoever
// switches the box off or has it start anew before that has said nothing of the
// slot, and gets the start back, see [slotJudge.giveBack].
//
// What counts is what healthy finds. A trial fails where the image was found not to
// work for the whole deadline, without anything between that is not its fault: what
// is unproven neither fails it nor makes it good, however long that lasts. An image
// on trial on which RAUC does not mark the slot good does not work either: it would
// be neither good nor failed, and no update could mend it.
//
// Only a trial may fail: an image that was never good on this box. Of one that was,
// it is known that the slot is not to blame for what is wrong now, so it is good at
// once: a box that is switched off and on a few times must not find itself with an
// older release.
//
// While /data cannot be used no gateway can be healthy, and whether the image or the
// card is at fault nobody knows: an image that is not known is neither good nor
// failed. U-Boot goes on counting its starts, so who switches the box off and on
// comes to the image from before.
func (j slotJudge) judge(ctx context.Context) error {
	trial := j.onTrial()
	switch broken := j.data.Broken(); {
	case j.known():
		j.amendVerdict()
		j.sayUnmarked(j.good(ctx))
	case broken != nil && j.started.slot != "":
		j.log.Error("without its data the box cannot judge this image: switched off and on a few times, it goes back to the one from before",
			"slot", j.started.slot, "version", j.started.version, "reason", broken.Error())
	}
	since, begun, well := time.Now(), time.Now(), false
	for pause := askHealth; ; {
		why := j.healthy(ctx)
		if why == nil {
			if !well {
				well = true
				j.tell("ASSAYGATE-READY " + j.about())
				j.log.Info("the gateway is healthy", "slot", j.started.slot, "version", j.started.version)
			}
			if !j.known() {
				why = j.good(ctx)
			}
			if why == nil || !trial {
				j.sayUnmarked(why)
				return nil
			}
		}
		if errors.As(why, &blameless{}) {
			since = time.Now()
			if trial && pause == askHealth && since.Sub(begun) >= j.deadline {
				pause = askSeldom
				j.log.Error("this image could not show that it works, for a reason that is not its own: it is neither good nor failed",
					"slot", j.started.slot, "version", j.started.version, "reason", oneLine(why))
			}
		} else if ctx.Err() == nil && time.Since(since) >= j.deadline {
			pause = askSeldom
			if trial && j.failed(ctx, why) {
				return nil
			}
			trial = false // it stays, and is good once it is healthy
		}
		if !rested(ctx, pause) {
			if trial && pause == askHealth { // it has not had its time
				j.giveBack()
			}
			return nil
		}
	}
}

func (j slotJudge) about() string {
	return fmt.Sprintf("slot=%s version=%s", j.started.slot, j.started.version)
}

// known reports whether this image was good on this box.
func (j slotJudge) known() bool {
	return j.started.slot != "" && j.remembered() == j.started.image
}

// onTrial reports whether this image has still to prove itself, and can.
func (j slotJudge) onTrial() bool {
	return j.started.slot != "" && j.data.Broken() == nil && !j.known()
}

// failed has the box start anew, so that U-Boot comes nearer to the other slot.
// Without another slot that would help nobody: it reports false, and the box stays
// as it is, reached by its console. So it does where the image is known by now.
func (j slotJudge) failed(ctx context.Context, why error) bool {
	if j.known() { // by a person's word meanwhile, which counts for more
		j.amendVerdict()
		return false
	}
	other, err := j.otherSlot()
	if err != nil {
		j.log.Error("this image is not healthy, and there is no other slot to go back to: the box stays with it",
			"slot", j.started.slot, "version", j.started.version, "reason", oneLine(why), "other", err)
		j.keepVerdict(false, oneLine(why))
		j.tell("ASSAYGATE-TRIAL-FAILED " + j.about() + " other=none")
		return false
	}
	j.log.Error("this image is not healthy: the box starts anew, and goes back to the other slot when the attempts are used up",
		"slot", j.started.slot, "version", j.started.version, "other", other, "reason", oneLine(why))
	j.keepVerdict(false, oneLine(why))
	j.tell("ASSAYGATE-TRIAL-FAILED " + j.about() + " other=" + other)
	if err := runQuietly("systemctl", "reboot"); err != nil {
		j.log.Error("the box does not start anew", "error", err)
		return false
	}
	<-ctx.Done()
	return true
}
