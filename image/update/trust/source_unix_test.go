//go:build unix

package trust

import (
	"os"
	"syscall"
	"testing"
)

// Whoever can write to the folder puts a pipe in the place of a file at any moment: who waited for it would wait for ever.
func TestFolderWithAPipeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	must(t, syscall.Mkfifo(folder+"/pipe", 0o644))
	if _, err := Directory(folder).Open(t.Context(), "pipe", 0); err == nil {
		t.Error("a pipe was read")
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { // a file and a pipe, by turns
		defer close(ended)
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.WriteFile(folder+"/next", []byte("x"), 0o644)
			_ = os.Rename(folder+"/next", folder+"/file")
			_ = syscall.Mkfifo(folder+"/next", 0o644)
			_ = os.Rename(folder+"/next", folder+"/file")
		}
	}()
	for range 20_000 {
		if file, err := Directory(folder).Open(t.Context(), "file", 0); err == nil {
			file.Close()
		}
	}
	close(stop)
	<-ended
}
