package trust

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// offered is the offer of a repository for the board.
func offered(t testing.TB, f *forge) Offer {
	t.Helper()
	repository, err := f.box().Refresh(t.Context(), Directory(f.dir))
	must(t, err)
	offers, err := repository.Offers(t.Context(), release.Box{Compatible: board, Version: runs})
	must(t, err)
	if len(offers) != 1 {
		t.Fatalf("%d offers", len(offers))
	}
	return offers[0]
}

func holds(t testing.TB, file string, want []byte) {
	t.Helper()
	got, err := os.ReadFile(file)
	must(t, err)
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes that differ from the bundle's %d", len(got), len(want))
	}
}

func gone(t testing.TB, file string) {
	t.Helper()
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is still there: %v", err)
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		offer := offered(t, f)
		file := filepath.Join(t.TempDir(), "bundle")
		var last int64
		limits := Limits{Progress: func(done int64) {
			if done <= last {
				t.Errorf("progress from %d to %d", last, done)
			}
			last = done
		}}
		must(t, Download(t.Context(), source(f.dir), offer, file, limits))
		holds(t, file, f.read(f.target(f.targets, bundle11)))
		if last != offer.Length {
			t.Errorf("progress ends at %d of %d", last, offer.Length)
		}
		// What is there is verified anew, and not fetched again.
		must(t, Download(t.Context(), source(t.TempDir()), offer, file, Limits{}))
	})
}

// breaking cuts each answer after some bytes, and counts what it was asked for.
type breaking struct {
	dir    string
	after  int
	ranges bool
	asked  []string
}

func (b *breaking) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.asked = append(b.asked, r.Header.Get("Range"))
	if !b.ranges {
		r.Header.Del("Range")
	}
	http.FileServer(http.Dir(b.dir)).ServeHTTP(&cut{ResponseWriter: w, left: b.after}, r)
}

type cut struct {
	http.ResponseWriter
	left int
}

func (c *cut) Write(data []byte) (int, error) {
	if len(data) < c.left {
		c.left -= len(data)
		return c.ResponseWriter.Write(data)
	}
	c.ResponseWriter.Write(data[:c.left])
	c.ResponseWriter.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

func TestDownloadGoesOnWhereItWasBrokenOff(t *testing.T) {
	t.Parallel()
	f := normal(t)
	offer, want := offered(t, f), f.read(f.target(f.targets, bundle11))
	for _, offset := range []int{0, 1, 2, 511, 512, 4096, 65_537, 262_143, 262_144, 262_145, len(want) - 1} {
		file := filepath.Join(t.TempDir(), "bundle")
		server := &breaking{dir: f.dir, after: offset, ranges: true}
		source := serve(t, server)
		err := Download(t.Context(), source, offer, file, Limits{})
		says := fmt.Sprintf("the download stopped at %d of 300000 bytes, and goes on from there at the next attempt", offset)
		if err == nil || errors.As(err, new(*Refusal)) || !strings.Contains(err.Error(), says) {
			t.Fatalf("cut after %d: error %v", offset, err)
		}
		holds(t, file, want[:offset])
		server.after = len(want) + 1
		must(t, Download(t.Context(), source, offer, file, Limits{}))
		holds(t, file, want)
		if from := fmt.Sprintf("bytes=%d-", offset); offset > 0 && server.asked[1] != from {
			t.Errorf("asked for %q; want %q", server.asked[1], from)
		}
	}
}

func TestDownloadOverALineThatBreaksAllTheTime(t *testing.T) {
	t.Parallel()
	f := normal(t)
	offer, file := offered(t, f), filepath.Join(t.TempDir(), "bundle")
	source := serve(t, &breaking{dir: f.dir, after: 17_000, ranges: true})
	attempts := 1
	for ; Download(t.Context(), source, offer, file, Limits{}) != nil; attempts++ {
		if attempts > 18 {
			t.Fatal("comes to no end")
		}
	}
	holds(t, file, f.read(f.target(f.targets, bundle11)))
	if attempts != 18 {
		t.Errorf("%d attempts", attempts)
	}
}

func TestDownloadFromAServerWithoutRange(t *testing.T) {
	t.Parallel()
	f := normal(t)
	offer, want := offered(t, f), f.read(f.target(f.targets, bundle11))
	file := filepath.Join(t.TempDir(), "bundle")
	server := &breaking{dir: f.dir, after: 100_000}
	source := serve(t, server)
	if err := Download(t.Context(), source, offer, file, Limits{}); err == nil {
		t.Fatal("no error")
	}
	server.after = len(want) + 1
	var total int64
	last := int64(-1)
	limits := Limits{Progress: func(done int64) {
		if done < last || last < 0 {
			last = 0
		}
		total, last = total+done-last, done
	}}
	must(t, Download(t.Context(), source, offer, file, limits))
	holds(t, file, want)
	if total != offer.Length {
		t.Errorf("%d bytes were written; want the bundle once, from its start", total)
	}
	if asked := strings.Join(server.asked, "|"); asked != "|bytes=100000-|" {
		t.Errorf("asked for %q", asked)
	}
	// One that says it has a range, and sends another.
	must(t, os.Truncate(file, 1000))
	source = serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Range") != "" {
			r.Header.Set("Range", "bytes=7-")
		}
		http.FileServer(http.Dir(f.dir)).ServeHTTP(w, r)
	}))
	last, total = -1, 0
	must(t, Download(t.Context(), source, offer, file, limits))
	holds(t, file, want)
	if total != offer.Length {
		t.Errorf("another range: %d bytes were written", total)
	}
}

