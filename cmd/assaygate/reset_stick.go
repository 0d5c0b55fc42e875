package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope/spool"
)

// reset has the box reset itself: signed, where it has an owner, for then the
// stick was not taken otherwise.
func (s *sticks) reset(ctx context.Context, _ *configdrive.Session) configdrive.Outcome {
	q := resetRequest{By: byStick, At: time.Now().UTC(), Signed: s.owner != nil}
	if q.Signed {
		q.By = "a stick that the owner has signed"
	}
	r := s.d.changes.source.resetting(s.d.log)
	r.board = s.d.board
	if state := s.d.dataState(); state.Broken() != nil {
		if err := hopeless(state); err != nil {
			return outcome(configdrive.Reset, "", err)
		}
		return configdrive.Outcome{
			Lines: []string{configdrive.Reset + ": the box starts anew now, and repairs its card before that, or makes it anew where it cannot be repaired. Leave the stick in for the next report."},
			Stop:  true, After: func() { s.d.sayAsked(r.askRoot(q)) },
		}
	}
	asked, err := r.request(ctx, q)
	if err != nil || !asked {
		return outcome(configdrive.Reset, "there is nothing to reset: the box is as new.", err)
	}
	kept := "Its store is set aside, sealed."
	if q.Signed {
		kept = "Its messages are kept; none goes to another LIMS than the one that it was accepted for."
	}
	return configdrive.Outcome{
		Lines: []string{configdrive.Reset + ": configuration, secrets and owner are removed now. " + kept + " The box starts anew."},
		Stop:  true, After: func() { s.d.fail(errResetAsked) },
	}
}

// unseal opens the sealed stores whose owner has signed the stick.
func (s *sticks) unseal(ctx context.Context, session *configdrive.Session) (o configdrive.Outcome) {
	list, err := s.d.sealed()
	if err == nil && len(list) == 0 {
		err = errors.New("there is no sealed store")
	}
	if err != nil {
		return outcome(configdrive.Unseal, "", err)
	}
	var opened, refused []string
	for _, sealed := range list {
		key, by, err := s.opener(session.Content, sealed)
		if err != nil {
			refused = append(refused, fmt.Sprintf("%s: store %d: %v", configdrive.Unseal, sealed.ID, err))
			continue
		}
		line, err := s.open(ctx, session, sealed, key, by)
		if err != nil {
			o.Errors = append(o.Errors, fmt.Sprintf("%s: store %d: %v", configdrive.Unseal, sealed.ID, err))
			continue
		}
		opened = append(opened, configdrive.Unseal+": "+line)
	}
	if o.Lines = opened; len(opened)+len(o.Errors) == 0 {
		o.Errors = refused
	}
	return o
}

func (s *sticks) open(ctx context.Context, session *configdrive.Session, sealed spool.Sealed, key ed25519.PublicKey, by string) (line string, err error) {
	session.Working(ctx, "it opens a sealed store, which can take long")
	var names []string
	back, err := s.d.unseal(ctx, sealed, by, key, func(what, extension string, fill func(io.Writer) error) error {
		name, err := session.Create(ctx, fmt.Sprintf("assaygate-sealed-%d-%s", sealed.ID, what), extension, fill)
		names = append(names, name)
		return err
	})
	switch {
	case err != nil:
		return "", err
	case back:
		return fmt.Sprintf("store %d is the box's store again: %s, %d not delivered.", sealed.ID, count(sealed.Messages, "message"), sealed.NotDelivered), nil
	}
	how := "They hold patients' data, and are as readable as anything."
	if key != nil {
		how = "Only its owner's key opens them: assaygate owner open."
	}
	return fmt.Sprintf("the box's store is not empty, so store %d stays sealed; its records are in %s. %s", sealed.ID, strings.Join(names, " and "), how), nil
}

