package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/assaygate/assaygate/device/board"
	"github.com/assaygate/assaygate/image/update/agent"
	"github.com/assaygate/assaygate/image/update/rauc"
	"github.com/assaygate/assaygate/image/update/release"
	"github.com/assaygate/assaygate/image/update/trust"
)

// updateAgentCommand runs the update agent of a box, as a user of its own that may talk
// to RAUC and reads nothing of the gateway's.
type updateAgentCommand struct {
	Root string `help:"Where the system's files are." default:"/" type:"path" hidden:""`
	Bus  string `help:"The D-Bus on which RAUC is, in its notation; the system's where it is not named." hidden:""`
}

// Run implements a kong command.
func (c *updateAgentCommand) Run(s *streams) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	spareMemory()
	log := newLog(LogSettings{}, s.err)
	u := &updater{
		places: updatePlaces{c.Root}, log: log, changed: make(chan struct{}, 1), reports: sync.NewCond(&sync.Mutex{}),
		clock: newClock(board.System{}, log), rauc: &rauc.Client{Address: c.Bus}, lookEvery: lookForOrders,
	}
	return u.run(ctx)
}

const (
	// lookForOrders is how often the settings are looked at.
	lookForOrders = 5 * time.Second
	// lookForStick is how often it is looked whether a stick has a repository.
	lookForStick = 10 * time.Second
)

// What the agent calls its sources.
const (
	fromStick  = "stick"
	fromFolder = "folder"
)

// updater composes the agent of a box: its repositories, RAUC, the gateway's word,
// and whoever asks it by its socket. Another configuration is another agent: it is at home
// in its files, and may be ended at any moment but while RAUC installs.
type updater struct {
	places    updatePlaces
	log       *slog.Logger
	clock     *clock
	rauc      *rauc.Client
	lookEvery time.Duration
	changed   chan struct{} // a person has named a folder

	reports *sync.Cond // its lock holds what follows
	report  updateStatus
	told    int64 // reports
	running *agent.Agent
	sources []*releases
	folder  string // that a person has named, "" for none
	only    string // the bundle of it, "" for all
}

// updateStatus is what the agent says of itself in status.json, for as long as it
// runs: the fields of [agent.Status], and
//
//	"format": 1,
//	"at": "…",                 // RFC 3339, the box's clock; none where the agent does not run
//	"off": "…",                // why no release can come at all; "" where one can
//	"repository": "https://…", // as configured, "" for none
//	"window": "02:00-05:00"
//	"unread": "…"              // where others tell of the agent: what of its files they cannot read
type updateStatus struct {
	Format     int       `json:"format"`
	At         time.Time `json:"at,omitzero"`
	Off        string    `json:"off,omitempty"`
	Repository string    `json:"repository,omitempty"`
	Window     string    `json:"window,omitempty"`
	Unread     string    `json:"unread,omitempty"`
	agent.Status
}

const updateStatusFormat = 1

// run works until ctx ends.
func (u *updater) run(ctx context.Context) error {
	stopped, err := u.listen(ctx)
	if err != nil {
		return err
	}
	defer stopped()
	first, _ := u.orders()
	BoxSettings{Timezone: first.Timezone}.useZone()
	for ctx.Err() == nil {
		orders, text := u.orders()
		if orders.Timezone != first.Timezone {
			return nil // a process has one zone; systemd starts the next one
		}
		a, err := u.agent(orders)
		if err != nil {
			return err
		}
		inner, cancel := context.WithCancel(ctx)
		var looking sync.WaitGroup
		looking.Go(func() {
			defer cancel()
			u.untilChanged(inner, text)
		})
		err = a.Run(inner)
		cancel()
		looking.Wait()
		if err != nil {
			return err
		}
	}
	return nil
}

// orders reads the settings. Without them, or where they cannot be read, there is
// the stick.
func (u *updater) orders() (o updateOrders, text []byte) {
	text, err := readPlain(u.places.settings(), mostOrders)
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		u.log.Error("the settings of updates cannot be read: releases come by stick only", "error", err)
		return updateOrders{}, text
	}
	return o, text
}

// untilChanged returns when the settings are others, or a person has named a
// folder; but not while RAUC installs, or the box is on its way down.
func (u *updater) untilChanged(ctx context.Context, text []byte) {
	look := time.NewTicker(u.lookEvery)
	defer look.Stop()
	asked := false
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.changed:
			asked = true
		case <-look.C:
		}
		now, err := readPlain(u.places.settings(), mostOrders)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if (asked || !bytes.Equal(now, text)) && !u.mustNotStop() {
			return
		}
	}
}

func (u *updater) mustNotStop() bool {
	u.reports.L.Lock()
	defer u.reports.L.Unlock()
	return u.report.Phase == agent.Installing || u.report.Phase == agent.Restarting
}

