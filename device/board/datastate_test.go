package board

import (
	"strings"
	"testing"
)

// A card that takes no writes cannot be repaired: nobody is told to try.
func TestDataThatIsLocked(t *testing.T) {
	for stale, want := range map[bool]string{
		false: "the card's partition for /data can only be read: the card takes no writes; copy what it holds and replace the card",
		true:  "the card's partition for /data is read-only, as of before the last power cut: the card takes no writes; copy what it holds and replace the card",
	} {
		d := DataState{State: DataReadOnly, At: "/data", Reason: "the card takes no writes", Locked: true, Stale: stale}
		if is := d.Broken(); is == nil || is.Error() != want {
			t.Errorf("stale %v: %v", stale, is)
		}
	}
	d := DataState{State: DataReadOnly, At: "/data", Reason: "damaged", Stale: true}
	if text := d.Broken().Error(); !strings.Contains(text, "as of before the last power cut") || !strings.Contains(text, "an empty file repair") {
		t.Errorf("one that can be repaired: %s", text)
	}
}

// What was found sound and is not mounted cannot be used, and is not lost.
func TestDataThatIsNotMounted(t *testing.T) {
	for at, late := range map[string]bool{"/nowhere": false, "/data": true} {
		for _, state := range []string{DataOK, DataRepaired, DataReadOnly} {
			s := card(t)
			if err := s.SetDataState(DataState{State: state, At: at}); err != nil {
				t.Fatal(err)
			}
			d, err := s.DataNow()
			if err != nil || d.Late != late || (d.State == DataAbsent) != late {
				t.Errorf("%s, at %s: %+v, error %v", state, at, d, err)
			}
			if late && !strings.Contains(d.Broken().Error(), "switch the box off and on") {
				t.Errorf("%s, at %s: %v", state, at, d.Broken())
			}
		}
	}
	// Nothing is made of what is not known.
	s := tree(t, nil)
	if err := s.SetDataState(DataState{State: DataOK, At: "/data"}); err != nil {
		t.Fatal(err)
	}
	if d, err := s.DataNow(); err != nil || d.Broken() != nil {
		t.Errorf("without a table of mounts: %+v, error %v", d, err)
	}
}
