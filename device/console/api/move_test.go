package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// controls runs a test over both ways to what moves the records.
func controls(t *testing.T, test func(t *testing.T, client func(*spool.Spool) *Client)) {
	t.Run("socket", func(t *testing.T) {
		test(t, func(store *spool.Spool) *Client {
			path := filepath.Join(t.TempDir(), "control")
			listener, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewUnstartedServer(newControl(store))
			server.Listener.Close()
			server.Listener = listener
			server.Start()
			t.Cleanup(server.Close)
			return &Client{Transport: Socket(path), By: "anna"}
		})
	})
	t.Run("in process", func(t *testing.T) {
		test(t, func(store *spool.Spool) *Client {
			return &Client{Transport: InProcess(newControl(store)), By: "anna"}
		})
	})
}

// newControl is the control API of a store that is closed for good where it is to
// be opened again.
func newControl(store *spool.Spool) http.Handler {
	return Control(store, ControlOptions{
		From: func() spool.Origin { return spool.Origin{Box: "haematology-1", Version: "v1.2.3"} },
		Reopen: func(_ context.Context, meanwhile func() error) error {
			return errors.Join(store.Close(), meanwhile())
		},
	})
}

// steps notes the parts of long work, and that each came to its end.
type steps struct {
	t     *testing.T
	ended map[string]bool
}

func (s *steps) tell(step string, done, total uint64) {
	if done > total {
		s.t.Errorf("%s: %d of %d", step, done, total)
	}
	s.ended[step] = done == total
}

func newSteps(t *testing.T) *steps { return &steps{t, map[string]bool{}} }

func (s *steps) want(names ...string) {
	s.t.Helper()
	for _, name := range names {
		if !s.ended[name] {
			s.t.Errorf("%s did not come to its end: %v", name, s.ended)
		}
	}
	if len(s.ended) != len(names) {
		s.t.Errorf("the steps are %v", s.ended)
	}
}

func TestClientMovesTheRecords(t *testing.T) {
	controls(t, func(t *testing.T, client func(*spool.Spool) *Client) {
		old := spooltest.New(t)
		var ids []string
		for range 20 {
			ids = append(ids, spooltest.Put(t, old, "S-1", nil))
		}
		directory := filepath.Join(t.TempDir(), "export")
		going := newSteps(t)
		m, report, err := client(old).Export(t.Context(), directory, going.tell)
		if err != nil || len(report.Problems) > 0 || m.Messages != 20 || m.Box != "haematology-1" || report.Messages != 20 {
			t.Fatalf("export: %+v, %+v, error %v", m, report, err)
		}
		going.want("exporting", spool.StepFiles, spool.StepRecords)
		if _, _, err := client(old).Export(t.Context(), directory, nil); !errors.Is(err, spool.ErrRefused) {
			t.Errorf("export into the same directory: %v", err)
		}

		// A store that is not empty refuses before it is sent anything.
		if _, err := client(old).Import(t.Context(), directory, spool.Terms{}, func(step string, _, _ uint64) {
			t.Errorf("%s, though it is refused", step)
		}); !errors.Is(err, spool.ErrRefused) || !strings.Contains(err.Error(), "holds 20 messages") {
			t.Errorf("import into a store that is not empty: %v", err)
		}

		home := t.TempDir()
		fresh := spooltest.Open(t, home)
		if _, err := client(fresh).Import(t.Context(), directory, spool.Terms{Key: fresh.Identity()}, nil); !errors.Is(err, spool.ErrBadExport) {
			t.Errorf("import with another box's key: %v", err)
		}
		going = newSteps(t)
		m, err = client(fresh).Import(t.Context(), directory, spool.Terms{Key: old.Identity()}, going.tell)
		if err != nil || m.Messages != 20 {
			t.Fatalf("import: %+v, error %v", m, err)
		}
		going.want("importing", spool.StepFiles, spool.StepRecords)
		moved := spooltest.Open(t, home)
		for _, id := range ids {
			spooltest.ExpectState(t, moved, id, spool.Pending)
		}
		message, err := client(moved).Show(t.Context(), ids[0])
		if err != nil || message.ID != ids[0] || message.SampleID != "S-1" {
			t.Errorf("an imported message: %+v, error %v", message, err)
		}
	})
}