// agent makes one of the settings.
func (u *updater) agent(o updateOrders) (*agent.Agent, error) {
	box, err := u.places.box()
	if err != nil {
		return nil, err
	}
	state := updateStatus{Format: updateStatusFormat, Repository: o.Repository, Window: o.Window}
	var sources []agent.Source
	var list []*releases
	add := func(name string, r *releases, every time.Duration) {
		list = append(list, r)
		sources = append(sources, agent.Source{Name: name, Repository: r, Local: r.folder != "", Every: every})
	}
	root, err := u.places.trustedRoot()
	if err != nil {
		state.Off = err.Error()
		u.log.Error("there are no updates", "reason", state.Off)
	} else {
		client := trust.New(filepath.Join(u.places.state(), "trust"), root, func() (time.Time, bool) { return time.Now(), u.clock.judges() })
		add(fromStick, inFolder(client, u.places.stick(), ""), lookForStick)
		u.reports.L.Lock()
		folder, only := u.folder, u.only
		u.reports.L.Unlock()
		if folder != "" {
			add(fromFolder, inFolder(client, folder, only), lookForStick)
		}
		if o.Repository != "" {
			add(o.Repository, overNetwork(client, o, u.clock.tls), 0)
		}
	}
	a, err := agent.New(agent.Options{
		Settings: agent.Settings{Window: o.Window, ForceAfter: o.ForceAfter},
		Box:      box, Boot: u.places.boot(), Store: verdicts{agent.Directory(u.places.state()), u.places},
		Bundles: filepath.Join(u.places.state(), "bundles"), Sources: sources,
		Installer: installer{u.rauc}, Gateway: askedGateway(u.places.activity()), Rebooter: rebootRequest(u.places.reboot()),
		ClockSet: u.clock.judges, Free: diskFree, Log: u.log, Report: func(s agent.Status) { u.publish(state, s) },
	})
	if err != nil {
		return nil, err
	}
	u.reports.L.Lock()
	u.running, u.sources = a, list
	u.reports.L.Unlock()
	return a, nil
}

// publish writes the status where everybody may read it. It is in memory, so nothing
// is synced.
func (u *updater) publish(state updateStatus, s agent.Status) {
	state.At, state.Status = time.Now().Round(0), s
	u.reports.L.Lock()
	defer u.reports.L.Unlock()
	u.report = state
	u.told++
	u.reports.Broadcast()
	text, err := json.MarshalIndent(state, "", "  ")
	if err == nil {
		_, err = writeChanged(u.places.status(), string(text)+"\n")
	}
	if err != nil {
		u.log.Error("the status of updates cannot be written", "error", err)
	}
}

// installer is RAUC as the agent wants it.
type installer struct{ *rauc.Client }

// Install implements agent.Installer.
func (i installer) Install(ctx context.Context, file string, progress func(int, string)) error {
	return i.Client.Install(ctx, file, func(p rauc.Progress) { progress(p.Percent, p.Step) })
}

// Slots implements agent.Installer.
func (i installer) Slots(ctx context.Context) (running, other agent.Slot, err error) {
	slots, err := i.Client.Slots(ctx)
	if err != nil {
		return running, other, err
	}
	for _, one := range slots {
		slot := agent.Slot{Name: one.Bootname, Good: one.Good, Version: release.Plain(one.Version)}
		if one.Booted {
			running = slot
		} else {
			other = slot
		}
	}
	if len(slots) != 2 || running.Name == "" || other.Name == "" {
		return agent.Slot{}, agent.Slot{}, fmt.Errorf("RAUC knows %s, of which one must be the running one and one the other", count(len(slots), "slot"))
	}
	return running, other, nil
}

// StartNext implements agent.Installer.
func (i installer) StartNext(ctx context.Context, running bool) error {
	slot := rauc.Other
	if running {
		slot = rauc.Booted
	}
	_, err := i.Mark(ctx, rauc.Active, slot)
	return err
}

// askedGateway is the gateway's socket on which it tells whether analysers are at
// work.
type askedGateway string

// Busy implements agent.Gateway.
func (g askedGateway) Busy(ctx context.Context) (agent.Busy, error) {
	text, err := askUnix(ctx, string(g), "GET", "/", nil, 1<<10)
	if err != nil {
		return agent.Busy{}, err
	}
	var answer activityAnswer
	if err := json.Unmarshal(text, &answer); err != nil {
		return agent.Busy{}, fmt.Errorf("the gateway's answer cannot be read: %w", err)
	}
	return agent.Busy{Sessions: int(answer.Sessions), Commits: int(answer.Commits)}, nil
}

// rebootRequest is the file by which root is asked to start the box anew, as a person
// would who shuts it down: all is stopped in its order.
type rebootRequest string

// Reboot implements agent.Rebooter.
func (r rebootRequest) Reboot(context.Context) error {
	return os.WriteFile(string(r), nil, 0o644)
}
