package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/assaygate/assaygate/envelope/spool"
)

// Progress is told how far long work has come; step says which part of it.
type Progress func(step string, done, total uint64)

func (p Progress) of(step string) func(done, total uint64) {
	return func(done, total uint64) {
		if p != nil {
			p(step, done, total)
		}
	}
}

// Export has the records written into a directory that is new or empty, and
// checks what was written. Records that were damaged before are in the report.
// The files are this process's own. Progress may be nil.
func (c *Client) Export(ctx context.Context, directory string, progress Progress) (spool.Manifest, spool.Report, error) {
	response, err := c.do(ctx, http.MethodPost, "/v1/export", nil)
	if err != nil {
		return spool.Manifest{}, spool.Report{}, err
	}
	defer response.Body.Close()
	if err := spool.Unpack(ctx, response.Body, directory, progress.of("exporting")); err != nil {
		if errors.Is(err, spool.ErrBadExport) { // the stream has ended
			err = cmp.Or(trailerFault(response), err)
		}
		return spool.Manifest{}, spool.Report{}, err
	}
	return spool.Check(ctx, directory, nil, progress)
}

// trailerFault is why the gateway has ended an answer before its end, or nil.
func trailerFault(response *http.Response) error {
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return nil // without its end there is no trailer
	}
	var fault Failure
	if json.Unmarshal([]byte(response.Trailer.Get(errorTrailer)), &fault) != nil {
		return nil
	}
	return fault.asError()
}

// Import has the records of an export take the place of an empty store, on the
// terms (whose By is the client's); see [spool.Spool.Stage]. Progress may be nil.
func (c *Client) Import(ctx context.Context, directory string, terms spool.Terms, progress Progress) (spool.Manifest, error) {
	// What is no export is not sent.
	if m, err := spool.ReadManifest(directory, terms.Key); err != nil {
		return m, err
	}
	query := url.Values{}
	if terms.Key != nil {
		query.Set("key", spool.FormatKey(terms.Key))
	}
	if terms.Damage {
		query.Set("damage", "true")
	}
	reader, writer := io.Pipe()
	packed := make(chan error, 1)
	go func() {
		err := spool.Pack(ctx, directory, writer, progress.of("importing"))
		packed <- errors.Join(err, writer.CloseWithError(err))
	}()
	response, err := c.send(ctx, "/v1/import?"+query.Encode(), reader)
	reader.Close() // where not all of it was wanted
	if err == nil {
		defer response.Body.Close()
	}
	if failed := <-packed; failed != nil && !errors.Is(failed, io.ErrClosedPipe) {
		return spool.Manifest{}, failed
	}
	if err != nil {
		return spool.Manifest{}, err
	}
	decoder := json.NewDecoder(response.Body)
	for {
		var line importLine
		if err := decoder.Decode(&line); err != nil {
			return spool.Manifest{}, fmt.Errorf("import broke off: %w", err)
		}
		switch {
		case line.Fault != nil:
			return spool.Manifest{}, line.Fault.asError()
		case line.Taken != nil:
			return *line.Taken, nil
		}
		progress.of(line.Step)(line.Done, line.Total)
	}
}
