//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// verdict is what is kept of the last trial, nil for nothing.
func (b *slotBox) verdict() *slotVerdict {
	b.t.Helper()
	text, err := os.ReadFile(b.judge.verdictPath())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var v slotVerdict
	if err == nil {
		err = json.Unmarshal(text, &v)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.wantForEverybody(b.judge.verdictPath())
	return &v
}

// wantForEverybody: the update agent has a user of its own.
func (b *slotBox) wantForEverybody(path string) {
	b.t.Helper()
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		b.t.Errorf("%s: %v, %v", path, info.Mode(), err)
	}
}

func cardFull() error { return blameless{errors.New("the card is full")} }

// What is not the image's fault neither fails it nor makes it good, and once that is
// over it is judged as any other.
func TestSlotIsNotBlamedForItsSurroundings(t *testing.T) {
	b := newSlotBox(t)
	b.well = cardFull
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), 5*time.Hour) })
	b.want(nil, 0, 0)
	if v := b.verdict(); v != nil {
		t.Errorf("there is a verdict: %+v", v)
	}
	if times := strings.Count(b.log.String(), "neither good nor failed"); times != 1 || !strings.Contains(b.log.String(), "the card is full") {
		t.Errorf("it is said %d times: %s", times, b.log.String())
	}
	b.well = func() error { return nil }
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	b.want([]string{ready, good}, 1, 0)
}

// Only what the image does by itself for the whole deadline counts against it.
func TestSlotFailsForWhatIsItsOwn(t *testing.T) {
	b := newSlotBox(t)
	var failedAfter time.Duration
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		b.judge.tell = func(line string) { b.said, failedAfter = append(b.said, line), time.Since(start) }
		b.well = func() error {
			if since := time.Since(start); since > 9*time.Minute && since < 10*time.Minute {
				return cardFull()
			}
			return never()
		}
		b.run(t.Context(), time.Hour)
	})
	b.want([]string{trialFailed + "A"}, 0, 1)
	if failedAfter < 19*time.Minute || failedAfter > 21*time.Minute {
		t.Errorf("it failed after %s", failedAfter)
	}
}

// The verdict outlives the trial: the box that has gone back still says why.
func TestSlotKeepsItsVerdict(t *testing.T) {
	b := newSlotBox(t)
	b.well = never
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	failed := b.verdict()
	if failed == nil || failed.Slot != "B" || failed.Version != "2.0" || failed.Good || failed.Reason != "readyz: the store is closed" || failed.At.IsZero() {
		t.Fatalf("the verdict is %+v", failed)
	}
	// It is there before the box starts anew.
	b.tool("systemctl", "test -s "+b.judge.verdictPath()+" || exit 1\n")
	os.Remove(b.judge.verdictPath())
	b.log.Reset()
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	if strings.Contains(b.log.String(), "does not start anew") {
		t.Error("the box starts anew before the verdict is kept")
	}
	// The slot that it goes back to was good before: that is no news.
	b.judge.started, b.well = startedSlot{slot: "A", version: "1.0", image: "1.0 build"}, func() error { return nil }
	plant(t, b.root, "data/system/good-slots.json", `{"A": "1.0 build"}`)
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	if v := b.verdict(); v == nil || v.Good || v.Slot != "B" {
		t.Errorf("the verdict is %+v", v)
	}
	// Another trial has its own.
	b.judge.started = startedSlot{slot: "B", version: "3.0", image: "3.0 build"}
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	if v := b.verdict(); v == nil || !v.Good || v.Version != "3.0" {
		t.Errorf("the verdict is %+v", v)
	}
}

func TestSlotThatStaysKeepsItsVerdict(t *testing.T) {
	b := newSlotBox(t)
	b.tool("fw_printenv", oneSlot)
	b.well = never
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	if v := b.verdict(); v == nil || v.Good {
		t.Errorf("the verdict is %+v", v)
	}
	// One that cannot be kept ends nothing.
	b.said, b.well = nil, func() error { return nil }
	os.RemoveAll(b.judge.root + "/data/system/update")
	plant(t, b.root, "data/system/update", "no directory")
	synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
	b.want([]string{ready, good}, 1, 0)
	if !strings.Contains(b.log.String(), "cannot be kept") {
		t.Errorf("the log says %s", b.log.String())
	}
}

