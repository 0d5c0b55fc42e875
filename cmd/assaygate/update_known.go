package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/image/update/agent"
	"github.com/assaygate/assaygate/image/update/release"
)

// knownUpdates is what a box knows of its updates, as in the agent's files. Whoever
// shows it reads them: the agent may be at anything, or not run.
type knownUpdates struct {
	status  updateStatus
	runs    bool // the agent does; else the status is empty but for the outcome
	outcome *agent.Outcome
	spoilt  bool // there is an outcome, and it cannot be read
}

// errNoUpdates is for a host that is no box.
var errNoUpdates = errors.New("this host is not the box, and gets no updates of a box: put a new program in place of this one, and restart the gateway")

// known reads the files. Its error is errNoUpdates: what cannot be read of a box is
// told with the rest.
func (p updatePlaces) known() (k knownUpdates, err error) {
	if err := p.onBox(); err != nil {
		return k, err
	}
	unread := []string{}
	k.status, err = p.statusNow()
	if k.runs = !errors.Is(err, fs.ErrNotExist); k.runs && err != nil {
		unread = append(unread, fmt.Sprintf("the status of updates cannot be read: %v", err))
	}
	k.outcome, err = p.lastOutcome()
	if k.spoilt = err != nil; k.spoilt {
		unread = append(unread, fmt.Sprintf("what became of the last update cannot be read: %v", err))
	}
	k.status.Format = updateStatusFormat // also where only the outcome is known
	k.status.Outcome, k.status.Unread = k.outcome, strings.Join(unread, "; ")
	if k.status.Running.Version == "" {
		started := p.started()
		k.status.Running = agent.Runs{Slot: started.slot, Version: started.version}
	}
	return k, nil
}

// onBox returns errNoUpdates where this host is no box.
func (p updatePlaces) onBox() error {
	if _, err := p.box(); errors.Is(err, fs.ErrNotExist) {
		return errNoUpdates
	}
	return nil
}

// statusNow is what the agent says of itself. Its error is fs.ErrNotExist where it does not run.
func (p updatePlaces) statusNow() (s updateStatus, err error) {
	if err := readWord(p.status(), &s); err != nil {
		return updateStatus{}, err
	}
	s.Unread = ""
	if s.Format != updateStatusFormat {
		return updateStatus{}, fmt.Errorf("it is of format %d, and this program knows %d", s.Format, updateStatusFormat)
	}
	return s, nil
}

// lastOutcome is what became of the last update, nil where there was none.
func (p updatePlaces) lastOutcome() (*agent.Outcome, error) {
	var o agent.Outcome
	err := readWord(filepath.Join(p.state(), "outcome.json"), &o)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case o.Format != agent.OutcomeFormat || o.Result == "":
		return nil, fmt.Errorf("it is of format %d, with the result %q, and this program knows format %d", o.Format, o.Result, agent.OutcomeFormat)
	}
	for _, named := range []*string{&o.Version, &o.From, &o.Running.Version} {
		*named = release.Plain(*named) // earlier builds wrote the v of a tag into some of them
	}
	return &o, nil
}

// readWord decodes a file of the agent's, which may be at anything: it may be of
// any length, and of any kind.
func readWord(path string, into any) error {
	text, err := readPlain(path, mostStatus+1)
	switch {
	case err != nil:
		return err
	case len(text) > mostStatus:
		return fmt.Errorf("it has more than %d KiB", mostStatus>>10)
	}
	return json.Unmarshal(text, into)
}

// underWay reports whether a release is being installed, started or tried, so that
// whoever switches the box off now spoils it. A download goes on where it was cut off.
func (p updatePlaces) underWay() bool {
	s, err := p.statusNow()
	return err == nil && slices.Contains([]agent.Phase{agent.Installing, agent.Restarting, agent.OnTrial}, s.Phase)
}
