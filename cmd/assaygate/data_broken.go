package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/envelope/spool"
)

// dataState is how root has found the card of the box. What cannot be read says
// nothing.
func (d *daemon) dataState() board.DataState {
	state, err := d.board.DataNow()
	if err != nil {
		return board.DataState{}
	}
	return state
}

// brokenData is why the box can store nothing since its start, nil where it can.
func (d *daemon) brokenData() error { return d.dataState().Broken() }

// askRoot asks root to note on the card what the next start is to do with /data,
// and to start the box anew, which follows within seconds.
func askRoot(system board.System, note cardNote) error {
	text, err := json.Marshal(note)
	if err == nil {
		err = config.Replace(system.DataRequest(), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("asking for the data to be repaired: %w", err)
	}
	return nil
}

// rootHelps reports whether a change of the disk has failed for what only root can
// mend, on a computer where it does.
func rootHelps(state board.DataState, err error) bool {
	fault := spool.FaultOf(err)
	return state.State != "" && (fault == spool.CardReadOnly || fault == spool.CardBroken || fault == spool.CardCorrupt)
}

// hopeless is why asking again is of no use, nil where it may be.
func hopeless(state board.DataState) error {
	if state.Gone || state.Locked || state.Asked != "" {
		return state.Broken()
	}
	return nil
}

// repair has root repair the card of the box by force. Nothing of the box is reset.
func (s *sticks) repair() configdrive.Outcome {
	if err := s.d.mayRepair(); err != nil {
		return outcome(configdrive.Repair, "", err)
	}
	return configdrive.Outcome{
		Lines: []string{configdrive.Repair + ": the box starts anew now, and repairs its card before that, which can take minutes. What can be saved stays: messages, configuration and owner. Leave the stick in for the next report."},
		Stop:  true, After: func() { s.d.sayAsked(s.d.repair(byStick)) },
	}
}

// mayRepair says why there is nothing to be repaired.
func (d *daemon) mayRepair() error {
	state := d.dataState()
	switch {
	case state.State == "":
		return errors.New("this computer's disks are not the gateway's to repair: use its own tools")
	case state.Broken() == nil && !d.card().ReadOnly && d.card().Errors == 0:
		if state.Asked == noteRepair {
			return errors.New("it was done at the last start, and the card is sound now; see what is to be noted")
		}
		return errors.New("the card was found sound: there is nothing to repair")
	}
	return hopeless(state)
}

// repair asks root, in the name of somebody.
func (d *daemon) repair(by string) error {
	if err := d.mayRepair(); err != nil {
		return err
	}
	d.log.Warn("the card is to be repaired by force: the box starts anew", "by", by)
	return askRoot(d.board, cardNote{Do: noteRepair, By: by, At: time.Now().UTC()})
}

// sayAsked logs why root was not asked.
func (d *daemon) sayAsked(err error) {
	if err != nil {
		d.log.Error("the card is not repaired", "error", err)
	}
}

// dataNotes are what a person has had done to the card at this start, and what was
// lost or made anew, whoever asked.
func (d *daemon) dataNotes() []string {
	state := d.dataState()
	notes := slices.Clone(state.Told)
	if state.Asked != "" {
		notes = slices.Clone(state.Did)
	}
	if broken := state.Broken(); broken != nil {
		notes = append(notes, broken.Error())
	}
	for i, note := range notes {
		notes[i] = "At the start of the box: " + note + "."
	}
	return notes
}