// A person's word counts, also where it comes while the image is about to fail: before
// the verdict, or after it.
func TestSlotThatAPersonHasSaidToBeGood(t *testing.T) {
	const goodMemory = `{"B": "2.0 build"}`
	t.Run("before the verdict", func(t *testing.T) {
		b := newSlotBox(t)
		b.well = never
		synctest.Test(t, func(t *testing.T) {
			time.AfterFunc(9*time.Minute, func() { plant(t, b.root, "data/system/good-slots.json", goodMemory) })
			b.run(t.Context(), time.Hour)
		})
		b.want(nil, 0, 0)
		if v := b.verdict(); v != nil {
			t.Errorf("the verdict is %+v", v)
		}
	})
	t.Run("after the verdict", func(t *testing.T) {
		b := newSlotBox(t)
		b.well = never
		synctest.Test(t, func(t *testing.T) { b.run(t.Context(), time.Hour) })
		if v := b.verdict(); v == nil || v.Good {
			t.Fatalf("the verdict is %+v", v)
		}
		plant(t, b.root, "data/system/good-slots.json", goodMemory)
		b.runFor(time.Hour)
		if v := b.verdict(); v == nil || !v.Good || v.Slot != "B" || v.Version != "2.0" {
			t.Errorf("the verdict is %+v", v)
		}
	})
}

const (
	works       = "works"
	isUnproven  = "unproven"
	doesNotWork = "does not work"
)

// heldTo is what an answer of healthy means.
func heldTo(err error) string {
	switch {
	case err == nil:
		return works
	case errors.As(err, &blameless{}):
		return isUnproven
	}
	return doesNotWork
}

func TestVerdictOnWhatTheGatewaySays(t *testing.T) {
	for _, one := range []struct {
		store  string
		causes []string
		want   string
	}{
		{storeOpen, nil, works},
		{storeOpen, []string{causeRoom}, works},
		{storeOpen, []string{causeCard}, works},
		{storeOpen, []string{causeAbsent, causeAbsent}, works},
		{storeOpen, []string{causeFiles}, works},
		{storeOpen, []string{causeTaken}, isUnproven},
		{storeOpen, []string{causeDevice}, isUnproven},
		{storeOpen, []string{causeStarting}, doesNotWork},
		{storeOpen, []string{causeGateway}, doesNotWork},
		{storeOpen, []string{causeTaken, causeGateway, causeTaken}, doesNotWork},
		{storeOpen, []string{"of a later release"}, doesNotWork},
		{storeClosed, nil, doesNotWork},
		{storeClosed, []string{causeAbsent}, doesNotWork},
		{storeClosed, []string{causeCard}, isUnproven},
		{storeClosed, []string{causeRoom}, isUnproven},
		{storeClosed, []string{causeStarting}, doesNotWork},
		{storeClosed, []string{causeGateway}, doesNotWork},
		{storeClosed, []string{causeCard, causeGateway}, doesNotWork},
		{"", nil, doesNotWork},
	} {
		r := readiness{Store: one.store}
		for _, cause := range one.causes {
			r.Reasons = append(r.Reasons, unready{Name: "it", Cause: cause, Reason: "is " + cause})
		}
		if is := heldTo(r.verdict()); is != one.want {
			t.Errorf("the store is %q, %v: %s, want %s", one.store, one.causes, is, one.want)
		}
	}
}

// A box without an endpoint is asked about by systemd.
func TestVerdictBySystemd(t *testing.T) {
	b := newSlotBox(t)
	for script, want := range map[string]string{
		"exit 3\n": doesNotWork,
		"echo '2 of 2 lines up, 0 pending, store open'\n":                            works,
		"echo '0 of 2 lines up, the store is closed, nothing is acknowledged: no'\n": isUnproven,
		"test $1 = is-active\n": isUnproven,
	} {
		b.tool("systemctl", script)
		if is := heldTo(systemdSays(t.Context())); is != want {
			t.Errorf("%q: %s, want %s", script, is, want)
		}
	}
}

