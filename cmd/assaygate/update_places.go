package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/image/update/agent"
	"github.com/assaygate/assaygate/image/update/release"
)

// updatePlaces are the files by which a box's parts speak of updates, below the
// root of its files.
//
//	/data/system/update              the agent's memory: outcome.json and more, see [agent.Outcome]
//	/data/system/update/trust        the signed metadata that was trusted last
//	/data/system/update/bundles      what is being fetched
//	/data/system/update-root.json    the root of trust of this box, in place of the image's; root's own
//	/run/assaygate-update            status.json, the socket control, the request reboot; gone with the agent
//	/run/assaygate-apply/update      settings.json, which root makes of the configuration
//	/run/assaygate-activity/socket   the gateway tells whether analysers are at work
//	/run/assaygate-stick             metadata and targets of the stick that is plugged in
type updatePlaces struct{ root string }

func (p updatePlaces) at(parts ...string) string {
	return filepath.Join(append([]string{p.root}, parts...)...)
}

func (p updatePlaces) state() string    { return p.at("data/system/update") }
func (p updatePlaces) status() string   { return p.at("run/assaygate-update/status.json") }
func (p updatePlaces) control() string  { return p.at("run/assaygate-update/control") }
func (p updatePlaces) reboot() string   { return p.at("run/assaygate-update/reboot") }
func (p updatePlaces) settings() string { return p.at("run/assaygate-apply/update/settings.json") }
func (p updatePlaces) stick() string    { return p.at("run/assaygate-stick") }
func (p updatePlaces) activity() string { return p.at("run/assaygate-activity/socket") }

// trustedRoots are where the root.json of the fleet may be, the first that is there
// counts: one that was put on this card, then that of the image.
func (p updatePlaces) trustedRoots() []string {
	return []string{p.at("data/system/update-root.json"), p.at("usr/share/assaygate/update/root.json")}
}

// trustedRoot is the root.json that the box trusts. Its error is for people.
func (p updatePlaces) trustedRoot() ([]byte, error) {
	const most = 1 << 20
	for _, path := range p.trustedRoots() {
		text, err := readPlain(path, most)
		switch {
		case err == nil:
			return text, nil
		case !errors.Is(err, fs.ErrNotExist):
			// Nothing weaker takes the place of one that cannot be read.
			return nil, fmt.Errorf("the root of trust of this box cannot be read: %w", err)
		}
	}
	return nil, errors.New("this image was made without a root of trust (UPDATE_ROOT), so no release can be verified: neither over the network nor from a stick")
}

// box is what releases are judged for.
func (p updatePlaces) box() (release.Box, error) {
	text, err := os.ReadFile(p.at("etc/rauc/system.conf"))
	if err != nil {
		return release.Box{}, fmt.Errorf("what board this is, RAUC's configuration tells: %w", err)
	}
	box := release.Box{Version: p.started().version}
	for line := range strings.Lines(string(text)) {
		if value, is := strings.CutPrefix(strings.TrimSpace(line), "compatible="); is {
			box.Compatible = value
		}
	}
	if box.Compatible == "" {
		return release.Box{}, fmt.Errorf("%s does not say what board this is", p.at("etc/rauc/system.conf"))
	}
	return box, nil
}

func (p updatePlaces) started() startedSlot { return (&slotCommand{Root: p.root}).started() }

// boot names this start of the box.
func (p updatePlaces) boot() string {
	text, _ := os.ReadFile(p.at("proc/sys/kernel/random/boot_id")) // without it the agent says so
	return strings.TrimSpace(string(text))
}

// verdicts is the agent's memory, with what others of the box know of the slots: the
// verdict of the last trial, whichever slot that was for, and which images
// have proven themselves on this box.
type verdicts struct {
	agent.Store
	places updatePlaces
}

const (
	lastVerdict = "verdict.json"
	goodSlots   = "data/system/good-slots.json"
)

// verdictOf is the slot that a file of the agent's is the verdict on, "" for another
// file.
func verdictOf(name string) string {
	slot, is := strings.CutPrefix(name, "verdict-")
	if slot, has := strings.CutSuffix(slot, ".json"); is && has {
		return slot
	}
	return ""
}

// Read implements agent.Store.
func (v verdicts) Read(name string) ([]byte, error) {
	slot := verdictOf(name)
	text, err := v.Store.Read(name)
	if slot == "" || err == nil {
		return text, err
	}
	if text, err := v.Store.Read(lastVerdict); err == nil && v.about(text, slot) {
		return text, nil
	}
	if started := v.places.started(); started.slot == slot && v.proven(started) {
		return json.Marshal(agent.Verdict{Slot: slot, Version: started.version, Good: true})
	}
	return nil, err
}

// Remove implements agent.Store.
func (v verdicts) Remove(name string) error {
	if slot := verdictOf(name); slot != "" {
		if text, err := v.Store.Read(lastVerdict); err == nil && v.about(text, slot) {
			if err := v.Store.Remove(lastVerdict); err != nil {
				return err
			}
		}
	}
	return v.Store.Remove(name)
}

func (v verdicts) about(text []byte, slot string) bool {
	var verdict agent.Verdict
	return json.Unmarshal(text, &verdict) == nil && verdict.Slot == slot
}

// proven reports whether the image that runs was good on this box before.
func (v verdicts) proven(started startedSlot) bool {
	text, err := readPlain(v.places.at(goodSlots), 4<<10)
	good := map[string]string{}
	return err == nil && json.Unmarshal(text, &good) == nil && good[started.slot] == started.image
}

// keepVerdict writes down that a person has said of the slot that runs that it is good.
func (p updatePlaces) keepVerdict(v agent.Verdict) error {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return config.Publish(filepath.Join(p.state(), lastVerdict), append(text, '\n'))
}
