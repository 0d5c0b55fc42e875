package main

import (
	"errors"
	"time"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/configdrive"
)

// setClock sets the clock of a box that no time server sets, by a file that holds
// a time.
func (s *sticks) setClock(session *configdrive.Session) configdrive.Outcome {
	text, err := config.Text(session.Files[configdrive.SetClock].Data)
	if err != nil {
		return outcome(configdrive.SetClock, "", errors.New("it is not plain text; save the file as UTF-8"))
	}
	at, err := parseClock(text, time.Local)
	if err == nil {
		err = s.d.setClock(at)
	}
	return outcome(configdrive.SetClock, "the clock is set to "+shownMoment(at)+" within seconds.", err)
}
