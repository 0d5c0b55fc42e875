package spool

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// The trail shrinks at its front only, and never beyond the first row that
// belongs to a message still kept. The last row that goes becomes an anchor: it
// keeps its number and hash, which the row behind it is chained to. Nothing
// protects an anchor's other fields, and anybody could make one; so a row at the
// end of the chain vouches for its number and hash and says which sequences the
// lost rows accounted for. Whoever forges both must write the whole chain anew,
// and then its head is another one than those that have left the box.
const (
	// trailRows go at once, and only as many: each time costs a row.
	trailRows = 1000
	// trailTail stays whatever happens, so that the newest events can be read.
	trailTail = 100
)

// voucher is what a row says for the anchor before which all rows are gone.
type voucher struct {
	number uint64
	hash   string // hex
	gone   []span // sequences of which the lost rows told what became of them
}

const voucherFormat = "rows 1 to %d with hash %s and sequences "

func (v voucher) String() string {
	return fmt.Sprintf(voucherFormat, v.number, v.hash) + spansText(v.gone)
}

func parseVoucher(text string) (v voucher, err error) {
	if _, err := fmt.Sscanf(text, voucherFormat, &v.number, &v.hash); err != nil {
		return v, err
	}
	_, list, _ := strings.Cut(text, " and sequences ")
	v.gone, err = parseSpans(list)
	return v, err
}

const prunedFormat = "%d envelopes for %s, sequences "

func prunedDetail(gone []span, envelopes int, why string) string {
	return fmt.Sprintf(prunedFormat, envelopes, why) + spansText(gone)
}

// gone returns the sequences that this row tells what became of.
func (a *AuditRow) gone() ([]span, error) {
	switch a.What {
	case auditTailLost:
		var s span
		_, err := fmt.Sscanf(a.Detail, lostFormat, &s.first, &s.last)
		return []span{s}, err
	case auditPruned:
		_, list, found := strings.Cut(a.Detail, ", sequences ")
		if !found {
			return nil, errors.New("it names no sequences")
		}
		return parseSpans(list)
	case auditShortened:
		v, err := parseVoucher(a.Detail)
		return v.gone, err
	}
	return nil, nil
}

// shortenByAge removes rows that are older than keep_days.
func (s *Spool) shortenByAge(ctx context.Context, now stamp, end time.Time) error {
	for time.Now().Before(end) {
		n, err := s.shortenTrail(ctx, func(row AuditRow) bool {
			return row.Clock == envelope.ClockSet && now.at.Sub(row.At) > s.retention.expired.limit
		})
		if n == 0 || err != nil {
			return err
		}
	}
	return nil
}

// shortenTrail removes the oldest rows of the audit trail and returns how many:
// none where fewer than trailRows may go. old says of rows whether they may; one
// that may not and is followed by one that may, is as old.
func (s *Spool) shortenTrail(ctx context.Context, old func(AuditRow) bool) (n int, err error) {
	if free, err := s.freeTrail(ctx); err != nil || free < trailRows {
		return 0, err
	}
	start := time.Now()
	err = s.writer.write(context.WithoutCancel(ctx), func(t *tx) (err error) {
		n, err = t.shorten(old)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("shortening the audit trail: %w", err)
	}
	if n > 0 {
		err = s.rest(ctx, start)
	}
	return n, err
}

// freeTrail returns how many rows stand before the first one that must stay, or
// trailRows where it is more. It asks a reader, so that the writer is not kept
// from its work by a question whose answer is mostly no.
func (s *Spool) freeTrail(ctx context.Context) (n int, err error) {
	err = s.readRow(ctx, `
WITH front AS (SELECT n, seq FROM audit ORDER BY n LIMIT ?1)
SELECT count(*) FROM front
WHERE n < ifnull((SELECT n FROM front WHERE seq > 0 AND EXISTS (SELECT 1 FROM messages m WHERE m.seq = front.seq) ORDER BY n LIMIT 1), 9e18)
	AND n <= (SELECT max(n) FROM audit) - ?2`, []any{trailRows, trailTail}, &n)
	return n, err
}

func (t *tx) shorten(old func(AuditRow) bool) (n int, err error) {
	rows, v, err := t.front(old)
	if err != nil || len(rows) < trailRows {
		return 0, err
	}
	for i := range rows {
		gone, err := rows[i].gone()
		if err != nil {
			continue // it was damaged, and then explains nothing
		}
		v.gone = append(v.gone, gone...)
	}
	v.gone = merged(v.gone)
	if err := t.audit(AuditRow{What: auditShortened, Detail: v.String()}); err != nil {
		return 0, err
	}
	if err := t.exec("DELETE FROM audit WHERE n < ?", v.number); err != nil {
		return 0, err
	}
	now := t.spool.clock.stamp()
	return len(rows), t.exec("UPDATE audit SET at = ?, clock = ?, what = ?, seq = 0, destination = '', who = '', detail = ? WHERE n = ?",
		now.at.UnixMicro(), now.clock, auditAnchor, fmt.Sprintf(anchorFormat, t.cursor.audit), v.number)
}

// anchorFormat names the row that vouches for the anchor.
const anchorFormat = "the rows up to this one were removed; row %d says so"

// front returns the rows that may go, and who will have to vouch for them: with
// what the row for the anchor so far has said.
func (t *tx) front(old func(AuditRow) bool) (list []AuditRow, v voucher, err error) {
	rows, err := t.query("SELECT "+auditColumns+`, EXISTS (SELECT 1 FROM messages m WHERE m.seq = audit.seq AND audit.seq > 0)
		FROM audit ORDER BY n LIMIT ?`, trailRows)
	if err != nil {
		return nil, v, err
	}
	defer rows.Close()
	anchor := AuditRow{}
	may := 0
	for rows.Next() {
		var kept bool
		row, hash, err := scanAudit(func(into ...any) error { return rows.Scan(append(into, &kept)...) })
		if err != nil {
			return nil, v, err
		}
		if kept || row.Number+trailTail > t.cursor.audit {
			break
		}
		if row.What == auditAnchor && len(list) == 0 {
			anchor = row
		}
		if list = append(list, row); old(row) || row.What == auditAnchor {
			may, v.number, v.hash = len(list), row.Number, hex.EncodeToString(hash)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || anchor.Number == 0 {
		return list[:may], v, err
	}
	var by uint64
	if _, err := fmt.Sscanf(anchor.Detail, anchorFormat, &by); err != nil {
		return list[:may], v, nil // it is not ours, and nothing is known of what it stands for
	}
	earlier, _, err := scanAudit(func(into ...any) error {
		return t.scan("SELECT "+auditColumns+" FROM audit WHERE n = ?", []any{by}, into...)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows): // Verify tells
		err = nil
	case err == nil && earlier.What == auditShortened:
		v.gone, _ = earlier.gone()
	}
	return list[:may], v, err
}
