package spool

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Act is what a person did that the audit trail has to tell beside what became
// of messages.
type Act string

// The acts.
const (
	LoggedIn       Act = "logged in"
	LoginRefused   Act = "login refused"
	LoggedOut      Act = "logged out"
	WatchedLive    Act = "live watched"
	ReadMessage    Act = "message read" // its raw text, records or envelope
	Downloaded     Act = "downloaded"
	Replayed       Act = "replayed"
	ConfigChanged  Act = "configuration changed"
	ConfigKept     Act = "configuration kept"
	ConfigReturned Act = "configuration taken back"
	PortProbed     Act = "port probed"
	ClockSetByHand Act = "clock set by hand"
	SupportMade    Act = "support bundle made"
	ReportMade     Act = "commissioning report made"
)

// Note is one such act. It must hold nothing of a message's content.
type Note struct {
	What     Act
	Sequence uint64 // of the message that it is about; 0: none
	Who      string
	Detail   string
}

// longestNote bounds what one act can take of the card, in bytes.
const longestNote = 500

// Note writes an act into the audit trail, and returns after the sync.
func (s *Spool) Note(ctx context.Context, n Note) error {
	if n.What == "" {
		return errors.New("noting an act: it has no name")
	}
	detail := strings.ToValidUTF8(n.Detail, "�")
	if len(detail) > longestNote {
		cut := longestNote
		for !utf8.RuneStart(detail[cut]) {
			cut--
		}
		detail = detail[:cut] + "…"
	}
	err := s.writer.write(ctx, func(t *tx) error {
		return t.audit(AuditRow{What: string(n.What), Sequence: n.Sequence, Who: n.Who, Detail: detail})
	})
	if err != nil {
		return fmt.Errorf("noting that %q: %w", n.What, err)
	}
	return nil
}

// Trail returns at most limit rows of the audit trail before the given one, the
// newest first; 0 begins with the newest.
func (s *Spool) Trail(ctx context.Context, before uint64, limit int) ([]AuditRow, error) {
	where, args := "", []any{limit}
	if before != 0 {
		where, args = "WHERE n < ?", []any{before, limit}
	}
	list := []AuditRow{}
	err := s.read(ctx, func(scan func(...any) error) error {
		row, _, err := scanAudit(scan)
		list = append(list, row)
		return err
	}, "SELECT "+auditColumns+" FROM audit "+where+" ORDER BY n DESC LIMIT ?", args...)
	if err != nil {
		return nil, fmt.Errorf("reading the audit trail: %w", err)
	}
	return list, nil
}
