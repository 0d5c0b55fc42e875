package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// dataCommand is root's part of /data on the box, called by its units: the
// gateway writes into it, and can neither check nor mount it.
type dataCommand struct {
	Prepare dataPrepare `cmd:"" help:"Have the card's partition for /data ready to be mounted. Example: assaygate data prepare"`
	Request dataRequest `cmd:"" help:"Carry out what the gateway asks for: note it on the card, and start the box anew. Example: assaygate data request"`
}

type dataPrepare struct {
	Device  string `help:"The partition." default:"/dev/assaygate/data"`
	At      string `help:"Where it will be mounted." default:"/data"`
	Runtime string `help:"Where the state is left for the gateway." default:"/run" type:"path"`
	User    string `help:"Whose the configuration is." default:"assaygate"`
}

type dataRequest struct {
	Device  string `help:"The partition." default:"/dev/assaygate/data"`
	Runtime string `help:"Where the request is." default:"/run" type:"path"`
}

// cardNote is one sector in the gap between the partition table and the first
// partition. It says what the next start is to do with /data before anything is
// mounted, and stays until that is done: so a power cut ends nothing half way. It
// is the only reason for which a file system is ever made. A card that has lost
// its superblock, or reads as zeros, is a broken one and not a new one.
type cardNote struct {
	Do     string    `json:"do"`
	By     string    `json:"by,omitempty"` // who asked; "" for the image
	At     time.Time `json:"at,omitzero"`
	Signed bool      `json:"signed,omitempty"`
	// Reset: make is what is left of a reset that could not repair.
	Reset bool `json:"reset,omitempty"`
}

// What a note can ask for.
const (
	noteMake   = "make"   // a new file system; the image says so of a new card
	noteRepair = "repair" // by force, and go on with what is left
	noteReset  = "reset"  // repair, or else make, and reset the box
)

const (
	// dataNoteOffset is where it is on the card, in bytes: behind U-Boot's
	// environments, as image/layout has it.
	dataNoteOffset = 0x180000
	dataNoteSize   = 512
	// dataMadeOffset is where it says which file system was made on this card, in
	// another block of its flash. Who flashes the card takes that away too. A note
	// of a new card that comes back, as after a power cut, is so known to be old.
	dataMadeOffset = 0x1C0000
	dataMadeMark   = "assaygate-made 1 "
	// dataNoteMark is what one begins with; the number is that of its format.
	dataNoteMark = "assaygate-data 1 "
	// configFolder is where the configuration is, in the file system of /data.
	configFolder = "config"
	// mostBy is how much of a name is kept.
	mostBy = 100
)

// encode is the sector.
func (n cardNote) encode() ([]byte, error) {
	sector := make([]byte, dataNoteSize)
	if n == (cardNote{}) {
		return sector, nil
	}
	text, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	if copy(sector, dataNoteMark+string(text)+"\n") >= dataNoteSize {
		return nil, errors.New("the note for the next start is too long")
	}
	return sector, nil
}

// parseCardNote reads the sector. The zero value is no note.
func parseCardNote(sector []byte) (n cardNote, err error) {
	text := strings.TrimLeft(string(sector), "\x00")
	if text == "" {
		return cardNote{}, nil
	}
	text, _, _ = strings.Cut(text, "\n") // the image's build does not care for the rest
	body, is := strings.CutPrefix(text, dataNoteMark)
	if !is {
		return cardNote{}, errors.New("what stands in its place is none")
	}
	err = json.Unmarshal([]byte(body), &n)
	if err == nil {
		err = n.valid()
	}
	if err != nil {
		return cardNote{}, err
	}
	return n, nil
}

func (n cardNote) valid() error {
	switch n.Do {
	case noteMake, noteRepair, noteReset:
		return nil
	}
	return fmt.Errorf("%q is nothing that can be done", n.Do)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }
