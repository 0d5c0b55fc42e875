package spool

import (
	"bytes"
	"slices"
	"testing"

	"github.com/assaygate/assaygate/envelope"
)

func TestDraftBecomesAParkedMessage(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	half := message("a", "half")
	half.Intake, half.Reason = envelope.Parked, "no terminator record"
	for _, e := range []envelope.Envelope{message("a", "earlier"), half} {
		if err := s.PutDraft(t.Context(), "xn-550", e); err != nil {
			t.Fatal(err)
		}
	}
	// A line whose message came to its end, and one that gave its up.
	if err := s.PutDraft(t.Context(), "c111", message("b", "draft")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutFinal(t.Context(), "c111", message("b", "final")); err != nil {
		t.Fatal(err)
	}
	if err := s.PutDraft(t.Context(), "h500", message("c", "draft")); err != nil {
		t.Fatal(err)
	}
	if err := s.DropDraft(t.Context(), "h500"); err != nil {
		t.Fatal(err)
	}
	// Two messages on one line, the second of two parts, called accepted so far.
	whole, part, rest := message("d", "whole"), message("d", "part"), message("d", "rest")
	rest.MessageID, rest.Part, rest.Raw = part.MessageID, 1, part.Raw
	if err := s.PutDraft(t.Context(), "two", whole, part, rest); err != nil {
		t.Fatal(err)
	}
	if status, err := s.Status(t.Context()); err != nil || status.Drafts != 2 || status.Messages != 1 {
		t.Errorf("status is %+v, %v", status, err)
	}
	s.Close()

	s = open(t, dir, lims)
	wantState(t, s, half.ID, "lims", Parked, "no terminator record")
	for _, e := range []envelope.Envelope{whole, part, rest} {
		wantState(t, s, e.ID, "lims", Parked, sessionEnded)
		if raw, err := s.Raw(t.Context(), e.ID); err != nil || !bytes.Equal(raw, e.Raw) {
			t.Errorf("its bytes are %q, %v", raw, err)
		}
	}
	detail, err := s.Show(t.Context(), half.ID)
	if err != nil || !slices.ContainsFunc(detail.Audit, func(r AuditRow) bool { return r.What == auditRecovered && r.Detail == "xn-550" }) {
		t.Errorf("the trail is %+v, %v", detail.Audit, err)
	}
	if status, err := s.Status(t.Context()); err != nil || status.Drafts != 0 || status.Messages != 5 {
		t.Errorf("status is %+v, %v", status, err)
	}
	wantClean(t, s)
}

func TestDamagedDraftIsKept(t *testing.T) {
	dir := settings(t)
	s := open(t, dir, lims)
	if err := s.PutDraft(t.Context(), "xn-550", message("a", "1")); err != nil {
		t.Fatal(err)
	}
	corrupt(t, s, "UPDATE drafts SET body = X'00' || substr(body, 2)")
	s.Close()
	for range 2 {
		s = open(t, dir, lims)
		if err := s.PutDraft(t.Context(), "xn-550", message("a", "2")); err != nil {
			t.Fatal(err)
		}
		report, err := s.Verify(t.Context(), nil)
		if err != nil || len(report.Problems) != 1 {
			t.Errorf("verify finds %q, %v", report.Problems, err)
		}
		s.Close()
	}
}
