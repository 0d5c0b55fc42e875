//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/device/board"
)

// slotBox is a box with the programs that a verdict calls, as real processes.
type slotBox struct {
	t     *testing.T
	root  string
	bin   string
	said  []string
	log   bytes.Buffer
	well  func() error
	judge slotJudge
}

const (
	twoSlots = "echo BOOT_ORDER=B A; echo BOOT_A_LEFT=3; echo BOOT_B_LEFT=2\n"
	oneSlot  = "echo BOOT_ORDER=B; echo BOOT_A_LEFT=3; echo BOOT_B_LEFT=2\n"
	spent    = "echo BOOT_ORDER=B A; echo BOOT_A_LEFT=0; echo BOOT_B_LEFT=2\n"
)

func newSlotBox(t *testing.T) *slotBox {
	t.Helper()
	b := &slotBox{t: t, root: t.TempDir(), bin: t.TempDir()}
	t.Setenv("PATH", b.bin) // and nothing of this machine: the verdict starts it anew
	b.tool("rauc", "")
	b.tool("systemctl", "")
	b.tool("fw_printenv", twoSlots)
	plant(t, b.root, "dev/assaygate/rootfs-a", "hsqs and more")
	if err := os.MkdirAll(filepath.Join(b.root, "data/system"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.well = func() error { return nil }
	b.judge = slotJudge{
		root: b.root, deadline: trialDeadline, started: startedSlot{slot: "B", version: "2.0", image: "2.0 build"},
		healthy: func(context.Context) error { return b.well() },
		tell:    func(line string) { b.said = append(b.said, line) },
		log:     slog.New(slog.NewTextHandler(&b.log, nil)),
	}
	return b
}

// tool plants a program that notes how it was called.
func (b *slotBox) tool(name, script string) {
	b.t.Helper()
	path := filepath.Join(b.bin, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho "+name+" \"$@\" >>"+filepath.Join(b.bin, "called")+"\n"+script), 0o755); err != nil {
		b.t.Fatal(err)
	}
}

func (b *slotBox) called(command string) (times int) {
	text, _ := os.ReadFile(filepath.Join(b.bin, "called"))
	for line := range strings.Lines(string(text)) {
		if strings.TrimSpace(line) == command {
			times++
		}
	}
	return times
}

// never is a box that is not healthy.
func never() error { return errors.New("readyz: the store is closed") }

const markGood, rebooted = "rauc status mark-good", "systemctl reboot"

func (b *slotBox) want(said []string, good, reboots int) {
	b.t.Helper()
	if !slices.Equal(b.said, said) {
		b.t.Errorf("the console says %q, want %q", b.said, said)
	}
	if is := b.called(markGood); is != good {
		b.t.Errorf("marked good %d times, want %d", is, good)
	}
	if is := b.called(rebooted); is != reboots {
		b.t.Errorf("started anew %d times, want %d", is, reboots)
	}
	if b.t.Failed() {
		b.t.Log(b.log.String())
	}
}

const (
	ready       = "ASSAYGATE-READY slot=B version=2.0"
	good        = "ASSAYGATE-GOOD slot=B version=2.0"
	trialFailed = "ASSAYGATE-TRIAL-FAILED slot=B version=2.0 other="
)

// run judges until the verdict, or for as long as that.
func (b *slotBox) run(ctx context.Context, most time.Duration) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	if err := b.judge.judge(ctx); err != nil {
		b.t.Error(err)
	}
}

func TestSlotOfANewImageIsGoodOnceItIsHealthy(t *testing.T) {
	b := newSlotBox(t)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b.well = func() error {
			if time.Since(start) < 9*time.Minute {
				return never()
			}
			return nil
		}
		b.run(t.Context(), time.Hour)
	})
	b.want([]string{ready, good}, 1, 0)
	b.wantForEverybody(b.judge.memoryPath())
	// And the next start is no trial: it is good at once, whatever the gateway says.
	b.said, b.well = nil, never
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	b.want([]string{good}, 2, 0)
	// Another image in the same slot is one again.
	b.said, b.judge.started.image, b.well = nil, "2.0 other", func() error { return nil }
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	b.want([]string{ready, good}, 3, 0)
}

func TestSlotOfANewImageThatIsNotHealthy(t *testing.T) {
	b := newSlotBox(t)
	b.well = never
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b.run(t.Context(), time.Hour)
		if took := time.Since(start); took != time.Hour { // until systemd ends it
			t.Errorf("it ended after %s", took)
		}
	})
	b.want([]string{trialFailed + "A"}, 0, 1)
	if there(b.judge.memoryPath()) {
		t.Error("it is remembered as good")
	}
}

func TestSlotStaysWhereThereIsNoOther(t *testing.T) {
	for name, spoil := range map[string]func(b *slotBox){
		"given up":       func(b *slotBox) { b.tool("fw_printenv", oneSlot) },
		"used up":        func(b *slotBox) { b.tool("fw_printenv", spent) },
		"no environment": func(b *slotBox) { b.tool("fw_printenv", "exit 1") },
		"empty":          func(b *slotBox) { plant(b.t, b.root, "dev/assaygate/rootfs-a", "\x00\x00\x00\x00") },
		"unreadable":     func(b *slotBox) { os.Remove(filepath.Join(b.root, "dev/assaygate/rootfs-a")) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newSlotBox(t)
			spoil(b)
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				b.well = func() error {
					if time.Since(start) < 2*time.Hour {
						return never()
					}
					return nil
				}
				b.run(t.Context(), 3*time.Hour)
			})
			b.want([]string{trialFailed + "none", ready, good}, 1, 0)
		})
	}
}

