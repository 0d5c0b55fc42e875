package trust

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Source is where the files of a repository are.
type Source interface {
	// Open opens a file at an offset in bytes. The path has slashes, below the top
	// of the repository. The error is fs.ErrNotExist where the file is not there, and
	// ErrNoRange where it can only be read from its start.
	Open(ctx context.Context, path string, offset int64) (io.ReadCloser, error)
	// String names the source for people, without secrets.
	String() string
}

// ErrNoRange is the answer of a source that gives whole files only.
var ErrNoRange = errors.New("the server sends whole files only")

type httpSource struct {
	base   *url.URL
	client *http.Client
}

// HTTP is a repository on a web server or in an object store, below an address with
// http or https. The client has proxy, certificates and the time to connect.
func HTTP(address string, client *http.Client) (Source, error) {
	base, err := url.Parse(address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of a repository: write it as https://updates.example.org/assaygate", address)
	}
	return httpSource{base, client}, nil
}

func (s httpSource) String() string { return s.base.Redacted() }

func (s httpSource) Open(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	at := s.base.JoinPath(path)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept-Encoding", "identity") // lengths and offsets are those of the file
	if offset > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", offset))
	}
	response, err := s.client.Do(request)
	if err != nil {
		return nil, err
	}
	if err := judge(response, offset); err != nil {
		response.Body.Close()
		return nil, fmt.Errorf("%s: %w", at.Redacted(), err)
	}
	return response.Body, nil
}

// judge returns why the body of the answer is not the file from the offset on.
func judge(response *http.Response, offset int64) error {
	switch response.StatusCode {
	case http.StatusOK:
		if offset > 0 {
			return ErrNoRange
		}
		return nil
	case http.StatusPartialContent:
		if offset == 0 || !strings.HasPrefix(response.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", offset)) {
			return ErrNoRange
		}
		return nil
	case http.StatusRequestedRangeNotSatisfiable:
		return ErrNoRange
	case http.StatusNotFound, http.StatusGone, http.StatusForbidden: // object stores say 403 of what is not there
		return fmt.Errorf("the server answers %s: %w", response.Status, fs.ErrNotExist)
	}
	return fmt.Errorf("the server answers %s", response.Status)
}

type directory string

// Directory is a repository in a folder, such as that of a USB stick.
func Directory(path string) Source { return directory(path) }

func (d directory) String() string { return string(d) }

// Open follows no link out of the folder, and waits for no pipe.
func (d directory) Open(ctx context.Context, path string, offset int64) (io.ReadCloser, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	name := filepath.FromSlash(path)
	// What was opened is looked at, and nothing before that: it may be replaced at any moment.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: not a file", filepath.Join(string(d), name))
	}
	if err == nil {
		_, err = file.Seek(offset, io.SeekStart)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// sourceError is a failure to read from a source, as opposed to what it holds.
type sourceError struct{ error }

func (e *sourceError) Unwrap() error { return e.error }

// fetchTime is how long a small file may take, on any line.
const fetchTime = 5 * time.Minute

// fetch reads a file of at most so many bytes.
func fetch(ctx context.Context, source Source, path string, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTime, fmt.Errorf("%s took more than %v", path, fetchTime))
	defer cancel()
	data, err := read(ctx, source, path, most)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, &sourceError{fmt.Errorf("reading the repository: %w", err)}
	}
	if int64(len(data)) > most {
		return nil, &Refusal{ErrEndless, fmt.Sprintf("%s of the repository has more than the %d bytes that it may have: it is damaged, or somebody "+
			"sends data without end. Check the address, or copy the whole repository again", path, most), nil}
	}
	return data, nil
}

func read(ctx context.Context, source Source, path string, most int64) ([]byte, error) {
	body, err := source.Open(ctx, path, 0)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(io.LimitReader(body, most+1))
}
