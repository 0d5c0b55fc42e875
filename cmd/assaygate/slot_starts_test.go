//go:build unix

package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/image/update/agent"
)

const (
	goingDown = "if [ \"$1\" = is-system-running ]; then echo stopping; exit 1; fi\n"
	goingOn   = "if [ \"$1\" = is-system-running ]; then echo running; fi\n"
)

// startsBox is a box with a new image in slot B, and U-Boot's counter of it in a file.
func startsBox(t *testing.T, left string) *slotBox {
	b := newSlotBox(t)
	b.well = never
	b.tool("systemctl", goingDown)
	counter := filepath.Join(b.root, "left")
	plant(t, b.root, "left", left)
	b.tool("fw_printenv", "read left <"+counter+"; echo BOOT_ORDER=B A; echo BOOT_A_LEFT=3; echo BOOT_B_LEFT=$left\n")
	b.tool("fw_setenv", "[ \"$1\" = BOOT_B_LEFT ] && echo \"$2\" >"+counter+"\n")
	return b
}

func (b *slotBox) left() string {
	text, err := os.ReadFile(filepath.Join(b.root, "left"))
	if err != nil {
		b.t.Error(err)
	}
	return strings.TrimSpace(string(text))
}

// runFor judges, until the box goes down after so long.
func (b *slotBox) runFor(long time.Duration) {
	b.t.Helper()
	synctest.Test(b.t, func(t *testing.T) { b.run(t.Context(), long) })
}

func TestStartIsGivenBackInGoodOrder(t *testing.T) {
	unproven := func() error { return blameless{errors.New("the address is taken")} }
	for _, one := range []struct {
		name  string
		left  string
		after time.Duration
		spoil func(b *slotBox)
		want  string
	}{
		{"before the verdict", "2", 9 * time.Minute, nil, "3"},
		{"at the last start", "0", time.Minute, nil, "1"},
		{"unproven so far", "2", 9 * time.Minute, func(b *slotBox) { b.well = unproven }, "3"},
		{"while it is marked good", "1", time.Minute, func(b *slotBox) {
			b.well = func() error { return nil }
			b.tool("rauc", "exit 1")
			b.judge.healthy = func(ctx context.Context) error { <-ctx.Done(); return nil }
		}, "2"},
		{"never more than there are", "3", time.Minute, nil, "3"},
		{"what cannot be read stays", "x", time.Minute, nil, "x"},
		{"the judge alone is stopped", "2", time.Minute, func(b *slotBox) { b.tool("systemctl", goingOn) }, "2"},
		{"systemd does not answer", "2", time.Minute, func(b *slotBox) { b.tool("systemctl", "exit 1\n") }, "2"},
		{"the judge starts the box anew", "2", time.Hour, nil, "2"},
		{"nothing was shown in all the time", "2", time.Hour, func(b *slotBox) { b.well = unproven }, "2"},
		{"judged good", "2", time.Hour, func(b *slotBox) { b.well = func() error { return nil } }, "2"},
		{"known to be good", "2", time.Minute, func(b *slotBox) {
			plant(b.t, b.root, "data/system/good-slots.json", `{"B": "`+b.judge.started.image+`"}`)
		}, "2"},
		{"without its data", "2", time.Minute, func(b *slotBox) { b.judge.data = board.DataState{State: board.DataAbsent} }, "2"},
		{"no slot", "2", time.Minute, func(b *slotBox) { b.judge.started.slot = "" }, "2"},
		{"it cannot be counted", "2", time.Minute, func(b *slotBox) {
			if err := os.RemoveAll(filepath.Join(b.root, "data/system")); err != nil {
				b.t.Error(err)
			}
		}, "2"},
		{"the count cannot be read", "2", time.Minute, func(b *slotBox) {
			if err := os.Mkdir(b.judge.givenBackPath(), 0o700); err != nil {
				b.t.Error(err)
			}
		}, "2"},
	} {
		t.Run(one.name, func(t *testing.T) {
			b := startsBox(t, one.left)
			if one.spoil != nil {
				one.spoil(b)
			}
			b.runFor(one.after)
			if is := b.left(); is != one.want {
				t.Errorf("%s starts left, want %s: %s", is, one.want, b.log.String())
			}
		})
	}
}

// An image that starts the box anew by itself, in good order, is not tried for ever.
func TestStartsThatAreGivenBackEnd(t *testing.T) {
	b := startsBox(t, "3")
	tries := func() (n int) {
		for b.left() != "0" && n < 20 {
			left, _ := strconv.Atoi(b.left())
			plant(t, b.root, "left", strconv.Itoa(left-1)) // as U-Boot does
			b.runFor(time.Minute)
			n++
		}
		return n
	}
	if n := tries(); n != 2*mostStarts {
		t.Errorf("it was started %d times, want %d", n, 2*mostStarts)
	}
	if !strings.Contains(b.log.String(), "got 3 starts back already") {
		t.Errorf("the log says %s", b.log.String())
	}

	// Another image in the slot begins anew. The same once more does not, whatever the
	// agent removes: it has had its starts.
	b.judge.started.image = "2.1 build"
	plant(t, b.root, "left", "3")
	if n := tries(); n != 2*mostStarts {
		t.Errorf("the next image was started %d times, want %d", n, 2*mostStarts)
	}
	directory := filepath.Join(b.root, "data/system/update") // the agent's
	if err := (verdicts{agent.Directory(directory), updatePlaces{b.root}}).Remove("verdict-B.json"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(os.RemoveAll(directory), os.Mkdir(directory, 0o755)); err != nil {
		t.Error(err)
	}
	plant(t, b.root, "left", "3")
	if n := tries(); n != mostStarts {
		t.Errorf("once more it was started %d times, want %d", n, mostStarts)
	}
}
