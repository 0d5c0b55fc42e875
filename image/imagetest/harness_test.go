package imagetest

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What judges a box is tried without one: it must find what is planted.

func TestLedgerFindsLossAndDoubling(t *testing.T) {
	l := newLedger()
	l.add("Wire-1")
	l.add("Wire-2")
	arrived := []arrival{{"Wire-1", "a"}, {"Wire-1", "a"}, {"Wire-2", "b"}}
	if missing, repeats, err := l.compare(arrived); len(missing) != 0 || repeats != 1 || err != nil {
		t.Errorf("whole: missing %q, %d repeats, %v", missing, repeats, err)
	}
	if missing, _, _ := l.compare(arrived[:2]); !slices.Equal(missing, []string{"Wire-2"}) {
		t.Errorf("a message that was lost: missing %q", missing)
	}
	if _, _, err := l.compare(append(arrived, arrival{"Wire-2", "c"})); err == nil {
		t.Error("a message that was doubled is not found")
	}
}

func TestCardFindsAByteThatWasWritten(t *testing.T) {
	directory := t.TempDir()
	image, card := filepath.Join(directory, "image"), filepath.Join(directory, "card")
	content := make([]byte, 4<<20)
	copy(content[sector:], "EFI PART")
	binary.LittleEndian.PutUint64(content[sector+72:], 2)
	binary.LittleEndian.PutUint32(content[sector+80:], 1)
	binary.LittleEndian.PutUint32(content[sector+84:], 128)
	entry := content[2*sector : 2*sector+128]
	entry[0] = 1
	binary.LittleEndian.PutUint64(entry[32:], (2<<20)/sector)
	binary.LittleEndian.PutUint64(entry[40:], (3<<20)/sector-1)
	for i, letter := range "boot" {
		entry[56+2*i] = byte(letter)
	}
	if err := os.WriteFile(image, content, 0o600); err != nil {
		t.Fatal(err)
	}
	b := &box{hardware: hardware{card: card}}
	for name, at := range map[string]int{
		"": 0, "boot of the card": 2 << 20, "the gap before the counters": 0x80000, "the gap behind the counters": 0x160000, "the gap behind the note": 0x190000, "the gap behind the mark": 0x1D0000,
	} {
		written := slices.Clone(content)
		written[at] ^= 1
		if name == "" {
			written = slices.Clone(content)
			written[environment.begin], written[note.begin], written[made.begin] = 1, 1, 1
		}
		if err := os.WriteFile(card, written, 0o600); err != nil {
			t.Fatal(err)
		}
		err := b.unchanged(image, "boot")
		if (name == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), name) {
			t.Errorf("a byte in %q: %v", name, err)
		}
	}
}

func TestTranscriptWaitsForWhatIsWritten(t *testing.T) {
	s := newTranscript("a console", &strings.Builder{})
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go s.follow(read)
	for _, part := range []string{"ASSAYGATE-", "BOOT: slot B order", "ed\nlogin: "} {
		if _, err := write.WriteString(part); err != nil {
			t.Fatal(err)
		}
	}
	match, next, err := s.wait(time.Minute, 0, booting)
	if err != nil || match[1] != "B" {
		t.Fatalf("%q, %v", match, err)
	}
	if _, _, err := s.wait(time.Minute, next, `login: $`); err != nil { // a prompt without an end of line
		t.Error(err)
	}
	write.Close()
	if _, _, err := s.wait(time.Minute, next, ready); err == nil || !strings.Contains(err.Error(), "a console ended") {
		t.Errorf("what never comes: %v", err)
	}
}
