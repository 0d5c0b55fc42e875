package main

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/assaygate/assaygate/device/configdrive"
)

// control carries out a control file.
func (s *sticks) control(ctx context.Context, session *configdrive.Session, name string) configdrive.Outcome {
	s.d.log.Info("a stick asks for something", "what", name)
	switch name {
	case configdrive.Collect:
		return s.collect(ctx, session)
	case configdrive.Export:
		return s.export(ctx, session)
	case configdrive.Backup:
		return s.backup(ctx, session)
	case configdrive.SetClock:
		return s.setClock(session)
	case configdrive.Unseal:
		return s.unseal(ctx, session)
	case configdrive.EraseSealed:
		return s.eraseSealed(ctx, session)
	case configdrive.Repair:
		return s.repair()
	case configdrive.StartEmpty:
		return s.startEmpty(ctx)
	case configdrive.Reset:
		return s.reset(ctx, session)
	case configdrive.Start:
		return s.start(ctx, session)
	}
	return outcome(name, "", errors.New("is not active in this version"))
}

// outcome is that of one control file.
func outcome(name, line string, err error) configdrive.Outcome {
	if err != nil {
		return configdrive.Outcome{Errors: []string{name + ": " + err.Error()}}
	}
	return configdrive.Outcome{Lines: []string{name + ": " + line}}
}

// dated is the stem of a file's name that tells the box and the time. Where the
// time is not known the names still differ: none is ever overwritten.
func (s *sticks) dated(what string) string {
	at := "no-time"
	if clockSet() {
		at = time.Now().UTC().Format("20060102-150405")
	}
	return "assaygate-" + what + "-" + s.d.config().Box.Name + "-" + at
}

// collect writes a support bundle.
func (s *sticks) collect(ctx context.Context, session *configdrive.Session) configdrive.Outcome {
	session.Working(ctx, "it collects what a help desk needs")
	extension := ".tar.gz"
	if s.owner != nil {
		extension += ".age"
	}
	name, err := session.Create(ctx, s.dated("support"), extension, func(w io.Writer) error { return writeSupport(ctx, w, s.owner, s.d.supportSources()) })
	return outcome(configdrive.Collect, "the support bundle is "+name+". It holds no results and no passwords.", err)
}

// backup writes all that makes this box itself, encrypted to its owner.
func (s *sticks) backup(ctx context.Context, session *configdrive.Session) configdrive.Outcome {
	if s.owner == nil {
		return outcome(configdrive.Backup, "", errors.New("this box has no owner, so there is nobody whose key could encrypt a backup; give it an owner first"))
	}
	name, err := session.Create(ctx, s.dated("backup"), ".age", func(w io.Writer) error { return s.writeBackup(w) })
	return outcome(configdrive.Backup, "the backup is "+name+". Only the owner's key opens it: assaygate owner restore.", err)
}
