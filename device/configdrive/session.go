package configdrive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Session is the handling of one stick: what it held, and the ways to write to
// it. The stick may be pulled at any time, so that every write may fail; none
// leaves a file half written under its own name.
type Session struct {
	Content
	// Fresh says that the stick was plugged in or changed, not found again after
	// a restart.
	Fresh bool

	access access
	stick  fs.FileInfo // the directory that was read
	step   func(string) error
}

var errOther = errors.New("another stick is in the socket now")

// write calls do with the stick's directory, which can be written.
func (s *Session) write(ctx context.Context, what string, do func(root *os.Root) error) (err error) {
	if err := s.step("open to " + what); err != nil {
		return err
	}
	root, err := s.access.open(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	info, err := root.Stat(".")
	if err != nil {
		return err
	}
	if !os.SameFile(info, s.stick) {
		return errOther
	}
	return do(root)
}

// Create makes a new file, which fill writes. It never overwrites: where there
// is a file of that name, -2 is put behind the name's stem, and so on. It
// returns the name of the file that there is now.
func (s *Session) Create(ctx context.Context, stem, extension string, fill func(io.Writer) error) (name string, err error) {
	err = s.write(ctx, "create", func(root *os.Root) error {
		if name, err = free(root, stem, extension); err != nil {
			return err
		}
		return s.put(root, name, fill)
	})
	if err != nil {
		return "", fmt.Errorf("write %s%s to the stick: %w", stem, extension, err)
	}
	return name, nil
}

// CreateFolder makes a new folder and calls fill with its path.
func (s *Session) CreateFolder(ctx context.Context, stem string, fill func(path string) error) (name string, err error) {
	err = s.write(ctx, "create folder", func(root *os.Root) error {
		if name, err = free(root, stem, ""); err != nil {
			return err
		}
		if err := root.Mkdir(name, 0o700); err != nil {
			return err
		}
		return fill(filepath.Join(s.access.directory, name))
	})
	if err != nil {
		return "", fmt.Errorf("write %s to the stick: %w", stem, err)
	}
	return name, nil
}

// mostOfName is how many files of one name there may be.
const mostOfName = 1000

// free returns a name that no file has.
func free(root *os.Root, stem, extension string) (string, error) {
	name := stem + extension
	for i := 2; i <= mostOfName; i++ {
		switch _, err := root.Lstat(name); {
		case errors.Is(err, fs.ErrNotExist):
			return name, nil
		case err != nil:
			return "", err
		}
		name = fmt.Sprintf("%s-%d%s", stem, i, extension)
	}
	return "", fmt.Errorf("there are too many files called %s", stem)
}

// Replace puts data in place of a file that was read, unless somebody changed
// that meanwhile.
func (s *Session) Replace(ctx context.Context, key string, data []byte) error {
	file := s.Files[key]
	err := s.write(ctx, "replace", func(root *os.Root) error {
		if err := unchanged(root, file); err != nil {
			return err
		}
		return s.put(root, file.Name, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("replace %s on the stick: %w", file.Name, err)
	}
	s.Files[key] = File{file.Name, data}
	return nil
}

// Remove removes a file that was read, unless somebody changed it meanwhile.
func (s *Session) Remove(ctx context.Context, key string) error {
	file := s.Files[key]
	err := s.write(ctx, "remove", func(root *os.Root) error {
		if err := unchanged(root, file); err != nil {
			return err
		}
		if err := s.step("remove"); err != nil {
			return err
		}
		if err := root.Remove(file.Name); err != nil {
			return err
		}
		return syncRoot(root)
	})
	if err != nil {
		return fmt.Errorf("remove %s from the stick: %w", file.Name, err)
	}
	delete(s.Files, key)
	return nil
}

// unchanged reads the file again. Its place on FAT is no better a proof.
func unchanged(root *os.Root, file File) error {
	info, err := root.Lstat(file.Name)
	if err != nil {
		return err
	}
	one := entry{place{limit: int64(len(file.Data))}, file.Name, info}
	data, err := one.read(root)
	if err != nil {
		return err
	}
	if !bytes.Equal(data, file.Data) {
		return errChanged
	}
	return nil
}

// Working says in the report that the box is at something that takes its time.
// That it cannot be written is no reason not to go on.
func (s *Session) Working(ctx context.Context, what string) {
	_ = s.tell(ctx, Report{Verdict: "The box is still at work: " + what + ". Leave the stick in; this report is replaced when it is done."})
}

// tell replaces the report.
func (s *Session) tell(ctx context.Context, report Report) error {
	err := s.write(ctx, "report", func(root *os.Root) error {
		return s.put(root, ReportName, func(w io.Writer) error {
			_, err := w.Write(report.Text())
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("write the report to the stick: %w", err)
	}
	return nil
}

// put makes the file whole and durable before it gets its name.
func (s *Session) put(root *os.Root, name string, fill func(io.Writer) error) (err error) {
	file, err := begin(root)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close() // a second close does no harm
			root.Remove(temporary)
		}
	}()
	for _, one := range []struct {
		what string
		do   func() error
	}{
		{"write", func() error { return fill(file) }},
		{"sync", file.Sync},
		{"close", file.Close},
		{"rename", func() error { return root.Rename(temporary, name) }},
		{"sync folder", func() error { return syncRoot(root) }},
	} {
		if err := s.step(one.what); err != nil {
			return err
		}
		if err := one.do(); err != nil {
			return err
		}
	}
	return nil
}

// syncRoot makes names durable.
func syncRoot(root *os.Root) error {
	if runtime.GOOS == "windows" {
		return nil // it has no such call
	}
	directory, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}
