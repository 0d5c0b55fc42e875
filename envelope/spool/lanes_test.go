package spool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func TestNextGivesHeadsOfLanes(t *testing.T) {
	s := open(t, settings(t), lims)
	for i, lane := range []string{"b", "b", "a", "c", "a"} {
		put(t, s, message(lane, fmt.Sprint(i)))
	}
	next := func(limit int) (have []uint64) {
		entries, err := s.Next(t.Context(), "lims", limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			have = append(have, e.Envelope.Sequence)
		}
		return have
	}
	if have := next(10); !slices.Equal(have, []uint64{1, 3, 4}) {
		t.Errorf("heads are %v", have)
	}
	if have := next(2); !slices.Equal(have, []uint64{1, 3}) {
		t.Errorf("two heads are %v", have)
	}
	if err := s.Delivered(t.Context(), "lims", 3, ""); err != nil {
		t.Fatal(err)
	}
	if err := s.Park(t.Context(), "lims", 1, "poison"); err != nil {
		t.Fatal(err)
	}
	if have := next(0); !slices.Equal(have, []uint64{2}) {
		t.Errorf("the oldest is %v", have)
	}
	if have := next(10); !slices.Equal(have, []uint64{2, 4, 5}) {
		t.Errorf("then heads are %v", have)
	}
}

func TestNextWaits(t *testing.T) {
	dir := settings(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := Open(t.Context(), dir, Options{Destinations: []Destination{lims}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		found := make(chan uint64)
		go func() {
			entries, err := s.Next(t.Context(), "lims", 1)
			if err != nil {
				t.Error(err)
			}
			found <- entries[0].Envelope.Sequence
		}()
		synctest.Wait()
		e := put(t, s, message("a", "1"))
		if seq := <-found; seq != e.Sequence {
			t.Errorf("Next gives %d", seq)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		if _, err := s.Next(ctx, "other", 1); !errors.Is(err, context.Canceled) {
			t.Errorf("Next gives %v", err)
		}
	})
}

// TestDamageIsNoticed flips something in each kind of row behind the store's
// back.
func TestDamageIsNoticed(t *testing.T) {
	for _, c := range []struct{ name, damage string }{
		{"raw", "UPDATE messages SET raw = X'00' || substr(raw, 2) WHERE seq = 1"},
		{"envelope", "UPDATE messages SET envelope = X'00' || substr(envelope, 2) WHERE seq = 1"},
		{"sample", "UPDATE messages SET sample_id = 'other' WHERE seq = 1"},
		{"lane", "UPDATE lanes SET name = 'other' WHERE name = 'a'"},
		{"sequence", "PRAGMA foreign_keys = OFF; UPDATE messages SET seq = 7 WHERE seq = 2; UPDATE messages SET seq = 2 WHERE seq = 1; UPDATE messages SET seq = 1 WHERE seq = 7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, settings(t), lims, Destination{Name: "captures", Everything: true})
			bad := put(t, s, message("a", "1"))
			put(t, s, message("b", "2"))
			corrupt(t, s, c.damage)
			if c.name == "sequence" {
				report, err := s.Verify(t.Context(), nil)
				if err != nil || len(report.Problems) != 2 {
					t.Errorf("verify finds %q, %v", report.Problems, err)
				}
				return
			}
			entries, err := s.Next(t.Context(), "lims", 1)
			if err != nil || entries[0].Envelope.Sequence != 2 {
				t.Fatalf("Next gives %+v, %v", entries, err)
			}
			for _, destination := range []string{"lims", "captures"} {
				d, err := s.Show(t.Context(), bad.ID)
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("Show gives %v", err)
				}
				for _, d := range d.Deliveries {
					if d.State != Parked || d.Reason != damaged {
						t.Errorf("at %s it is %s: %s", destination, d.State, d.Reason)
					}
				}
			}
			if _, err := s.Load(t.Context(), "lims", 1); !errors.Is(err, ErrDamaged) {
				t.Errorf("Load gives %v", err)
			}
			if _, err := s.Raw(t.Context(), bad.ID); !errors.Is(err, ErrDamaged) {
				t.Errorf("Raw gives %v", err)
			}
			report, err := s.Verify(t.Context(), nil)
			if err != nil || len(report.Problems) != 1 || !strings.HasPrefix(report.Problems[0], "message 1 ") {
				t.Errorf("verify finds %q, %v", report.Problems, err)
			}
		})
	}
}

// corrupt changes rows without their checksums.
func corrupt(t *testing.T, s *Spool, statements string) {
	t.Helper()
	database, err := openDatabase(s.directory, "")
	if err != nil {
		t.Fatal(err)
	}
	defer database.Close()
	if _, err := database.ExecContext(t.Context(), statements); err != nil {
		t.Fatal(err)
	}
}
