package api

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/assaygate/assaygate/envelope/spool"
)

// Control returns the API for who may open the store's files anyway: on the unix
// socket, and in process. Beyond [API] it has
//
//	POST /v1/export   a tar archive, as [spool.Spool.Export] writes it. What fails
//	                  once it has begun is told in the trailer X-Assaygate-Error,
//	                  as an error of the API
//	POST /v1/import   takes such an archive, with the query's key (the public key
//	                  that it must be signed with) and damage=true (takes records
//	                  that were damaged before). Answers one object a line:
//	                  {"step": TEXT, "done": N, "total": N} while it goes on, at last
//	                  {"taken": spool.Manifest}, when the records have taken the
//	                  place of the store, or an error
//	GET  /v1/sealed   array of spool.Sealed: what factory resets have set aside
//	POST /v1/sealed/{id}/erase   {"reason": TEXT}
//
// An export carries the files as a stream, so that they belong to who asked for
// them, wherever that person may write, and no directory of the gateway's user is
// named by another one.
func Control(store *spool.Spool, o ControlOptions) http.Handler {
	c := &controlAPI{api: api{store: store, by: believed}, options: o}
	mux := muxOf(c.routes())
	mux.Handle("/", API(store, nil))
	return mux
}

func (c *controlAPI) routes() []route {
	return []route{
		{"POST /v1/export", c.export},
		{"POST /v1/import", c.importRecords},
		{"GET /v1/sealed", c.sealed},
		{"POST /v1/sealed/{id}/erase", c.eraseSealed},
	}
}

// ControlOptions are what the control API needs beside the store.
type ControlOptions struct {
	// From names this box in what it exports.
	From func() spool.Origin
	// Reopen closes the store in order, calls meanwhile, opens the store again, and
	// returns when that is done, with the error of either. It is called once at a
	// time, by a handler, which it must not wait for. Required.
	Reopen func(ctx context.Context, meanwhile func() error) error
}

type controlAPI struct {
	api
	options   ControlOptions
	importing sync.Mutex
}

// errorTrailer tells of what failed after the status was sent.
const errorTrailer = "X-Assaygate-Error"

// stallLimit is how long one write to the asker may take. An export keeps a read
// transaction open, and must not do that for an asker that is gone or asleep.
const stallLimit = time.Minute

func (c *controlAPI) export(w http.ResponseWriter, r *http.Request) {
	out := &steadyWriter{to: w, control: http.NewResponseController(w)}
	err := c.store.Export(r.Context(), out, c.options.From())
	switch {
	case err != nil && !out.began:
		Answer(w, nil, err)
	case err != nil:
		_, fault := Describe(err)
		if text, err := json.Marshal(fault); err == nil {
			w.Header().Set(http.TrailerPrefix+errorTrailer, string(text))
		}
	}
}

// steadyWriter gives each write its own deadline.
type steadyWriter struct {
	to      http.ResponseWriter
	control *http.ResponseController
	began   bool
}

// Write implements [io.Writer].
func (s *steadyWriter) Write(p []byte) (int, error) {
	if !s.began {
		s.began = true
		s.to.Header().Set("Content-Type", "application/x-tar")
	}
	// In process there is no deadline to set: the asker is this process.
	_ = s.control.SetWriteDeadline(time.Now().Add(stallLimit))
	return s.to.Write(p)
}

// importLine is one line of what import answers.
type importLine struct {
	Step  string          `json:"step,omitempty"`
	Done  uint64          `json:"done,omitempty"`
	Total uint64          `json:"total,omitempty"`
	Taken *spool.Manifest `json:"taken,omitempty"`
	Fault *Failure        `json:"fault,omitempty"`
}

func (c *controlAPI) importRecords(w http.ResponseWriter, r *http.Request) {
	terms := spool.Terms{Damage: r.URL.Query().Get("damage") == "true", By: c.by(r)}
	if text := r.URL.Query().Get("key"); text != "" {
		var err error
		if terms.Key, err = spool.ParseKey(text); err != nil {
			Answer(w, nil, BadRequest{err})
			return
		}
	}
	ctx, stop := context.WithCancel(r.Context())
	defer stop()
	lines := newLines(w, stop)
	manifest, err := c.take(ctx, r.Body, terms, func(step string, done, total uint64) {
		if lines.due(step, done, total) {
			lines.send(importLine{Step: step, Done: done, Total: total})
		}
	})
	if err != nil && !lines.began {
		Answer(w, nil, err)
		return
	}
	if err != nil {
		_, fault := Describe(err)
		lines.send(importLine{Fault: &fault})
		return
	}
	lines.send(importLine{Taken: &manifest})
}

// take has the records of an archive become the store.
func (c *controlAPI) take(ctx context.Context, archive io.Reader, terms spool.Terms, progress Progress) (spool.Manifest, error) {
	if !c.importing.TryLock() {
		return spool.Manifest{}, fmt.Errorf("%w: another import is going on", spool.ErrRefused)
	}
	defer c.importing.Unlock()
	m, err := c.store.Stage(ctx, archive, terms, progress)
	if err != nil {
		return m, err
	}
	// From here on it does not matter whether the asker is still there.
	ctx = context.WithoutCancel(ctx)
	return m, c.options.Reopen(ctx, func() error { return c.store.Admit(ctx) })
}