// opener returns whose key opens a sealed store with this stick, and who that is
// for the audit. A store of a box without owner opens for whoever may use sticks
// on this box; what is exported is then for this box's owner, if there is one.
func (s *sticks) opener(c configdrive.Content, sealed spool.Sealed) (key ed25519.PublicKey, by string, err error) {
	if sealed.Owner == "" && sealed.Problem == "" {
		return s.owner, byStick, nil
	}
	if key, err = owner.ParseKey(sealed.Owner); err != nil {
		return nil, "", fmt.Errorf("nobody knows whose it is, so no stick opens it: %w", err)
	}
	by = "a stick signed by " + sealed.Owner
	if s.owner != nil && s.owner.Equal(key) && s.manifest != (taken{}) {
		return key, by, nil // so the stick was looked at already
	}
	if _, err := s.signedBy(c, key); err != nil {
		return nil, "", fmt.Errorf("it opens with a stick that its owner %s has signed: %w", sealed.Owner, err)
	}
	return key, by, nil
}

// signedBy reports why the stick is not one that an earlier owner of this box has
// signed for it. A fleet is what the present configuration says, so it does not
// count.
func (s *sticks) signedBy(c configdrive.Content, key ed25519.PublicKey) (taken, error) {
	if !c.Has(configdrive.ManifestName) || !c.Has(configdrive.SignatureName) {
		return taken{}, errors.New("this one is not signed")
	}
	data := c.Files[configdrive.ManifestName].Data
	m, err := owner.ParseManifest(data, c.Files[configdrive.SignatureName].Data, key)
	if err != nil {
		return taken{}, err
	}
	last, err := s.owns.takenOf(key)
	if err != nil {
		return taken{}, err
	}
	if err := m.Admits(s.d.board.Serial(), "", last.revision, last.digest == manifestDigest(data)); err != nil {
		return taken{}, err
	}
	return takenNow(m, data), onlyListed(m, c)
}

// admitEarlier admits the stick of an earlier owner: it may open his sealed
// stores, and do nothing else. why is why it is not one of the present owner.
func (s *sticks) admitEarlier(ctx context.Context, c configdrive.Content, why error) error {
	if !c.Has(configdrive.Unseal) {
		return why
	}
	list, err := s.d.sealed()
	if err != nil {
		return errors.Join(why, err)
	}
	for _, sealed := range list {
		key, err := owner.ParseKey(sealed.Owner)
		if err != nil {
			continue
		}
		now, err := s.signedBy(c, key)
		if err != nil {
			continue
		}
		if len(c.Files) != 3 { // with the manifest and its signature
			return fmt.Errorf("an earlier owner of this box has signed this stick; it may carry the file %s, and nothing else", configdrive.Unseal)
		}
		return s.d.changes.source.resetting(s.d.log).rememberTaken(ctx, sealed.Owner, now)
	}
	return why
}

// eraseSealed erases the sealed store that the file names.
func (s *sticks) eraseSealed(ctx context.Context, session *configdrive.Session) configdrive.Outcome {
	id, reason, err := parseErasure(session.Files[configdrive.EraseSealed].Data)
	if err == nil {
		err = s.d.eraseSealed(ctx, id, byStick, reason)
	}
	return outcome(configdrive.EraseSealed, fmt.Sprintf("store %d is erased.", id), err)
}

// mostReason is how long a reason is that the audit keeps.
const mostReason = 200

// parseErasure reads what is in the file: the number of the store, and why.
func parseErasure(data []byte) (id int, reason string, err error) {
	// As Notepad writes it: with a byte order mark, and perhaps in UTF-16.
	text := strings.TrimPrefix(string(bytes.ReplaceAll(bytes.TrimPrefix(data, []byte("\xff\xfe")), []byte{0}, nil)), "\ufeff")
	number, reason, _ := strings.Cut(strings.Join(strings.Fields(text), " "), " ")
	reason = strings.Join(strings.Fields(readable([]byte(reason))), " ")
	reason = strings.TrimSpace(strings.ToValidUTF8(reason[:min(len(reason), mostReason)], ""))
	if id, err = strconv.Atoi(number); err != nil || reason == "" {
		return 0, "", errors.New("write the number of the sealed store and the reason into the file, such as: 1 the old owner has agreed")
	}
	return id, reason, nil
}

// sealedLines tell a person what was set aside.
func (s *sticks) sealedLines() (lines []string) {
	list, err := s.d.sealed()
	if err != nil {
		return []string{err.Error()}
	}
	for _, sealed := range list {
		lines = append(lines, fmt.Sprintf("%d: %s", sealed.ID, aboutSealed(sealed)))
	}
	return lines
}
