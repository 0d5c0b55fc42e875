package rauc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Progress is how far an installation is.
type Progress struct {
	Percent int // from 0 to 100, and it never goes back
	Step    string
}

const (
	signalCompleted  = face + ".Completed"
	signalProperties = properties + ".PropertiesChanged"
	signalOwner      = bus + ".NameOwnerChanged"
)

// Install has RAUC write the bundle, a file that it can read, to the slot that does
// not run, and make that the first to be started. It returns once that is done. Progress is
// called from the calling goroutine; nil where nobody looks.
//
// An [*Error] is RAUC's own word. All else says nothing of the bundle: RAUC or the bus went
// away, or ctx has ended, and RAUC, which cannot be stopped, goes on by itself.
// What the other slot holds after any error, [Client.Slots] tells.
func (c *Client) Install(ctx context.Context, bundle string, progress func(Progress)) error {
	if progress == nil {
		progress = func(Progress) {}
	}
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	i := installation{client: c, conn: conn, progress: progress, signals: make(chan *dbus.Signal, 64)}
	if err := i.begin(ctx, bundle); err != nil {
		return err
	}
	failed, err := i.wait(ctx)
	if err != nil || !failed {
		return err
	}
	return i.reason(ctx, bundle)
}

// idle waits until RAUC is at nothing, and returns when that was: what it says from
// then on belongs to the next installation. Its slots it shows only when it is idle. Its property
// Operation says so too early: as soon as somebody has called for an
// installation while another runs.
func (c *Client) idle(ctx context.Context, conn *dbus.Conn) (dbus.Sequence, error) {
	var call *dbus.Call
	err := c.patiently(ctx, func() error {
		answer, err := c.call(ctx, conn, face+".GetSlotStatus")
		if err != nil && answered(err) {
			return fmt.Errorf("%w, or cannot tell of its slots: %w", ErrBusy, err)
		}
		call = answer
		return err
	}, func(err error) bool { return errors.Is(err, ErrBusy) })
	if err != nil {
		return dbus.NoSequence, err
	}
	return call.ResponseSequence, nil
}

// installation is one that runs.
type installation struct {
	client   *Client
	conn     *dbus.Conn
	progress func(Progress)
	signals  chan *dbus.Signal
	owner    string        // the connection of the RAUC that does it
	since    dbus.Sequence // what was said before belongs to another installation
	last     Progress
}

func (i *installation) begin(ctx context.Context, bundle string) error {
	for _, match := range [][]dbus.MatchOption{
		{dbus.WithMatchSender(service), dbus.WithMatchInterface(face)},
		{dbus.WithMatchSender(service), dbus.WithMatchInterface(properties), dbus.WithMatchArg(0, face)},
		{dbus.WithMatchSender(bus), dbus.WithMatchInterface(bus), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, service)},
	} {
		if err := i.conn.AddMatchSignalContext(ctx, match...); err != nil {
			return fmt.Errorf("listen to RAUC: %w", named(err))
		}
	}
	i.conn.Signal(i.signals)
	var err error
	if i.since, err = i.client.idle(ctx, i.conn); err != nil {
		return err
	}
	if _, err := i.client.call(ctx, i.conn, face+".InstallBundle", bundle, map[string]dbus.Variant{}); err != nil {
		return fmt.Errorf("have RAUC install %s: %w", bundle, err)
	}
	if err := i.conn.BusObject().CallWithContext(ctx, bus+".GetNameOwner", 0, service).Store(&i.owner); err != nil {
		return fmt.Errorf("RAUC went away as soon as it was to install %s: %w", bundle, named(err))
	}
	return nil
}

// wait returns once RAUC says that it has come to an end, and how.
func (i *installation) wait(ctx context.Context) (failed bool, err error) {
	late := time.NewTimer(installWithin)
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			return false, fmt.Errorf("RAUC installs, and is not waited for any longer: %w", ctx.Err())
		case <-late.C:
			return false, fmt.Errorf("%w, for %s, and has not come to an end", ErrBusy, installWithin)
		case signal, open := <-i.signals:
			if !open {
				if ctx.Err() != nil { // which has closed the connection
					return false, fmt.Errorf("RAUC installs, and is not waited for any longer: %w", ctx.Err())
				}
				return false, fmt.Errorf("%w any longer: the bus went away in the middle of an installation", ErrAbsent)
			}
			if signal.Sequence < i.since {
				continue
			}
			switch signal.Name {
			case signalCompleted:
				var result int32
				if err := dbus.Store(signal.Body, &result); err != nil {
					return false, fmt.Errorf("read how the installation has ended: %w", err)
				}
				return result != 0, nil
			case signalProperties:
				i.changed(signal.Body)
			case signalOwner:
				var name, before, now string
				if err := dbus.Store(signal.Body, &name, &before, &now); err == nil && before == i.owner {
					return false, fmt.Errorf("%w any longer: it ended in the middle of an installation", ErrAbsent)
				}
			}
		}
	}
}

// changed passes the progress on. What cannot be read is left out: nothing depends
// on it.
func (i *installation) changed(body []any) {
	var of string
	var values map[string]dbus.Variant
	var gone []string
	if err := dbus.Store(body, &of, &values, &gone); err != nil || of != face {
		return
	}
	value, is := values["Progress"]
	if !is {
		return
	}
	var now struct {
		Percent int32
		Step    string
		Depth   int32
	}
	if err := value.Store(&now); err != nil || now.Percent < 0 || now.Percent > 100 {
		return
	}
	next := Progress{Percent: max(i.last.Percent, int(now.Percent)), Step: now.Step}
	if next != i.last {
		i.last = next
		i.progress(next)
	}
}

// reason asks RAUC why it has failed. RAUC's words are for people, and tell no kind
// apart, so it is asked once more for the bundle: one that it cannot
// read, or that is for another board, is at fault itself.
func (i *installation) reason(ctx context.Context, bundle string) error {
	failure := &Error{Reason: "it gives no reason; its log does"}
	var said string
	if err := i.client.property(ctx, i.conn, "LastError", &said); err != nil {
		return fmt.Errorf("RAUC could not install %s, and why is not known: %w", bundle, err)
	}
	if said != "" {
		failure.Reason = said
	}
	var ours, compatible, version string
	if err := i.client.property(ctx, i.conn, "Compatible", &ours); err != nil {
		return failure
	}
	call, err := i.client.call(ctx, i.conn, face+".Info", bundle)
	switch {
	case err != nil:
		failure.Bundle = answered(err)
	case call.Store(&compatible, &version) == nil:
		failure.Bundle = compatible != ours
	}
	return failure
}