func TestDownloadOfATamperedBundle(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		offer, name := offered(t, f), f.target(f.targets, bundle11)
		want := f.read(name)
		file := filepath.Join(t.TempDir(), "bundle")
		for _, place := range []int{0, 150_000, len(want) - 1} {
			spoilt := bytes.Clone(want)
			spoilt[place] ^= 1
			f.write(name, spoilt)
			err := Download(t.Context(), source(f.dir), offer, file, Limits{})
			refused(t, err, ErrDamaged, bundle11+" is not what was signed", "It was deleted and is not installed", "copy the bundle into the repository again")
			gone(t, file)
			// The same when a part of it is there from an earlier attempt.
			must(t, os.WriteFile(file, spoilt[:1000], 0o600))
			refused(t, Download(t.Context(), source(f.dir), offer, file, Limits{}), ErrDamaged)
			gone(t, file)
		}
		f.write(name, want)
		must(t, Download(t.Context(), source(f.dir), offer, file, Limits{}))
	})
}

// TestDownloadOverWhatIsDamagedOnTheCard starts anew by itself.
func TestDownloadOverWhatIsDamagedOnTheCard(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		offer, want := offered(t, f), f.read(f.target(f.targets, bundle11))
		file := filepath.Join(t.TempDir(), "bundle")
		spoilt := bytes.Clone(want)
		spoilt[5] ^= 1
		for _, before := range [][]byte{spoilt[:100_000], spoilt, append(bytes.Clone(want), "more"...), bytes.Repeat([]byte("another bundle"), 30_000)} {
			must(t, os.WriteFile(file, before, 0o600))
			must(t, Download(t.Context(), source(f.dir), offer, file, Limits{}))
			holds(t, file, want)
		}
	})
}

func TestDownloadCutsEndlessDataAtTheLength(t *testing.T) {
	t.Parallel()
	f := normal(t)
	offer, want := offered(t, f), f.read(f.target(f.targets, bundle11))
	endless := func(first []byte) Source {
		return serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for block := first; r.Context().Err() == nil; block = bytes.Repeat([]byte("x"), 4096) {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}))
	}
	file := filepath.Join(t.TempDir(), "bundle")
	var most int64
	limits := Limits{Progress: func(done int64) { most = max(most, done) }}
	refused(t, Download(t.Context(), endless(nil), offer, file, limits), ErrDamaged)
	gone(t, file)
	if most != offer.Length {
		t.Errorf("%d bytes were written; the length is %d", most, offer.Length)
	}
	must(t, Download(t.Context(), endless(want), offer, file, limits))
	holds(t, file, want)
}

func TestDownloadOfABundleThatIsTooShort(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, source func(string) Source) {
		f := normal(t)
		offer, name := offered(t, f), f.target(f.targets, bundle11)
		f.write(name, f.read(name)[:299_999])
		file := filepath.Join(t.TempDir(), "bundle")
		for range 2 { // the second one asks for what is behind the end
			err := Download(t.Context(), source(f.dir), offer, file, Limits{})
			if !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "stopped at 299999 of 300000 bytes") {
				t.Errorf("error %v", err)
			}
		}
		must(t, os.Remove(f.path(name)))
		if err := Download(t.Context(), source(f.dir), offer, file, Limits{}); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v", err)
		}
	})
}

// dripping is a source in memory for made-up time: it gives its bytes as it is
// told to.
type dripping struct {
	data  []byte
	pause func(ctx context.Context, offset int) error
}

func (d dripping) String() string { return "memory" }

func (d dripping) Open(ctx context.Context, _ string, offset int64) (io.ReadCloser, error) {
	return io.NopCloser(&drip{ctx, d, int(offset)}), nil
}

type drip struct {
	ctx  context.Context
	from dripping
	at   int
}

func (d *drip) Read(p []byte) (int, error) {
	if err := d.from.pause(d.ctx, d.at); err != nil {
		return 0, err
	}
	if d.at == len(d.from.data) {
		return 0, io.EOF
	}
	n := copy(p, d.from.data[d.at:])
	d.at += n
	return n, nil
}