// slotConfig plants a configuration, its second copy and the factory's; "" for none.
func slotConfig(t *testing.T, own, kept string) *slotCommand {
	t.Helper()
	directory := t.TempDir()
	for name, text := range map[string]string{"assaygate.yaml": own, "assaygate.yaml" + keptSuffix: kept, "factory.yaml": "version: 1\nadmin: {listen: \"\"}\n"} {
		if text != "" {
			plant(t, directory, name, text)
		}
	}
	return &slotCommand{Config: directory + "/assaygate.yaml", Factory: directory + "/factory.yaml", Root: t.TempDir()}
}

func TestVerdictOnTheConfiguration(t *testing.T) {
	b := newSlotBox(t)
	b.tool("systemctl", "echo store open\n")
	const taken, refused = "version: 1\nadmin: {listen: \"\"}\n", "version: 1\nnews: of a later release\n"
	for name, one := range map[string]struct{ own, kept, want string }{
		"taken":                          {taken, taken, works},
		"a new box":                      {"", "", works},
		"refused":                        {refused, refused, doesNotWork},
		"refused, and there was no copy": {refused, "", doesNotWork},
		"spoilt, and the copy is taken":  {"version: [", taken, works},
	} {
		if is := heldTo(slotConfig(t, one.own, one.kept).healthy(t.Context())); is != one.want {
			t.Errorf("%s: %s, want %s", name, is, one.want)
		}
	}
}

// A gateway that does not run is the image's fault, unless the endpoint is where a
// cable may be missing and systemd knows that it runs.
func TestVerdictWithoutAnAnswer(t *testing.T) {
	b := newSlotBox(t)
	// Where nobody listens, and that is not on loopback.
	lan := ""
	addresses, _ := net.InterfaceAddrs()
	for _, one := range addresses {
		if ip, _, err := net.ParseCIDR(one.String()); err == nil && ip.To4() != nil && !ip.IsLoopback() {
			lan = ip.String()
		}
	}
	if lan == "" {
		t.Skip("*** NOT TESTED: this machine has no network interface ***")
	}
	for _, one := range []struct{ admin, systemd, want string }{
		{`{listen: "127.0.0.1:1"}`, "echo store open\n", doesNotWork},
		{`{listen: "LAN:1", allow_from: [10.0.0.0/8], token_file: TOKEN}`, "echo the card\n", isUnproven},
		{`{listen: "LAN:1", allow_from: [10.0.0.0/8], token_file: TOKEN}`, "exit 3\n", doesNotWork},
		{`{listen: ":1", allow_from: [10.0.0.0/8], token_file: TOKEN}`, "echo store open\n", doesNotWork},
		{`{listen: "LAN:1"}`, "echo store open\n", works}, // not safe as it stands, and so closed
	} {
		b.tool("systemctl", one.systemd)
		token := t.TempDir()
		plant(t, token, "token", strings.Repeat("x", 40)+"\n")
		text := "version: 1\nadmin: " + strings.NewReplacer("TOKEN", token+"/token", "LAN", lan).Replace(one.admin) + "\n"
		if err := slotConfig(t, text, text).healthy(t.Context()); heldTo(err) != one.want {
			t.Errorf("%s, systemd: %q: %v, want %s", one.admin, one.systemd, err, one.want)
		}
	}
}

func TestCardThatCannotBeReadIsNotTheImagesFault(t *testing.T) {
	if err := blameCard(fmt.Errorf("read configuration: %w", syscall.EIO)); heldTo(err) != isUnproven {
		t.Errorf("%v is the image's fault", err)
	}
	if err := blameCard(errors.New("unknown key")); heldTo(err) != doesNotWork {
		t.Errorf("%v is not", err)
	}
}
