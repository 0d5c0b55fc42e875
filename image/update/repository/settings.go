package repository

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// settings are the part of a repository that is not signed and not published.
type settings struct {
	Version int `json:"version"`
	// ValidityDays are how long a signature of each role is valid.
	ValidityDays map[string]int `json:"validity_days"`
	// Keys are the names of all keys that there ever were, by their key id.
	Keys map[string]string `json:"keys"`
}

// How long signatures are valid. A box may lie in a drawer for years, and a root
// that has expired is trusted for nothing any more: what people sign offline
// outlives every box. That a box is told the newest is the task of the timestamp,
// which is renewed by a machine.
const (
	offlineDays   = 7300 // 20 years, as the certificate of RAUC's signature
	snapshotDays  = 365
	timestampDays = 30
	maxDays       = 100 * 366
)

func newSettings() settings {
	return settings{
		Version: 1,
		ValidityDays: map[string]int{
			Root: offlineDays, Targets: offlineDays, Waves: offlineDays, Snapshot: snapshotDays, Timestamp: timestampDays,
		},
		Keys: map[string]string{},
	}
}

func readSettings(dir string) (settings, error) {
	path := filepath.Join(dir, settingsName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return settings{}, fmt.Errorf("%s is no repository, it has no %s: name the directory that assaygate update repo init made", dir, settingsName)
	}
	if err != nil {
		return settings{}, err
	}
	var s settings
	if err := json.Unmarshal(text, &s); err != nil {
		return settings{}, fmt.Errorf("%s: %w", path, err)
	}
	if s.Version != 1 {
		return settings{}, fmt.Errorf("%s: version %d is not known to this program: take a newer one", path, s.Version)
	}
	for _, role := range Roles() {
		if days := s.ValidityDays[role]; days < 1 || days > maxDays {
			return settings{}, fmt.Errorf("%s: validity_days.%s: %d is not between one day and a hundred years", path, role, days)
		}
	}
	if s.Keys == nil {
		s.Keys = map[string]string{}
	}
	return s, nil
}

func (r *Repository) saveSettings() error {
	text, err := json.MarshalIndent(r.settings, "", "\t")
	if err != nil {
		return err
	}
	return r.replace(filepath.Join(r.dir, settingsName), append(text, '\n'))
}

// expires is until when a signature of the role is valid that is made now.
func (r *Repository) expires(role string) time.Time {
	return r.now.AddDate(0, 0, r.settings.ValidityDays[role])
}

// name is a key for people.
func (s settings) name(id string) string {
	if name, known := s.Keys[id]; known {
		return name
	}
	return "key " + short(id)
}

// names are those of keys, sorted.
func (s settings) names(ids []string) []string {
	var all []string
	for _, id := range ids {
		all = append(all, s.name(id))
	}
	slices.Sort(all)
	return all
}

// nextName is the name of a new key of the role, which no other ever had.
func (s settings) nextName(role string) string {
	highest := 0
	for _, name := range s.Keys {
		var n int
		if number, is := strings.CutPrefix(name, role+"-"); is {
			if _, err := fmt.Sscanf(number, "%d", &n); err == nil {
				highest = max(highest, n)
			}
		}
	}
	return fmt.Sprintf("%s-%d", role, highest+1)
}