func TestClientIsToldWhyAnExportBreaksOff(t *testing.T) {
	controls(t, func(t *testing.T, client func(*spool.Spool) *Client) {
		store := spooltest.New(t)
		spooltest.Put(t, store, "S-1", nil)
		c := client(store)
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		directory := filepath.Join(t.TempDir(), "export")
		if _, _, err := c.Export(t.Context(), directory, nil); !errors.Is(err, spool.ErrClosed) {
			t.Errorf("of a closed store: %v", err)
		}
		if _, err := os.Stat(directory); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("it leaves a directory: %v", err)
		}
	})
	// Half-way through, the reason comes behind the bytes.
	for name, transport := range map[string]func(http.Handler) http.RoundTripper{
		"in process": InProcess,
		"server": func(handler http.Handler) http.RoundTripper {
			server := httptest.NewServer(handler)
			t.Cleanup(server.Close)
			return redirected{server.Listener.Addr().String()}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := &Client{Transport: transport(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				_, _ = w.Write(make([]byte, 64<<10)) // as much as Export writes at once
				w.Header().Set(http.TrailerPrefix+errorTrailer, `{"error": "the card is full", "code": "damaged"}`)
			}))}
			directory := filepath.Join(t.TempDir(), "export")
			_, _, err := c.Export(t.Context(), directory, nil)
			if err == nil || err.Error() != "the card is full" || !errors.Is(err, spool.ErrDamaged) {
				t.Errorf("the client is told %v", err)
			}
			if _, err := os.Stat(directory); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("it leaves a directory: %v", err)
			}
		})
	}
}

// redirected asks another server than the URL names.
type redirected struct{ address string }

func (r redirected) RoundTrip(request *http.Request) (*http.Response, error) {
	request.URL.Host = r.address
	return http.DefaultTransport.RoundTrip(request)
}

func TestClientSendsNoBadExport(t *testing.T) {
	controls(t, func(t *testing.T, client func(*spool.Spool) *Client) {
		old := spooltest.New(t)
		spooltest.Put(t, old, "S-1", nil)
		directory := filepath.Join(t.TempDir(), "export")
		if _, _, err := client(old).Export(t.Context(), directory, nil); err != nil {
			t.Fatal(err)
		}
		fresh := spooltest.New(t)
		if _, err := client(fresh).Import(t.Context(), t.TempDir(), spool.Terms{}, nil); !errors.Is(err, spool.ErrBadExport) || !strings.Contains(err.Error(), "manifest.json") {
			t.Errorf("of an empty directory: %v", err)
		}
		path := filepath.Join(directory, "spool.db")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text[len(text)/2] ^= 1
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := client(fresh).Import(t.Context(), directory, spool.Terms{}, nil); !errors.Is(err, spool.ErrBadExport) || !strings.Contains(err.Error(), "spool.db was changed") {
			t.Errorf("with a flipped bit: %v", err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if _, err := client(fresh).Import(t.Context(), directory, spool.Terms{}, nil); !errors.Is(err, spool.ErrBadExport) || !strings.Contains(err.Error(), "spool.db is missing") {
			t.Errorf("with a file missing: %v", err)
		}
		// The store is as it was.
		spooltest.ExpectState(t, fresh, spooltest.Put(t, fresh, "S-2", nil), spool.Pending)
	})
}

// TestImportThatCannotBeOpened tells who asked what became of it, and lets the
// next one try.
func TestImportThatCannotBeOpened(t *testing.T) {
	old, fresh := spooltest.New(t), spooltest.New(t)
	spooltest.Put(t, old, "S-1", nil)
	directory := filepath.Join(t.TempDir(), "export")
	if _, _, err := (&Client{Transport: InProcess(newControl(old))}).Export(t.Context(), directory, nil); err != nil {
		t.Fatal(err)
	}
	asked := make(chan error)
	c := &Client{Transport: InProcess(Control(fresh, ControlOptions{Reopen: func(context.Context, func() error) error {
		return <-asked
	}}))}
	first := make(chan error)
	go func() {
		_, err := c.Import(t.Context(), directory, spool.Terms{}, nil)
		first <- err
	}()
	asked <- fmt.Errorf("%w: the card is gone", spool.ErrClosed)
	if err := <-first; !errors.Is(err, spool.ErrClosed) || !strings.Contains(err.Error(), "the card is gone") {
		t.Errorf("the client is told %v", err)
	}
	go func() {
		_, err := c.Import(t.Context(), directory, spool.Terms{}, nil)
		first <- err
	}()
	asked <- nil
	if err := <-first; err != nil {
		t.Errorf("the next one: %v", err)
	}
}

func TestImportRefusesAKeyThatIsNone(t *testing.T) {
	w := httptest.NewRecorder()
	newControl(spooltest.New(t)).ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/import?key=x", nil))
	if w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "is no public key") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
