package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/device/config"
)

// errUnended is why a repair that did not end leads to nothing more.
var errUnended = errors.New("the repair did not come to an end")

// repair mends the file system by all means that e2fsck has.
func (p *preparing) repair(ctx context.Context) (repaired bool, err error) {
	for range 2 { // what a first run moves, a second may have to count again
		if repaired, err = p.fsck(ctx, repairPatience, "-fy"); err == nil {
			return repaired, nil
		}
	}
	if status, _, failed := tool(ctx, checkPatience, "e2fsck", "-fn", p.Device); ctx.Err() != nil || failed != nil || status < 0 {
		return false, errors.Join(errUnended, err, failed)
	}
	return false, err
}

// reset repairs, and asks the gateway for the usual reset, which seals the store
// and keeps it. Only a file system that cannot be repaired is made anew: one that is
// sound, and cannot take the request now, is not.
func (p *preparing) reset(ctx context.Context, note cardNote) board.DataState {
	repaired, err := p.repair(ctx)
	if errors.Is(err, errUnended) {
		return p.onlyRead(err) // and the next start goes on
	}
	if err == nil {
		var left error
		err = p.mounted(false, func(directory string) error {
			left = p.leaveRequest(directory, resetRequest{Signed: note.Signed, By: note.By, At: note.At})
			return nil
		})
		switch {
		case err == nil && left == nil:
			p.note("the box is reset, as %s asked", note.By)
			return p.settled(p.checked(repaired, nil))
		case err == nil:
			return p.onlyRead(fmt.Errorf("the box cannot be reset, and the next start tries again: %w", left))
		case !repaired: // nothing was found to be wrong with it
			return p.onlyRead(fmt.Errorf("the box cannot be reset, and the next start tries again: %w", err))
		}
	}
	p.log.Error("the file system cannot be repaired: it is made anew, as a reset was asked for", "by", note.By, "error", err)
	note.Do, note.Reset = noteMake, true
	if err := p.disk.setNote(note); err != nil {
		return dataUnwritable(err)
	}
	return p.make(ctx, note)
}

// make makes a new file system. Where it fails, or is cut off, the next start does
// it again: nothing was stored meanwhile.
func (p *preparing) make(ctx context.Context, note cardNote) board.DataState {
	err := p.makeFileSystem(ctx, p.size)
	if err == nil {
		err = p.mounted(false, func(directory string) error {
			if !note.Reset {
				return nil
			}
			return p.leave(directory, lastResetFile, lastReset{Signed: note.Signed, By: note.By, At: note.At, Anew: true})
		})
	}
	if err != nil {
		return dataAbsent(err)
	}
	if note.Reset {
		p.note("the file system could not be repaired and was made anew, as %s asked: what was on it is lost", note.By)
	} else {
		p.note("this card is new: a file system was made on it")
	}
	state := p.settled(board.DataState{State: board.DataOK})
	// Behind it: whoever finds both takes the note for an old one.
	p.sayMade()
	return state
}

// leaveRequest leaves the request for the usual reset. Where there is no room for a
// file, it takes that of the errors that were kept, which a reset ends anyway.
func (p *preparing) leaveRequest(directory string, q resetRequest) error {
	err := p.leave(directory, resetFile, q)
	if !errors.Is(err, unix.ENOSPC) {
		return err
	}
	for _, name := range []string{"errors.log", "errors.log.1"} {
		_ = os.Remove(filepath.Join(directory, "log", name)) // it may not be there
	}
	return p.leave(directory, resetFile, q)
}

// makeRoom moves what is no directory aside, and keeps it.
func (p *preparing) makeRoom(path string) error {
	for n := 1; ; n++ {
		aside := fmt.Sprintf("%s.aside-%d", path, n)
		if _, err := os.Lstat(aside); errors.Is(err, unix.ENOENT) {
			p.tell("%s was no directory, and is kept as %s", filepath.Base(path), filepath.Base(aside))
			return os.Rename(path, aside)
		} else if err != nil {
			return err
		}
	}
}

// leave puts a file beside the configuration, for the gateway. Nothing else runs
// yet that could put a link in its way; one from before is not followed.
func (p *preparing) leave(directory, name string, value any) error {
	uid, gid, err := p.owner()
	if err != nil {
		return err
	}
	beside := filepath.Join(directory, configFolder)
	info, err := os.Lstat(beside)
	if err == nil && !info.IsDir() {
		if err := p.makeRoom(beside); err != nil {
			return err
		}
		_, err = os.Lstat(beside)
	}
	switch {
	case errors.Is(err, unix.ENOENT):
		if err := os.Mkdir(beside, 0o700); err != nil {
			return err
		}
		if err := os.Lchown(beside, uid, gid); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(beside, name)
	if err := config.Replace(path, append(text, '\n')); err != nil {
		return err
	}
	return os.Lchown(path, uid, gid)
}

// owner is whose the configuration is.
func (p *preparing) owner() (uid, gid int, err error) {
	one, err := user.Lookup(p.User)
	if err != nil {
		return 0, 0, err
	}
	if uid, err = strconv.Atoi(one.Uid); err == nil {
		gid, err = strconv.Atoi(one.Gid)
	}
	return uid, gid, err
}