func TestDownloadKeepsItsRate(t *testing.T) {
	t.Parallel()
	f := normal(t)
	offer, data := offered(t, f), f.read(f.target(f.targets, bundle11))
	dir := t.TempDir()
	for _, rate := range []int64{0, 1, 5, 1000, 20_000, 7_000_000} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			part := data
			if rate < 1000 && rate > 0 {
				part = data[:1000] // an hour is enough
			}
			// In no second is more than the rate, but for the piece that is under way.
			var came []time.Time
			source := dripping{part, func(context.Context, int) error { return nil }}
			limits := Limits{Rate: rate, Progress: func(done int64) {
				came = append(came, time.Now())
				took, allowed := time.Since(start), int64(0)
				if rate > 0 {
					allowed = int64(took.Seconds()*float64(rate)) + newPace(rate).chunk() + 1
				}
				if rate > 0 && done > allowed {
					t.Errorf("rate %d: %d bytes after %v", rate, done, took)
				}
			}}
			err := Download(t.Context(), source, offer, filepath.Join(dir, fmt.Sprint(rate)), limits)
			if len(part) == len(data) {
				must(t, err)
			}
			took := time.Since(start)
			want := time.Duration(0)
			if rate > 0 {
				want = time.Duration(float64(len(part)) / float64(rate) * float64(time.Second))
			}
			if took < want-time.Millisecond || took > want+want/100+time.Millisecond {
				t.Errorf("rate %d: %d bytes took %v; want %v", rate, len(part), took, want)
			}
		})
	}
}

// TestDownloadMakesUpForNothing has a line that stands still for half a minute: what
// comes after it is held to the rate too.
func TestDownloadMakesUpForNothing(t *testing.T) {
	t.Parallel()
	f := normal(t)
	offer, data := offered(t, f), f.read(f.target(f.targets, bundle11))
	file := filepath.Join(t.TempDir(), "bundle")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		source := dripping{data, func(_ context.Context, at int) error {
			if at == 100_000 {
				time.Sleep(30 * time.Second)
			}
			return nil
		}}
		must(t, Download(t.Context(), source, offer, file, Limits{Rate: 10_000}))
		if took := time.Since(start); took < time.Minute-time.Second || took > time.Minute+time.Second {
			t.Errorf("took %v; want 30 s for the bytes and 30 s of silence", took)
		}
	})
}

func TestDownloadGivesUpOnSilence(t *testing.T) {
	t.Parallel()
	f := normal(t)
	offer, data := offered(t, f), f.read(f.target(f.targets, bundle11))
	file := filepath.Join(t.TempDir(), "bundle")
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		source := dripping{data, func(ctx context.Context, at int) error {
			if at < 262_144 {
				time.Sleep(59 * time.Second) // slow is not silent
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		}}
		err := Download(t.Context(), source, offer, file, Limits{})
		if err == nil || !strings.Contains(err.Error(), "nothing came for 1m0s") || errors.As(err, new(*Refusal)) {
			t.Errorf("error %v", err)
		}
		if took := time.Since(start); took != 59*time.Second+time.Minute {
			t.Errorf("took %v", took)
		}
	})
	holds(t, file, data[:262_144])
	must(t, os.Remove(file))
	synctest.Test(t, func(t *testing.T) {
		silent := dripping{data, func(ctx context.Context, _ int) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		start := time.Now()
		err := Download(t.Context(), silent, offer, file, Limits{Idle: 5 * time.Second})
		if err == nil || !strings.Contains(err.Error(), "nothing came for 5s") || time.Since(start) != 5*time.Second {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

func TestDownloadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := normal(t)
	offer, file := offered(t, f), filepath.Join(t.TempDir(), "bundle")
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("the window has ended")
	err := Download(ctx, Directory(f.dir), offer, file, Limits{Rate: 1_000_000, Progress: func(int64) { cancel(why) }})
	if !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	must(t, Download(t.Context(), Directory(f.dir), offer, file, Limits{}))
}

func TestDownloadWithoutAPlace(t *testing.T) {
	t.Parallel()
	f := normal(t)
	err := Download(t.Context(), Directory(f.dir), offered(t, f), filepath.Join(t.TempDir(), "none", "bundle"), Limits{})
	if !errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*Refusal)) {
		t.Errorf("error %v", err)
	}
	// A card that is full, where the system has one.
	if _, err := os.Stat("/dev/full"); err != nil {
		t.Skip("this system has no full device")
	}
	err = Download(t.Context(), Directory(f.dir), offered(t, f), "/dev/full", Limits{})
	if err == nil || errors.As(err, new(*Refusal)) {
		t.Errorf("error %v", err)
	}
}
