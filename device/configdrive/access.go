package configdrive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// access is the right to write to the stick. On the image the stick is mounted
// for reading: the gateway asks for more by making a file, and gives it back by
// removing that.
type access struct {
	directory string
	request   string // the file that asks; "" where nobody needs to be asked
	asked     bool
}

const (
	// patience is how long the stick may take to become writable.
	patience = 30 * time.Second
	// between two tries to write.
	retry = 200 * time.Millisecond
)

var errReadOnly = errors.New("the stick cannot be written; is its switch on lock?")

// open returns the stick's directory once it can be written. The caller closes it.
func (a *access) open(ctx context.Context) (*os.Root, error) {
	if a.request != "" && !a.asked {
		if err := a.ask(); err != nil {
			return nil, fmt.Errorf("ask for writing to the stick: %w", err)
		}
		a.asked = true
	}
	for end := time.Now().Add(patience); ; {
		root, err := os.OpenRoot(a.directory)
		if err != nil {
			return nil, err
		}
		if err = probe(root); err == nil {
			return root, nil
		}
		root.Close() // kept open it would hinder the mount from changing
		if a.request == "" || time.Now().After(end) {
			return nil, fmt.Errorf("%w (%w)", errReadOnly, err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(retry):
		}
	}
}

// ask makes the file that asks. It is removed later, so a file that is there must
// be the request of an earlier process, which is empty: a configuration may name
// the store by mistake, and anybody may have brought it.
func (a *access) ask() error {
	switch info, err := os.Lstat(a.request); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular() || info.Size() > 0:
		return fmt.Errorf("%s is something else than a request, and is left alone; name another file as config_drive.write_request", a.request)
	}
	file, err := os.OpenFile(a.request, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	return file.Close()
}

// temporary is the one name under which files are written before they get their
// own: what a pulled stick leaves behind is found and removed by the next.
const temporary = "assaygate.tmp"

// probe reports why nothing can be written.
func probe(root *os.Root) error {
	file, err := begin(root)
	if err != nil {
		return err
	}
	return errors.Join(file.Close(), root.Remove(temporary))
}

// begin makes the temporary file anew.
func begin(root *os.Root) (*os.File, error) {
	if err := root.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return root.OpenFile(temporary, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
}

// release gives the right back.
func (a *access) release() error {
	if !a.asked {
		return nil
	}
	a.asked = false
	if err := os.Remove(a.request); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("give back the right to write to the stick: %w", err)
	}
	return nil
}
