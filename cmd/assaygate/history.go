package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assaygate/assaygate/device/config"
)

const (
	// historyFolder holds the configurations that a box has had, beside the
	// present one. Secrets may stand in them: nothing of it leaves the box.
	historyFolder = "history"
	// mostHistory and historySize bound it, in files and bytes; the oldest go.
	mostHistory = 10
	historySize = 2 << 20
)

// earlier is one configuration that a box has had. It is one file, so that it is
// there as a whole or not at all.
type earlier struct {
	Number   int       `json:"-"`         // in the order in which they came; the name of the file
	At       time.Time `json:"at"`        // when it came, as far as the box knew the time
	ClockSet bool      `json:"clock_set"` // the box knew the time
	By       string    `json:"by"`        // who brought it
	Text     []byte    `json:"text"`      // as the file was
	size     int64
}

func historyBeside(path string) string { return filepath.Join(filepath.Dir(path), historyFolder) }

func historyFile(number int) string { return fmt.Sprintf("%06d.json", number) }

// readHistory returns the configurations that the box has had, the newest first.
// What the card has damaged is left out.
func readHistory(directory string) ([]earlier, error) {
	entries, err := os.ReadDir(directory)
	if err != nil {
		return nil, existing(err, fs.ErrNotExist)
	}
	var list []earlier
	for _, entry := range entries {
		name, is := strings.CutSuffix(entry.Name(), ".json")
		number, err := strconv.Atoi(name)
		if !is || err != nil || !entry.Type().IsRegular() {
			continue
		}
		text, err := readPlain(filepath.Join(directory, entry.Name()), 4*config.MaxSize)
		one := earlier{Number: number, size: int64(len(text))}
		if err != nil || json.Unmarshal(text, &one) != nil {
			one.Text = nil
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b earlier) int { return b.Number - a.Number })
	return list, nil
}

// historyWith are the files, by path, that make a history go on with further
// configurations; those that are nil go. What it has as its newest already is not
// taken again.
func historyWith(directory string, more ...earlier) (map[string][]byte, error) {
	list, err := readHistory(directory)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, one := range more {
		if one.Text == nil || len(list) > 0 && bytes.Equal(list[0].Text, one.Text) {
			continue
		}
		if one.Number = 1; len(list) > 0 {
			one.Number = list[0].Number + 1
		}
		text, err := json.Marshal(one)
		if err != nil {
			return nil, err
		}
		one.size = int64(len(text))
		files[filepath.Join(directory, historyFile(one.Number))] = text
		list = slices.Insert(list, 0, one)
	}
	if len(files) == 0 {
		return nil, nil
	}
	var size int64
	for i, one := range list {
		if size += one.size; i > 0 && (i >= mostHistory || size > historySize) {
			files[filepath.Join(directory, historyFile(one.Number))] = nil
		}
	}
	return files, nil
}

// history are the files that note a change in the history, to be replaced with it
// as one: where it is taken back, so is what is noted of it.
func (s *changes) history(c change) (map[string][]byte, error) {
	if c.config == nil {
		return nil, nil
	}
	before := earlier{By: byFile, At: time.Now(), ClockSet: clockSet()}
	s.mu.Lock()
	if standing := s.standing; standing.Path == s.path && standing.Refused == "" {
		before.By, before.At = standing.By, standing.Since
	}
	s.mu.Unlock()
	text, err := os.ReadFile(s.path)
	if err == nil {
		before.Text = text
	}
	return historyWith(historyBeside(s.path), before, earlier{By: c.by, At: time.Now(), ClockSet: clockSet(), Text: c.config})
}

// keepHistory notes a configuration that stands in its file, and has not come by a
// change: it was there when the process began, or a person has written it.
func (s *changes) keepHistory(text []byte) error {
	s.mu.Lock()
	by := s.standing.By
	s.mu.Unlock()
	directory := historyBeside(s.path)
	files, err := historyWith(directory, earlier{By: by, At: time.Now(), ClockSet: clockSet(), Text: text})
	if err != nil || len(files) == 0 {
		return err
	}
	if err := os.MkdirAll(directory, 0o700); err != nil {
		return err
	}
	for path, content := range files {
		if content == nil {
			err = os.Remove(path)
		} else {
			err = config.Replace(path, content)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
