package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What the image writes on a new card is where the box looks for it, and is read.
func TestTheImageWritesTheNote(t *testing.T) {
	layout, err := os.ReadFile("../../image/layout")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int64{"DATA_NOTE": dataNoteOffset, "DATA_MADE": dataMadeOffset} {
		_, after, found := strings.Cut(string(layout), "\n"+name+"=")
		if !found {
			t.Fatalf("image/layout has no %s", name)
		}
		offset, err := strconv.ParseInt(strings.Fields(after)[0], 0, 64)
		if err != nil || offset != want {
			t.Errorf("image/layout has %s at %#x, error %v; the box looks at %#x", name, offset, err, want)
		}
	}
	script, err := os.ReadFile("../../image/build/disk")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(script), "printf '"+dataMadeMark+"none") {
		t.Error("image/build/disk does not take the mark of an earlier file system away")
	}
	_, after, found := strings.Cut(string(script), "printf '"+dataNoteMark)
	if !found {
		t.Fatal("image/build/disk writes no note")
	}
	text, _, _ := strings.Cut(after, "'")
	sector := make([]byte, dataNoteSize)
	copy(sector, dataNoteMark+strings.ReplaceAll(text, `\n`, "\n"))
	if n, err := parseCardNote(sector); err != nil || n != (cardNote{Do: noteMake}) {
		t.Errorf("the note is read as %+v, error %v", n, err)
	}
}

func TestCardNote(t *testing.T) {
	full := cardNote{Do: noteReset, By: strings.Repeat("ü", mostBy/2), At: time.Date(2026, 11, 27, 12, 0, 0, 123456789, time.FixedZone("", 3600)), Signed: true, Reset: true}
	for _, n := range []cardNote{{}, {Do: noteMake}, {Do: noteRepair, By: "the console, by anna"}, full} {
		sector, err := n.encode()
		if err != nil || len(sector) != dataNoteSize {
			t.Fatalf("%+v: %d bytes, error %v", n, len(sector), err)
		}
		is, err := parseCardNote(sector)
		if !is.At.Equal(n.At) {
			t.Errorf("%+v comes back at %s", n, is.At)
		}
		if is.At = n.At; err != nil || is != n {
			t.Errorf("%+v comes back as %+v, error %v", n, is, err)
		}
	}
	if _, err := (cardNote{Do: noteRepair, By: strings.Repeat("x", dataNoteSize)}).encode(); err == nil {
		t.Error("a note that has no room is taken")
	}
	for _, text := range []string{"x", "assaygate-data 2 {}", dataNoteMark, dataNoteMark + `{"do":"make"`, dataNoteMark + `{"do":"erase"}`, dataNoteMark + "{}"} {
		if n, err := parseCardNote([]byte(text)); err == nil || n != (cardNote{}) {
			t.Errorf("%q is read as %+v", text, n)
		}
	}
}
