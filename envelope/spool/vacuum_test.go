package spool

import (
	"os"
	"path/filepath"
	"testing"
)

// TestPageBytesOfAnyStore has the pages of this release and of the first one,
// which were larger: used and free ones are the whole file.
func TestPageBytesOfAnyStore(t *testing.T) {
	first := settings(t)
	do(t, os.CopyFS(first.Directory, os.DirFS(filepath.Join("testdata", "stores", "schema-1", "closed"))))
	for _, dir := range []Settings{settings(t), first} {
		s := open(t, dir, lims)
		e := message("a", "1")
		e.Raw = make([]byte, 200<<10)
		put(t, s, e)
		do(t, s.writer.write(t.Context(), func(t *tx) error {
			return t.exec("UPDATE messages SET raw = NULL WHERE seq = (SELECT max(seq) FROM messages)")
		}))
		do(t, s.writer.fold(t.Context()))
		used, free, err := s.pageBytes(t.Context())
		before := size(t, s)
		if err != nil || free < 200<<10 || used+free != before {
			t.Errorf("of %d bytes %d are used and %d free, %v", before, used, free, err)
		}
		do(t, s.giveBack(t.Context(), 0), s.writer.fold(t.Context()))
		if after := size(t, s); after > before-200<<10 {
			t.Errorf("of %d bytes %d are left", before, after)
		}
	}
}
