package imagetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// restartsCase has a person restart the box in good order while a release is on trial, again and again. That costs the release none of its
// tries, until as many were given back as it has: one that is restarted for ever is given up all the same. The release is one
// whose gateway never gets healthy, so that there is time for it.
func restartsCase(_ *testing.T, b *box) (string, error) {
	if err := errors.Join(b.working(), b.three(b.overLAN)); err != nil {
		return "", err
	}
	from, place := b.slot, b.console.end()
	if err := b.stickWith(b.images.spoilt); err != nil {
		return "", err
	}
	var left []string
	for slot := ""; slot != from; {
		match, next, err := b.console.wait(fallbackLimit, place, booting+` order=[AB ]* A=(\d) B=(\d)`)
		if err != nil {
			return "", err
		}
		slot, place = match[1], next
		if slot == from {
			break
		}
		left = append(left, match[map[string]int{"A": 2, "B": 3}[slot]])
		if len(left) <= 3 {
			err = b.restartOnTrial()
		} else {
			_, place, err = b.console.wait(fallbackLimit, place, `ASSAYGATE-TRIAL-FAILED`)
		}
		if err != nil {
			return "", fmt.Errorf("start %d of the release: %w", len(left), err)
		}
	}
	if have, want := strings.Join(left, " "), "2 2 2 2 1 0"; have != want {
		return "", fmt.Errorf("the release had %s tries left at its starts, want %s", have, want)
	}
	if _, _, err := b.console.wait(bootLimit, place, ready); err != nil {
		return "", err
	}
	if err := errors.Join(b.followJournal(), b.three(b.overLAN), b.verified(), b.sound(), b.outcome("fell-back", "1.2.0")); err != nil {
		return "", err
	}
	return "a release on trial is restarted in good order three times, which costs it none of its three tries; after them the box goes back", nil
}

// restartOnTrial restarts the box while its judge is at work: from when that runs for three seconds.
func (b *box) restartOnTrial() error {
	const once = `test -e /run/restarted || {
		since=$(systemctl show -P ExecMainStartTimestampMonotonic assaygate-slot) && now=$(cut -d. -f1 /proc/uptime) &&
		[ "$since" -gt 0 ] && [ $((now - since / 1000000)) -ge 3 ] && touch /run/restarted && systemctl --no-block reboot
	}`
	return b.poll(bootLimit, "judge at work", func() (bool, error) {
		_, status, err := b.shell.run(5*time.Second, once)
		return err == nil && status == 0, nil // before the shell runs a command may be lost
	})
}
