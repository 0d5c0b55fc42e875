package main

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/configdrive"
)

// settleFor is how long is waited for the trial of a configuration to end: most
// stand at once, and then the stick can be pulled.
const settleFor = 3 * time.Second

// tidyOnceItStands is tidy, once the configuration stands. One that is taken back
// takes its secrets back with it: then those on the stick are the only ones, and
// the stick would name the file of an older password, of another LIMS perhaps.
func (s *sticks) tidyOnceItStands(ctx context.Context, session *configdrive.Session, b brought, o *configdrive.Outcome) {
	for end := time.Now().Add(settleFor); s.d.changes.onTrial() != nil && time.Now().Before(end); {
		if !rested(ctx, lookEvery) {
			return
		}
	}
	switch standing := s.d.standingConfig(); {
	case standing.OnTrial:
		s.untidied = &b // settle does it
	case s.adopted && standing.TakenBack != nil:
	default:
		s.tidy(ctx, session, b, o)
	}
}

// settle does what had to wait for the end of the trial.
func (s *sticks) settle(ctx context.Context, session *configdrive.Session) (o configdrive.Outcome) {
	standing := s.d.standingConfig()
	if s.untidied == nil || standing.OnTrial {
		return o
	}
	if standing.TakenBack == nil {
		s.tidy(ctx, session, *s.untidied, &o)
	}
	s.untidied = nil
	return o
}

// tidy takes secrets off the stick once the box has them. A signed stick stays as
// it is: changed, it would no longer be what its owner signed, and the next box
// would refuse it.
func (s *sticks) tidy(ctx context.Context, session *configdrive.Session, b brought, o *configdrive.Outcome) {
	fail := func(name string, err error) {
		s.d.log.Warn("a secret is still on the stick", "file", name, "error", err)
		o.Errors = append(o.Errors, name+": the password is still on the stick, because it could not be taken off: "+err.Error()+". Take it off yourself.")
	}
	signed := s.owner != nil || session.Has(configdrive.ManifestName)
	passwords := session.Passwords()
	names := slices.Sorted(maps.Keys(passwords))
	switch {
	case signed && (len(names) > 0 || session.Has(configdrive.ConfigName) && len(b.moved) > 0):
		o.Remarks = append(o.Remarks, "The passwords stay on this stick, because it is signed and would no longer be valid without them. Keep it locked up, or delete them from it when all boxes have them.")
	case signed:
	default:
		if session.Has(configdrive.ConfigName) && b.changed {
			if err := session.Replace(ctx, configdrive.ConfigName, b.text); err != nil {
				fail(configdrive.ConfigName, err)
			} else {
				o.Lines = append(o.Lines, configdrive.ConfigName+" on the stick holds no password any more: it names the file of each on the box, or has the hash of a user's of the console. What was deleted from a stick can often be brought back: keep it safe.")
			}
		}
		for _, destination := range names {
			key := strings.ToLower(passwords[destination].Name)
			if err := session.Remove(ctx, key); err != nil {
				fail(passwords[destination].Name, err)
				continue
			}
			o.Lines = append(o.Lines, passwords[destination].Name+": removed from the stick.")
		}
	}
	for _, file := range session.Folder(configdrive.TLSName) {
		if strings.Contains(string(file.Data), "PRIVATE KEY-----") {
			o.Remarks = append(o.Remarks, file.Name+" holds a private key and stays on the stick. Delete it when all boxes have it.")
		}
	}
}
