package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/assaygate/assaygate/image/update/agent"
)

// The requests of the agent's socket, which is root's and its own. Both answer with
// the status, as in status.json, once the repositories have answered.
const (
	askCheck   = "/check"   // ask all repositories now
	askInstall = "/install" // installRequest: offer what is in a folder too
)

// installRequest is a repository in a folder, of which perhaps one bundle is
// meant.
type installRequest struct {
	Folder string `json:"folder"`
	Bundle string `json:"bundle,omitempty"` // its file's name
	// Again lets what is offered there be installed once more, where it was refused
	// before.
	Again bool `json:"again,omitempty"`
}

const (
	// answerPatience is how long the repositories may take until whoever waits is told
	// how things are.
	answerPatience = 90 * time.Second
	mostRequestOf  = 16 << 10
	mostStatus     = 256 << 10
)

// listen serves the socket until ctx ends. The function that it returns waits for the
// end of that.
func (u *updater) listen(ctx context.Context) (stopped func(), err error) {
	if err := os.MkdirAll(filepath.Dir(u.places.control()), 0o755); err != nil {
		return nil, err
	}
	listener, err := listenControl(u.places.control())
	if err != nil {
		return nil, err
	}
	handler := http.NewServeMux()
	handler.HandleFunc("POST "+askCheck, func(w http.ResponseWriter, r *http.Request) { u.answer(ctx, w, r, u.check) })
	handler.HandleFunc("POST "+askInstall, func(w http.ResponseWriter, r *http.Request) { u.answer(ctx, w, r, u.installFolder) })
	server := &http.Server{Handler: handler, ReadTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	serving.Go(func() {
		stop := context.AfterFunc(ctx, func() { server.Close() })
		defer stop()
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			u.log.Error("the update agent cannot be asked any more", "error", err)
		}
	})
	return serving.Wait, nil
}

func (u *updater) answer(ctx context.Context, w http.ResponseWriter, r *http.Request, do func(context.Context, installRequest) error) {
	ctx, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	var request installRequest
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostRequestOf)).Decode(&request)
	if err == nil {
		err = do(ctx, request)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	u.reports.L.Lock()
	status := u.report
	u.reports.L.Unlock()
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(status) // whoever has gone needs no answer
}

// check has all repositories asked.
func (u *updater) check(ctx context.Context, _ installRequest) error {
	u.reports.L.Lock()
	off, running, sources := u.report.Off, u.running, u.sources
	u.reports.L.Unlock()
	if off != "" {
		return errors.New(off)
	}
	if running == nil {
		return errors.New("the update agent has not begun yet; try again in a moment")
	}
	before := answersOf(sources)
	running.Wake()
	u.untilAnswered(ctx, sources, before)
	return nil
}

func answersOf(sources []*releases) []int64 {
	list := make([]int64, 0, len(sources))
	for _, one := range sources {
		list = append(list, one.asked.Load())
	}
	return list
}

// untilAnswered returns once all of them have answered, and the agent has said what
// follows from that, or ctx ends.
func (u *updater) untilAnswered(ctx context.Context, sources []*releases, before []int64) {
	stop := context.AfterFunc(ctx, u.reports.Broadcast)
	defer stop()
	u.reports.L.Lock()
	defer u.reports.L.Unlock()
	answered := func() bool {
		for i, now := range answersOf(sources) {
			if now == before[i] {
				return false
			}
		}
		return u.report.Phase != agent.Checking
	}
	for ctx.Err() == nil && !answered() {
		u.reports.Wait()
	}
}

// installFolder has what is in a folder offered to this box, and all repositories
// asked.
func (u *updater) installFolder(ctx context.Context, request installRequest) error {
	if err := isRepository(request.Folder); err != nil {
		return err
	}
	if u.mustNotStop() {
		return errors.New("a release is being installed; try again once the box has started anew")
	}
	u.reports.L.Lock()
	if off := u.report.Off; off != "" {
		u.reports.L.Unlock()
		return errors.New(off)
	}
	before := u.running
	u.folder, u.only = request.Folder, request.Bundle
	u.reports.L.Unlock()
	select {
	case u.changed <- struct{}{}:
	default: // it is on its way
	}
	sources := u.next(ctx, before)
	if sources == nil {
		return errors.New("the update agent is at something that it cannot leave; try again later")
	}
	u.wake() // the network's turn may be an hour away
	u.untilAnswered(ctx, sources, make([]int64, len(sources)))
	if request.Again {
		return u.again(ctx, sources)
	}
	return nil
}

// next waits for the agent that comes after that one, and returns its sources, nil
// where ctx ends first.
func (u *updater) next(ctx context.Context, before *agent.Agent) []*releases {
	stop := context.AfterFunc(ctx, u.reports.Broadcast)
	defer stop()
	u.reports.L.Lock()
	defer u.reports.L.Unlock()
	for u.running == before {
		if ctx.Err() != nil {
			return nil
		}
		u.reports.Wait() // a report of the next one comes as it begins
	}
	return u.sources
}

func (u *updater) wake() {
	u.reports.L.Lock()
	running := u.running
	u.reports.L.Unlock()
	running.Wake()
}

// again lifts what is remembered against the releases of the folder.
func (u *updater) again(ctx context.Context, sources []*releases) error {
	u.reports.L.Lock()
	running := u.running
	u.reports.L.Unlock()
	for _, one := range sources {
		if one.folder != u.folderNow() {
			continue
		}
		for _, version := range one.versions() {
			if err := running.Again(version); err != nil {
				return fmt.Errorf("what is remembered against version %s cannot be lifted: %w", version, err)
			}
		}
	}
	before := answersOf(sources)
	running.Wake()
	u.untilAnswered(ctx, sources, before)
	return nil
}

func (u *updater) folderNow() string {
	u.reports.L.Lock()
	defer u.reports.L.Unlock()
	return u.folder
}

// isRepository says what is missing of a repository in a folder.
func isRepository(folder string) error {
	_, err := os.Stat(filepath.Join(folder, "metadata", "timestamp.json"))
	switch {
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("%s may not be read by the user assaygate-update, who verifies it; copy it to where everybody may read", folder)
	case err != nil:
		return fmt.Errorf("%s is no repository of releases: it has no metadata/timestamp.json. A release is installed with the signed metadata that it came with: name the folder that holds metadata and targets", folder)
	}
	return nil
}

// repositoryOf finds the repository that a bundle is in, by where it is:
// targets/bundles/HASH.NAME.
func repositoryOf(bundle string) (folder string, err error) {
	bundles := filepath.Dir(bundle)
	targets := filepath.Dir(bundles)
	if filepath.Base(bundles) != "bundles" || filepath.Base(targets) != "targets" || !strings.HasSuffix(bundle, ".raucb") {
		return "", fmt.Errorf("%s is not in a repository of releases, as targets/bundles/….raucb: a release is installed with the signed metadata that it came with", bundle)
	}
	return filepath.Dir(targets), nil
}
