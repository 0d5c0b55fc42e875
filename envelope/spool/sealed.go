package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A factory reset that the owner has not signed sets the store aside: what it
// holds is patients' data of whoever owned the box, and what the box has
// acknowledged it keeps. The seal is a file in the store's directory, from which
// on nothing opens that store. The directory is then renamed to
// DIRECTORY.sealed-N, and the gateway begins a new one:
//
//	DIRECTORY.sealed-N/sealed.json   counts, and whose key opens it
//	DIRECTORY.erased-N               what is being removed; the next Open goes on
//
// The card is not encrypted: a seal binds this program, not who holds the card.
const (
	sealFile     = "sealed.json"
	sealedSuffix = ".sealed-"
	erasedSuffix = ".erased-"
)

// ErrSealed means that the store was set aside: nothing opens it until its owner's key
// or a person has decided.
var ErrSealed = errors.New("the store is sealed")

// Sealed is a store that was set aside. It counts, and names nobody.
type Sealed struct {
	ID           int                 `json:"id"`        // the N of its directory's name; 0 while it is still in its place
	Directory    string              `json:"directory"` // where it stands now
	Owner        string              `json:"owner"`     // the public key that opens it; "": the box had no owner
	Box          string              `json:"box"`       // the name of the box that it was the store of
	At           time.Time           `json:"at"`        // as that box knew the time
	By           string              `json:"by"`        // what asked for the reset
	Messages     int                 `json:"messages"`
	NotDelivered int                 `json:"not_delivered"` // messages that are pending or parked at a destination
	Drafts       int                 `json:"drafts"`
	Destinations []SealedDestination `json:"destinations"`
	Beside       []Moved             `json:"beside,omitempty"`  // directories of files that belong to it, such as captures
	Problem      string              `json:"problem,omitempty"` // why the counts are not known
	Unsealed     *Unsealing          `json:"unsealed,omitempty"`
}

// SealedDestination counts the messages of a sealed store at one destination.
type SealedDestination struct {
	Name        string `json:"name"`
	Pending     int    `json:"pending"`
	Parked      int    `json:"parked"`
	Delivered   int    `json:"delivered"`
	Confirmed   int    `json:"confirmed"`
	Unconfirmed int    `json:"unconfirmed"`
	Dropped     int    `json:"dropped"`
}

// Moved is a directory whose files stand in another one while the store is
// sealed.
type Moved struct {
	From string `json:"from"`
	To   string `json:"to"` // named FROM.sealed-N
}

// Unsealing says who has opened a seal, on the way to where the store's own audit
// trail says so.
type Unsealing struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// SealedPath is where the store of a directory stands once it is set aside under
// that number; files that belong to it stand likewise.
func SealedPath(directory string, id int) string {
	return filepath.Clean(directory) + sealedSuffix + strconv.Itoa(id)
}

// NextSealed returns the lowest number above all that name something set aside
// beside the directories.
func NextSealed(directories ...string) (int, error) {
	next := 1
	for _, directory := range directories {
		for _, suffix := range []string{sealedSuffix, erasedSuffix} {
			ids, err := aside(directory, suffix)
			if err != nil {
				return 0, fmt.Errorf("looking for sealed stores: %w", err)
			}
			if n := len(ids); n > 0 {
				next = max(next, ids[n-1]+1)
			}
		}
	}
	return next, nil
}

// aside returns the numbers of what was set aside beside a directory, rising.
func aside(directory, suffix string) (ids []int, err error) {
	entries, err := os.ReadDir(filepath.Dir(filepath.Clean(directory)))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil // who may not look there has set nothing aside
	}
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		number, is := strings.CutPrefix(entry.Name(), filepath.Base(directory)+suffix)
		if id, err := strconv.Atoi(number); is && err == nil && id > 0 && strconv.Itoa(id) == number {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// ListSealed returns the stores that were set aside from the directory, by
// number. Where one cannot be understood its Problem says so.
func ListSealed(directory string) ([]Sealed, error) {
	list := []Sealed{}
	ids, err := aside(directory, sealedSuffix)
	if err != nil {
		return nil, fmt.Errorf("looking for sealed stores: %w", err)
	}
	for _, id := range ids {
		path := SealedPath(directory, id)
		sealed, err := readSeal(path)
		if err != nil {
			sealed = Sealed{Problem: fmt.Sprintf("its %s cannot be read: %v", sealFile, err)}
		}
		sealed.ID, sealed.Directory = id, path
		list = append(list, sealed)
	}
	return list, nil
}

func readSeal(directory string) (sealed Sealed, err error) {
	text, err := os.ReadFile(filepath.Join(directory, sealFile))
	if err != nil {
		return sealed, err
	}
	return sealed, json.Unmarshal(text, &sealed)
}

func writeSeal(directory string, sealed Sealed) error {
	text, err := json.MarshalIndent(sealed, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(directory, sealFile), append(text, '\n'), true)
}

// checkSeal refuses a sealed store. Where it was unsealed, it returns how.
func checkSeal(directory string) (*Sealed, error) {
	sealed, err := readSeal(directory)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %s cannot be read: %w", ErrSealed, sealFile, err)
	case sealed.Unsealed == nil:
		return nil, fmt.Errorf("%w: a factory reset has set it aside; its owner's signed stick with the file unseal opens it", ErrSealed)
	}
	return &sealed, nil
}

// noteUnsealed writes into the audit trail that has come back who has opened it,
// once.
func (t *tx) noteUnsealed(sealed *Sealed) error {
	if sealed == nil {
		return nil
	}
	detail := fmt.Sprintf("sealed by %s at %s, opened at %s", sealed.By, sealed.At.Format(time.RFC3339), sealed.Unsealed.At.Format(time.RFC3339))
	var noted int
	if err := t.scan("SELECT count(*) FROM audit WHERE what = ? AND detail = ?", []any{auditUnsealed, detail}, &noted); err != nil || noted > 0 {
		return err
	}
	t.spool.log.Info("unsealed", "by", sealed.Unsealed.By, "what", detail)
	return t.audit(AuditRow{What: auditUnsealed, Who: sealed.Unsealed.By, Detail: detail})
}

// forgetSeal removes the seal of a store that was unsealed and has said so.
func (s *Spool) forgetSeal(sealed *Sealed) error {
	if sealed == nil {
		return nil
	}
	return errors.Join(os.Remove(filepath.Join(s.directory, sealFile)), syncDirectory(s.directory))
}

// sweepErased removes what an erasure or an unsealing that was cut off has left
// beside the store.
func sweepErased(directory string) error {
	ids, err := aside(directory, erasedSuffix)
	for _, id := range ids {
		err = errors.Join(err, os.RemoveAll(filepath.Clean(directory)+erasedSuffix+strconv.Itoa(id)))
	}
	return err
}

// Sealed returns the stores that were set aside from this one's place.
func (s *Spool) Sealed(context.Context) ([]Sealed, error) { return ListSealed(s.directory) }

// IsSealed reports whether the directory holds a store with a seal.
func IsSealed(directory string) bool { return exists(filepath.Join(directory, sealFile)) }
