package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/assaygate/assaygate/device/board"
)

// preparing has /data ready to be mounted, once at each start of the box.
type preparing struct {
	dataPrepare
	log  *slog.Logger
	disk *dataDisk
	size int64 // of the partition
	did  []string
	told []string // what of that nobody may miss
}

// Run implements a kong command. Its error keeps /data from being mounted; what
// may only be read is mounted, and no error.
func (c dataPrepare) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	system := board.System{Run: c.Runtime}
	if at, _ := mountedAt(c.Device); at != "" {
		return fmt.Errorf("%s is mounted at %s: it is prepared before that, at the start of the box", c.Device, at)
	}
	// Who is cut off before the end has said the truth.
	state := board.DataState{State: board.DataAbsent, At: c.At, Reason: "its check did not come to an end"}
	if err := system.SetDataState(state); err != nil {
		return err
	}
	p := &preparing{dataPrepare: c, log: newLog(LogSettings{}, s.err)}
	if err := os.Remove(p.unreplayedMark()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	state = p.prepare(ctx)
	state.At, state.Did, state.Told = c.At, p.did, p.told
	for _, line := range p.did {
		level := slog.LevelWarn
		if slices.Contains(p.told, line) {
			level = slog.LevelError // and so kept
		}
		p.log.Log(ctx, level, line, "partition", c.Device, "for", c.At)
	}
	if broken := state.Broken(); broken != nil {
		p.log.Error(broken.Error(), "partition", c.Device)
		fmt.Fprintf(s.out, "assaygate: %v\n", broken)
	}
	if err := system.SetDataState(state); err != nil {
		return err
	}
	if state.State == board.DataAbsent {
		return fmt.Errorf("%s is not mounted: %s", c.At, state.Reason)
	}
	return nil
}

// workplace is where the file system is mounted meanwhile.
func (p *preparing) workplace() string { return filepath.Join(p.Runtime, "assaygate-data", "check") }

func (p *preparing) prepare(ctx context.Context) board.DataState {
	_ = guardPartition(p.Device, false) // of an earlier run; a card that takes no writes still does not
	disk, err := openDataDisk(p.Device)
	switch {
	case errors.Is(err, errNoPartition) && cardLacks(p.Device):
		return board.DataState{State: board.DataAbsent, Gone: true, Reason: "the card has no such partition"}
	case errors.Is(err, errNoPartition):
		state := dataAbsent(err)
		state.Late = true
		return state
	case err != nil:
		return dataAbsent(err)
	}
	p.disk = disk
	defer disk.close()
	note, err := disk.note()
	if err != nil {
		p.log.Error("what this start was to do with the data cannot be read, and is not done", "error", err)
	}
	if disk.guarded {
		state := p.onlyRead(errors.New("the card takes no writes"))
		state.Locked = true
		return state
	}
	if gained, err := disk.grow(); err != nil {
		p.log.Error("the partition stays as large as it is", "error", err)
	} else if gained > 0 {
		p.note("the partition was grown by %s, to the end of the card", mebibytes(gained))
	}
	if p.size, err = disk.size(); err != nil {
		return dataAbsent(err)
	}
	state := p.carryOut(ctx, note)
	state.Asked = note.Do
	if note.Do == "" || note == (cardNote{Do: noteMake}) && state.State == board.DataOK {
		state.Asked = ""
	}
	return state
}

// note keeps what was done, for the log and for who asks.
func (p *preparing) note(format string, args ...any) {
	p.did = append(p.did, fmt.Sprintf(format, args...))
}

// tell is note, for what a person has to know whoever asked for it.
func (p *preparing) tell(format string, args ...any) {
	p.note(format, args...)
	p.told = append(p.told, p.did[len(p.did)-1])
}

// carryOut does what the note says, else what each start does.
func (p *preparing) carryOut(ctx context.Context, note cardNote) board.DataState {
	switch note.Do {
	case noteMake:
		if super, err := p.superblock(); err == nil && !note.Reset && p.disk.made(super) {
			p.tell("the card has brought back an old note that it is new, and was not made anew: replace it, for it forgets what was written")
			return p.settled(p.checked(p.check(ctx)))
		}
		return p.make(ctx, note)
	case noteReset:
		return p.reset(ctx, note)
	case noteRepair:
		repaired, err := p.repair(ctx)
		if errors.Is(err, errUnended) {
			return p.onlyRead(err) // and the next start goes on
		}
		state := p.checked(repaired, err)
		if state.Broken() == nil {
			p.note("the file system was repaired by force, as %s asked; what lost its name is in lost+found", note.By)
		}
		return p.settled(state)
	}
	return p.checked(p.check(ctx))
}

// checked finds what can be done with a file system after its check.
func (p *preparing) checked(repaired bool, err error) board.DataState {
	if err == nil {
		err = p.mounted(false, func(directory string) error {
			gained, err := p.growFileSystem(directory, p.size)
			if err != nil {
				p.log.Error("the file system stays as large as it is", "error", err)
			} else if gained > 0 {
				p.note("the file system was grown by %s", mebibytes(gained))
			}
			return nil
		})
	}
	if err != nil {
		return p.onlyRead(err)
	}
	p.sayMade()
	if repaired {
		return board.DataState{State: board.DataRepaired}
	}
	return board.DataState{State: board.DataOK}
}

// sayMade has the card say which file system was made on it. Without that it is
// used all the same.
func (p *preparing) sayMade() {
	super, err := p.superblock()
	if err == nil {
		err = p.disk.setMade(super)
	}
	if err != nil {
		p.log.Error("the card cannot be told which file system was made on it", "error", err)
	}
}

// onlyRead has the file system mounted for reading, where that can be.
func (p *preparing) onlyRead(why error) board.DataState {
	if err := guardPartition(p.Device, true); err != nil {
		return dataAbsent(errors.Join(why, err))
	}
	err := p.mounted(true, func(string) error { return nil })
	if err == nil {
		return board.DataState{State: board.DataReadOnly, Reason: oneLine(why)}
	}
	if super, unread := p.superblock(); unread == nil && super.needsReplay() && p.unreplayed() == nil {
		return board.DataState{State: board.DataReadOnly, Stale: true, Reason: oneLine(why)}
	}
	return dataAbsent(errors.Join(why, err))
}

// unreplayed has the file system mounted without its journal, for what is locked
// against writing before that was brought to its end: see
// assaygate-data-unreplayed.service. It reports why that cannot be.
func (p *preparing) unreplayed() error {
	if err := p.mountedWith(unix.MS_RDONLY, "noload", func(string) error { return nil }); err != nil {
		return err
	}
	return os.WriteFile(p.unreplayedMark(), nil, 0o644)
}

// unreplayedMark is there where it is mounted so.
func (p *preparing) unreplayedMark() string {
	return filepath.Join(p.Runtime, "assaygate-data", "unreplayed")
}

func dataAbsent(why error) board.DataState {
	return board.DataState{State: board.DataAbsent, Reason: oneLine(why)}
}

// dataUnwritable is what is left where the card takes no note.
func dataUnwritable(why error) board.DataState {
	state := dataAbsent(fmt.Errorf("the card cannot be written: %w", why))
	state.Locked = errors.Is(why, errSwallowed)
	return state
}

// settled takes the note away, as the end of what it asked for. Where that cannot
// be, the next start would do it again, with what was stored by then: so nothing
// may be.
func (p *preparing) settled(state board.DataState) board.DataState {
	if err := p.disk.setNote(cardNote{}); err != nil {
		return dataUnwritable(err)
	}
	return state
}

func mebibytes(n int64) string { return fmt.Sprintf("%d MiB", n>>20) }
