package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/assaygate/assaygate/device/board"
)

// mostRequest bounds what is read of the gateway's request.
const mostRequest = 1 << 10

// Run implements a kong command. A request that cannot be carried out is taken
// away too, and the gateway is told why.
func (c dataRequest) Run(s *streams) error {
	system := board.System{Run: c.Runtime}
	text, err := readPlain(system.DataRequest(), mostRequest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // taken back
	}
	if err == nil {
		err = c.carryOut(text, s)
	}
	if gone := os.Remove(system.DataRequest()); gone != nil && !errors.Is(gone, fs.ErrNotExist) {
		err = errors.Join(err, gone)
	}
	if err == nil {
		err = runQuietly("systemctl", "--no-block", "reboot")
		if err != nil {
			err = fmt.Errorf("it is done when the box is switched off and on: %w", err)
		}
	}
	if err == nil {
		return nil
	}
	state, unread := system.DataState()
	state.Refused = "what was asked for could not be begun: " + oneLine(err)
	return errors.Join(err, unread, system.SetDataState(state))
}

// carryOut notes the request on the card, for the next start.
func (c dataRequest) carryOut(text []byte, s *streams) error {
	var note cardNote
	if err := json.Unmarshal(text, &note); err != nil {
		return errors.New("the gateway's request cannot be read") // it is not ours: nothing of it is shown
	}
	if note.Do != noteRepair && note.Do != noteReset {
		return errors.New("the gateway asks for what it may not")
	}
	note.By, note.Reset = readable([]byte(note.By[:min(len(note.By), mostBy)])), false
	disk, err := openDataDisk(c.Device)
	if err != nil {
		return err
	}
	defer disk.close()
	if err := disk.setNote(note); err != nil {
		return fmt.Errorf("noting it on the card: %w", err)
	}
	fmt.Fprintf(s.out, "the next start of the box carries out: %s of the data, as %s asked\n", note.Do, note.By)
	return nil
}
