//go:build unix

package main

import (
	"math"
	"sync"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/uplink/senaite/senaitetest"
)

// promises is the ledger of the samples whose messages were acknowledged. A
// message with several orders has several samples.
type promises struct {
	mu       sync.Mutex
	messages int
	samples  []string
	repeats  int // messages that were sent once more for want of an answer
}

func (p *promises) add(samples []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.messages++
	p.samples = append(p.samples, samples...)
}

func (p *promises) repeat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.repeats++
}

func (p *promises) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages
}

func (p *promises) again() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.repeats
}

// verdict is what SENAITE has, beside what was promised.
type verdict struct {
	pushes, messages int
	repeated         int // pushes of an id that was there already
	lost             int
	doubled          int // under different ids, though the message proves its identity
	unproven         int // the same of messages that prove nothing
	disordered       int
}

// judge compares the ledger with SENAITE. Parked messages came later than their
// order.
func judge(t *testing.T, promised *promises, instruments []soakInstrument, parked []spool.Summary, pushes []senaitetest.Push) (v verdict) {
	t.Helper()
	late := map[string]bool{}
	for _, m := range parked {
		late[m.SampleID] = true
	}
	byName := map[string]soakInstrument{}
	for _, i := range instruments {
		byName[i.name] = i
	}
	ids, newest := map[string]map[string]bool{}, map[string]int{}
	v.pushes = len(pushes)
	for _, push := range pushes {
		sample, id := identity(t, push)
		sender, number, ok := cutSample(sample)
		if !ok || byName[sender].name == "" {
			t.Fatalf("SENAITE has the sample %q, which nobody sent", sample)
		}
		have := ids[sample]
		switch {
		case have[id]:
			v.repeated++
		case len(have) > 0 && byName[sender].unproven:
			v.unproven++
		case len(have) > 0:
			v.doubled++
			t.Errorf("sample %s is in SENAITE under different ids", sample)
		default:
			ids[sample] = map[string]bool{}
			v.messages++
			if !late[sample] && number < newest[sender] {
				v.disordered++
				t.Errorf("sample %s came after number %d of its instrument", sample, newest[sender])
			}
			newest[sender] = max(number, newest[sender])
		}
		ids[sample][id] = true
	}
	for _, sample := range promised.samples {
		if len(ids[sample]) == 0 {
			v.lost++
			t.Errorf("sample %s was acknowledged and is not in SENAITE", sample)
		}
	}
	return v
}

// wantSound expects that the store has no damage, and returns how many messages
// it kept from the LIMS: here these are what was sent again although it had been
// stored.
func wantSound(t *testing.T, store string) (heldBack int) {
	t.Helper()
	s, err := spool.OpenReadOnly(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	report, err := s.Verify(t.Context(), nil)
	if err != nil || len(report.Problems) > 0 {
		t.Errorf("the store after all kills: %+v (%v)", report, err)
	}
	dropped, err := s.List(t.Context(), spool.Filter{State: spool.Dropped, Limit: math.MaxInt32})
	if err != nil {
		t.Fatal(err)
	}
	return len(dropped)
}
