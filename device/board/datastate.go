package board

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// How root found the partition of /data when the box was started.
const (
	DataOK       = "ok"
	DataRepaired = "repaired"  // by the check that is made at each start
	DataReadOnly = "read-only" // mounted so: nothing can be stored
	DataAbsent   = "absent"    // not mounted
)

// DataState is what root's `assaygate data prepare` has left for the gateway.
type DataState struct {
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"` // why it is read-only or absent, for people
	At     string `json:"at"`               // where it is mounted
	Gone   bool   `json:"gone,omitempty"`   // the card is there, and has no such partition
	// Late: nothing is known to be wrong with it. It was not there in time, or is
	// not mounted though it can be; what is on it is whole, and its owner unknown.
	Late bool `json:"late,omitempty"`
	// Locked: the card keeps nothing that is written, and so no repair either.
	Locked bool `json:"locked,omitempty"`
	// Stale: it is mounted without its journal, which a card that is locked cannot
	// bring to its end: what was written before the last power cut may be missing.
	Stale bool `json:"stale,omitempty"`
	// Asked is what a person had asked for, and was carried out at this start:
	// "repair", "reset" or "make"; "" for nothing.
	Asked string `json:"asked,omitempty"`
	// Refused is why a request since then could not be carried out.
	Refused string   `json:"refused,omitempty"`
	Did     []string `json:"did,omitempty"`  // what was done to it, for the log
	Told    []string `json:"told,omitempty"` // what of that every person is told
}

// Broken says why nothing can be stored on /data, and what a person can do; nil
// where it can, and on computers on which root prepares nothing.
func (d DataState) Broken() error {
	switch {
	case d.State == DataReadOnly, d.State == DataAbsent:
	default:
		return nil
	}
	how := "is not there"
	if d.State == DataReadOnly {
		how = "can only be read"
	}
	if d.Stale {
		how = "is read-only, as of before the last power cut"
	}
	text := fmt.Sprintf("the card's partition for %s %s: %s", d.At, how, d.Reason)
	if d.Refused != "" {
		text += "; " + d.Refused
	}
	switch {
	case d.Late:
		return errors.New(text + "; switch the box off and on, and where that does not help: docs/recovery.md")
	case d.Gone:
		return errors.New(text + "; flash the card anew, or replace it")
	case d.Locked:
		return errors.New(text + "; copy what it holds and replace the card")
	case d.Asked != "":
		return errors.New(text + "; what was asked for was tried at this start and did not help: copy what can be read off the card, and replace it")
	}
	return errors.New(text + "; a stick with an empty file repair has it repaired, a factory reset has it repaired or made anew")
}

// DataNow is what is left of it: what was found sound, and is not mounted, cannot be
// used. Where that cannot be seen, it is as root has found it.
func (s System) DataNow() (d DataState, err error) {
	d, err = s.DataState()
	if err != nil || d.At == "" || d.State == "" || d.State == DataAbsent {
		return d, err
	}
	root, known := s.mountOf("/")
	data, found := s.mountOf(d.At)
	if known && found && data.number == root.number {
		d.State, d.Late = DataAbsent, true
		d.Reason = "it was found, and not mounted in time"
	}
	return d, nil
}

// DataState returns what root has left, the zero value where there is none.
func (s System) DataState() (d DataState, err error) {
	text, err := os.ReadFile(s.DataStateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return DataState{}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	return d, err
}

// SetDataState leaves it, for root. What reads it never sees half of it.
func (s System) SetDataState(d DataState) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	path := s.DataStateFile()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// DataStateFile is in a directory of root's own: the gateway cannot claim it.
func (s System) DataStateFile() string { return s.run("assaygate-data", "state.json") }

// DataRequest is the file by which the gateway asks root to repair or to reset
// /data.
func (s System) DataRequest() string { return s.run("assaygate", "data-request") }
