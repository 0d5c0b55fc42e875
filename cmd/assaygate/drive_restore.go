package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/assaygate/assaygate/device/configdrive"
)

// writeBackup writes all that makes this box itself.
func (s *sticks) writeBackup(to io.Writer) error {
	c := s.d.config()
	return s.owns.writeBackup(to, s.owner, about{Box: c.Box.Name, Serial: s.d.board.Serial(), Made: time.Now().UTC()}, c.Spool.Directory)
}

// restore makes this box the one of a backup, all as one change.
func (s *sticks) restore(ctx context.Context, session *configdrive.Session) configdrive.Outcome {
	const name = configdrive.RestoreName
	backup, err := openBackup(bytes.NewReader(session.Files[name].Data), s.d.config().Spool.Directory)
	if err != nil {
		return outcome(name, "", err)
	}
	r, err := s.owns.restore(backup, s.manifest)
	if err != nil {
		return configdrive.Outcome{Errors: errorLines(err, "", "")}
	}
	what := fmt.Sprintf("backup of box %s (serial number %s), made %s", r.Box, r.Serial, shownMoment(r.Made))
	o := configdrive.Outcome{Remarks: r.notes}
	if b := (brought{secretsOut: secretsOut{text: r.config, files: r.files}}); s.held(b) {
		o.Lines = []string{name + ": " + what + ": this box is that box already; nothing was changed."}
		return o
	}
	if !session.Fresh {
		o.Lines = []string{name + ": " + what + ": not taken again; plug the stick in again for that."}
		return o
	}
	c := change{config: r.config, files: r.files, by: byStick, trial: s.d.config().ConfigDrive.ConfirmWithin}
	if err := s.d.adopt(ctx, c); err != nil {
		o.Errors = errorLines(err, s.d.changes.path, "the configuration in the backup")
		return o
	}
	s.adopted = true
	// Its identity is read when the store is opened.
	if err := s.d.Reopen(ctx, func() error { return nil }); err != nil && !errors.Is(err, context.Canceled) {
		o.Errors = append(o.Errors, name+": the box is that of the backup from its next start on; switch it off and on: "+err.Error())
	}
	o.Lines = append(o.Lines, name+": "+what+": this box is that box now. Do not use the old one any more.")
	return o
}
