package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/owner"
)

var errUnsigned = errors.New("this box has an owner, and this stick is not signed by it. The owner signs it on a computer: assaygate owner sign DIRECTORY")

// admit reports why nothing of a stick may be used. On a box without owner all of
// it may. Else its manifest must be signed by the owner, for this box, and newer
// than the last; it must list each file that would be used, as it is, and none
// that is not there.
func (s *sticks) admit(ctx context.Context, c configdrive.Content) (err error) {
	s.manifest, s.adopted, s.tried, s.untidied, s.begun = taken{}, false, false, nil, time.Now()
	if s.owner, err = s.owns.of(s.d.config()); err != nil {
		return fmt.Errorf("who owns this box is in doubt, so no stick is taken: %w", err)
	}
	if s.owner == nil || len(c.Files) == 0 {
		return nil
	}
	if !c.Has(configdrive.ManifestName) || !c.Has(configdrive.SignatureName) {
		return errUnsigned
	}
	data := c.Files[configdrive.ManifestName].Data
	m, err := owner.ParseManifest(data, c.Files[configdrive.SignatureName].Data, s.owner)
	if err != nil {
		return s.admitEarlier(ctx, c, err)
	}
	if err := s.owns.admits(m, data, s.d.board.Serial(), s.d.config()); err != nil {
		return err
	}
	if err := onlyListed(m, c); err != nil {
		return err
	}
	s.manifest = takenNow(m, data)
	err = config.Replace(s.owns.keep(s.manifest))
	if err == nil || s.mendsCard(c, err) {
		return nil
	}
	// What cannot be remembered could be taken again after a newer one.
	return fmt.Errorf("that this stick is taken cannot be remembered: %w", err)
}

// mendsCard reports whether the owner has the card mended that takes no writes, so
// that nothing can be remembered before it is. Nothing else of such a stick can be
// carried out, and neither is carried out a second time.
func (s *sticks) mendsCard(c configdrive.Content, err error) bool {
	return (c.Has(configdrive.Repair) || c.Has(configdrive.Reset)) && rootHelps(s.d.dataState(), err)
}

// rememberFirst has a stick that gives the box its owner be the newest one that was
// taken, where that owner has signed it: his older ones are not for this box any
// more, as after every other stick.
func (s *sticks) rememberFirst(b brought, c configdrive.Content) error {
	if b.files[s.owns.path(pinFile)] == nil || !c.Has(configdrive.ManifestName) || !c.Has(configdrive.SignatureName) {
		return nil
	}
	key, err := owner.ParseKey(b.config.Owner.PublicKey)
	if err != nil {
		return err
	}
	last, err := s.owns.takenOf(key) // before a reset
	if err != nil {
		return err
	}
	data := c.Files[configdrive.ManifestName].Data
	m, err := owner.ParseManifest(data, c.Files[configdrive.SignatureName].Data, key)
	if err != nil || onlyListed(m, c) != nil || m.Revision <= last.revision {
		return nil // a box without owner takes any stick
	}
	path, text := s.owns.keep(takenNow(m, data))
	b.files[path] = text
	return nil
}

// onlyListed holds the files of a stick to its manifest. What means nothing on a
// stick is not looked at: Windows leaves its own files there.
func onlyListed(m owner.Manifest, c configdrive.Content) error {
	var names []string
	for key, file := range c.Files {
		if key == configdrive.ManifestName || key == configdrive.SignatureName {
			continue
		}
		if err := m.Check(file.Name, file.Data); err != nil {
			return err
		}
		names = append(names, file.Name)
	}
	for _, name := range m.Files() {
		if !configdrive.Means(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return m.Whole(names)
}
