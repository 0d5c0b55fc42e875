package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/assaygate/assaygate/device/commission"
	"github.com/assaygate/assaygate/protocols/lis01"
)

// A card that is full is named as such, though what the analyser sees is a NAK.
func TestCommissionOfAFullCard(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	card, server := memory(t, 6<<20), newLIMS(t)
	r := start(t, base(card)+"instruments: [{name: analyser, "+lanLine+"}]\n"+lims(server, t.TempDir()))
	c := r.check("analyser", "lims")
	defer fill(t, card)()
	for n := 0; ; n++ { // the WAL may have room left in it
		if n == 300 {
			t.Fatal("a full card has taken 300 messages")
		}
		id := fmt.Sprint("S-", n)
		if speak(r.addresses["analyser"], []byte{lis01.ENQ}, oneFrame(knownText(id))) == string(rune(lis01.NAK)) {
			break
		}
	}
	c.faultAt(commission.StoredLayer, "card")
}

// So is one that fails.
func TestCommissionOfACardThatFails(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	card, server := newExt4(t, memory(t, 40<<20)), newLIMS(t)
	r := start(t, base(card.at)+"instruments: [{name: analyser, "+lanLine+"}]\n"+lims(server, t.TempDir()))
	c := r.check("analyser", "lims")
	card.breaks(r.card().Device)
	eventually(t, "the store is closed", func() bool {
		_ = speak(r.addresses["analyser"], []byte{lis01.ENQ}, oneFrame(knownText("S-1")))
		g, _ := r.standing.now()
		return g == nil
	})
	c.faultAt(commission.StoredLayer, "store is not open")
	if view := c.look(); !strings.Contains(view.Conclusion.Do, "card") {
		t.Errorf("concluded %+v", view.Conclusion)
	}
}
