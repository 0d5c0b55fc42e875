package board

import (
	"strings"
	"testing"
)

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