// Somebody switches the box off, or has it start anew, before it is healthy.
func TestSlotSaysNothingOfADeliberateStop(t *testing.T) {
	b := newSlotBox(t)
	b.well = never
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), 9*time.Minute) })
	b.want(nil, 0, 0)
	if strings.Contains(b.log.String(), "not healthy") {
		t.Errorf("the log says %s", b.log.String())
	}
}

// No gateway is healthy without /data. An update that breaks it must not be good for
// that, and one that does not must not be failed: U-Boot counts on. What was good
// before is.
func TestSlotWithoutData(t *testing.T) {
	for _, state := range []string{board.DataReadOnly, board.DataAbsent} {
		b := newSlotBox(t)
		b.judge.data, b.well = board.DataState{State: state, Reason: "broken"}, never
		synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
		b.want(nil, 0, 0)
		if there(b.judge.memoryPath()) {
			t.Error("it writes to what can only be read")
		}
		plant(t, b.root, "data/system/good-slots.json", `{"A": "1.0 build", "B": "`+b.judge.started.image+`"}`)
		synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
		b.want([]string{good}, 1, 0)
	}
}

// RAUC that does not work leaves an image on trial neither good nor failed, and no
// update would mend that: it is the image's fault.
func TestSlotOnTrialThatCannotBeMarkedGood(t *testing.T) {
	for name, spoil := range map[string]func(b *slotBox){
		"RAUC fails":        func(b *slotBox) { b.tool("rauc", "exit 1") },
		"RAUC is not there": func(b *slotBox) { os.Remove(filepath.Join(b.bin, "rauc")) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newSlotBox(t)
			spoil(b)
			synctest.Test(t, func(t *testing.T) {
				b.judge.tell = func(line string) { b.said = append(b.said, line) }
				b.run(t.Context(), 9*time.Minute)
				b.want([]string{ready}, b.called(markGood), 0)
				b.said = nil
				b.run(t.Context(), time.Hour)
			})
			b.want([]string{ready, trialFailed + "A"}, b.called(markGood), 1)
			if v := b.verdict(); v == nil || v.Good || !strings.Contains(v.Reason, "cannot be marked good") {
				t.Errorf("the verdict is %+v", v)
			}
			if there(b.judge.memoryPath()) {
				t.Error("it is remembered as good")
			}
		})
	}
}

// RAUC that comes in time has done no harm.
func TestSlotOnTrialThatIsMarkedGoodLate(t *testing.T) {
	b := newSlotBox(t)
	b.tool("rauc", "exit 1")
	synctest.Test(t, func(t *testing.T) {
		time.AfterFunc(9*time.Minute, func() { b.tool("rauc", "") })
		b.run(t.Context(), time.Hour)
	})
	b.want([]string{ready, good}, b.called(markGood), 0)
	if v := b.verdict(); v == nil || !v.Good {
		t.Errorf("the verdict is %+v", v)
	}
}

// An image that is known is not blamed for it, nor one that has nowhere to go back to.
func TestSlotThatCannotBeMarkedGood(t *testing.T) {
	b := newSlotBox(t)
	plant(t, b.root, "data/system/good-slots.json", `{"B": "`+b.judge.started.image+`"}`)
	b.tool("rauc", "exit 1")
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	b.want([]string{ready}, goodTries, 0)
	if !strings.Contains(b.log.String(), "cannot be marked good") {
		t.Errorf("the log says %s", b.log.String())
	}
	os.Remove(b.judge.memoryPath())
	b.said = nil
	b.tool("fw_printenv", oneSlot)
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	b.want([]string{ready, trialFailed + "none"}, b.called(markGood), 0)
}

func TestSlotOfASystemWithoutSlots(t *testing.T) {
	b := newSlotBox(t)
	b.judge.started = startedSlot{version: "2.0"}
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	b.want([]string{"ASSAYGATE-READY slot= version=2.0"}, 0, 0)
}

func TestSlotThatWasStarted(t *testing.T) {
	root := t.TempDir()
	plant(t, root, "proc/cmdline", "console=ttyAMA0 rauc.slot=A root=PARTUUID=x ro\n")
	plant(t, root, "usr/lib/os-release", "ID=assaygate\nVERSION_ID=\"v1.2\"\nBUILD_ID=abc\n")
	is := (&slotCommand{Root: root}).started()
	if want := (startedSlot{"A", "1.2", "v1.2 abc " + commit}); is != want {
		t.Errorf("started is %+v, want %+v", is, want)
	}
	if is := (&slotCommand{Root: t.TempDir()}).started(); is.slot != "" || is.version != version {
		t.Errorf("elsewhere it is %+v", is)
	}
}

// The whole command against a gateway that runs.
func TestSlotAsksTheGateway(t *testing.T) {
	b := newSlotBox(t)
	directory := t.TempDir()
	r := start(t, base(directory))
	text := strings.Replace(base(directory), "127.0.0.1:0", r.addresses["admin"], 1)
	config := filepath.Join(directory, "assaygate.yaml")
	plant(t, directory, "assaygate.yaml", text)
	plant(t, b.root, "proc/cmdline", "rauc.slot=A\n")
	plant(t, b.root, "dev/console", "")
	t.Setenv(trialDeadlineName, "1h")
	var out bytes.Buffer
	if status := execute([]string{"slot", "--config", config, "--root", b.root}, &out, &out); status != done {
		t.Fatalf("status %d: %s", status, out.String())
	}
	said, _ := os.ReadFile(filepath.Join(b.root, "dev/console"))
	if want := "ASSAYGATE-READY slot=A version=" + version + "\nASSAYGATE-GOOD slot=A version=" + version + "\n"; b.called(markGood) != 1 || string(said) != want {
		t.Errorf("marked good %d times, the console says %q: %s", b.called(markGood), said, out.String())
	}
}
