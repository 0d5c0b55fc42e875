package trust

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
)

func TestAddressesOfRepositories(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"", "updates.example.org", "ftp://example.org", "file:///media", "http://", "https://exa mple.org"} {
		if _, err := HTTP(address, http.DefaultClient); err == nil || !strings.Contains(err.Error(), "write it as https://") {
			t.Errorf("%q: error %v", address, err)
		}
	}
	source, err := HTTP("https://user:secret@example.org/a", http.DefaultClient)
	if err != nil || strings.Contains(source.String(), "secret") {
		t.Errorf("source %v, error %v", source, err)
	}
}

func TestStickReadsNothingBesideIt(t *testing.T) {
	t.Parallel()
	stick, beside := t.TempDir(), t.TempDir()
	must(t, os.WriteFile(beside+"/secret", []byte("x"), 0o600))
	must(t, os.Mkdir(stick+"/folder", 0o700))
	for _, path := range []string{"../" + beside[strings.LastIndex(beside, "/")+1:] + "/secret", "folder"} {
		if body, err := Directory(stick).Open(t.Context(), path, 0); err == nil {
			data, _ := io.ReadAll(body)
			t.Errorf("%s: read %q", path, data)
		}
	}
	if err := os.Symlink(beside+"/secret", stick+"/link"); err == nil {
		if _, err := Directory(stick).Open(t.Context(), "link", 0); err == nil {
			t.Error("a link out of the stick was followed")
		}
	}
}
