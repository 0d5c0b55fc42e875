package api

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/assaygate/assaygate/envelope/spool"
	"github.com/assaygate/assaygate/envelope/spool/spooltest"
)

// A store that was set aside shows its counts on the page, and whoever may open
// the store's files anyway has it erased.
func TestSealedStores(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "spool")
	store := spooltest.Open(t, directory)
	client := &Client{Transport: InProcess(Control(store, ControlOptions{})), By: "anna"}
	if list, err := client.Sealed(t.Context()); err != nil || list == nil || len(list) != 0 {
		t.Errorf("sealed are %v, %v", list, err)
	}
	for id, text := range map[string]string{"1": `{"owner": "KEY<1>", "messages": 120, "not_delivered": 3}`, "2": "{"} {
		aside := directory + ".sealed-" + id
		if err := errors.Join(os.Mkdir(aside, 0o700), os.WriteFile(filepath.Join(aside, "sealed.json"), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.EraseSealed(t.Context(), 3, "because"); !errors.Is(err, spool.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	if err := client.EraseSealed(t.Context(), 1, ""); !errors.Is(err, spool.ErrRefused) {
		t.Errorf("without a reason: %v", err)
	}
	if err := client.EraseSealed(t.Context(), 1, "because"); err != nil {
		t.Error(err)
	}
	list, err := client.Sealed(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != 2 || list[0].Problem == "" {
		t.Errorf("sealed are %+v, %v", list, err)
	}
}
