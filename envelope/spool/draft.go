package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/assaygate/assaygate/envelope"
)

// sessionEnded is the reason of a draft that was accepted so far, but whose
// end the box did not live to see.
const sessionEnded = "the gateway stopped before the message ended"

// plain is an Envelope with all its fields in its JSON: a draft is read back by
// this package only.
type plain envelope.Envelope

// PutDraft keeps the message so far that comes in on a line (or the messages, as
// Put takes them), instead of what
// the line's draft was before, and returns once that is durable. A draft that
// is still there at the next Open becomes a message with the intake that its
// envelopes have; an accepted one becomes parked.
func (s *Spool) PutDraft(ctx context.Context, line string, envelopes ...envelope.Envelope) error {
	body, err := s.packDraft(envelopes)
	if err == nil {
		err = s.Room()
	}
	if err == nil {
		err = s.writer.write(ctx, func(t *tx) error {
			return t.exec("INSERT OR REPLACE INTO drafts VALUES (?, ?, ?, ?)",
				line, s.clock.now().UnixMicro(), body, draftSum(line, body))
		})
	}
	if err != nil {
		return fmt.Errorf("storing a draft: %w", err)
	}
	return nil
}

// DropDraft forgets the draft of a line, where there is one.
func (s *Spool) DropDraft(ctx context.Context, line string) error {
	err := s.writer.write(ctx, func(t *tx) error {
		return t.exec("DELETE FROM drafts WHERE line = ?", line)
	})
	if err != nil {
		return fmt.Errorf("dropping a draft: %w", err)
	}
	return nil
}

func (s *Spool) packDraft(envelopes []envelope.Envelope) ([]byte, error) {
	if len(envelopes) == 0 {
		return nil, errors.New("it has no envelope")
	}
	list := make([]plain, len(envelopes))
	for i, e := range envelopes {
		list[i] = plain(e)
		if e.Part > 0 {
			list[i].Raw = nil // as in its first part
		}
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, err
	}
	return s.packer.pack(text, nil)
}

func (s *Spool) unpackDraft(body []byte) ([]envelope.Envelope, error) {
	text, err := s.packer.unpack(body, nil)
	if err != nil {
		return nil, err
	}
	var list []plain
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	envelopes := make([]envelope.Envelope, len(list))
	for i, p := range list {
		envelopes[i] = envelope.Envelope(p)
		if p.Part > 0 && i > 0 {
			envelopes[i].Raw = envelopes[i-1].Raw
		}
		if p.Intake == envelope.Accepted {
			envelopes[i].Intake, envelopes[i].Reason = envelope.Parked, sessionEnded
		}
	}
	return envelopes, nil
}

func draftSum(line string, body []byte) uint32 {
	c := checksum{}
	c.text(line)
	c.blob(body)
	return c.crc
}

type draft struct {
	line string
	body []byte
	sum  uint32
}

// recoverDrafts makes messages of the drafts that an earlier run left behind.
// One that cannot be read stays under another name, for a person.
func (s *Spool) recoverDrafts(ctx context.Context) error {
	var drafts []draft
	err := s.read(ctx, func(scan func(...any) error) error {
		var d draft
		if err := scan(&d.line, &d.body, &d.sum); err != nil {
			return err
		}
		drafts = append(drafts, d)
		return nil
	}, "SELECT line, body, crc FROM drafts WHERE line NOT LIKE 'damaged %'")
	if err != nil {
		return fmt.Errorf("reading drafts: %w", err)
	}
	for _, d := range drafts {
		if err := s.recoverDraft(ctx, d); err != nil {
			return fmt.Errorf("recovering a draft: %w", err)
		}
	}
	return nil
}

func (s *Spool) recoverDraft(ctx context.Context, d draft) error {
	var messages [][]record
	err := ErrDamaged
	if d.sum == draftSum(d.line, d.body) {
		var envelopes []envelope.Envelope
		if envelopes, err = s.unpackDraft(d.body); err == nil {
			messages, err = s.messages(envelopes)
		}
	}
	if err != nil {
		s.log.Error("a draft cannot be read and is set aside", "line", d.line, "error", err)
		return s.writer.write(ctx, func(t *tx) error {
			if err := t.audit(AuditRow{What: auditDraftDamaged, Detail: d.line}); err != nil {
				return err
			}
			name := fmt.Sprintf("damaged %d %s", t.cursor.audit, d.line)
			return t.exec("UPDATE drafts SET line = ? WHERE line = ?", name, d.line)
		})
	}
	return s.writer.write(ctx, func(t *tx) error {
		if err := t.storeAll(messages); err != nil {
			return err
		}
		for _, r := range slices.Concat(messages...) {
			if err := t.audit(AuditRow{What: auditRecovered, Sequence: r.sequence, Detail: d.line}); err != nil {
				return err
			}
		}
		return t.exec("DELETE FROM drafts WHERE line = ?", d.line)
	})
}
