package repository

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
)

// BoardReport is what is there for one kind of board.
type BoardReport struct {
	Board    string
	Releases []ReleaseReport // the lowest version first
	Boxes    []BoxReport
}

// ReleaseReport is one version for one kind of board.
type ReleaseReport struct {
	Release release.Release
	Length  int64         // bytes
	Waves   release.Waves // without Version where there are none
}

// BoxReport is what a box of this version does now.
type BoxReport struct {
	Version string // "" for one that is older than all
	Stick   string // the version that it takes from a stick, "" for none
	HTTPS   []Share
	// Below is the version below which all boxes from Version on do this, "" where
	// it is for boxes with this very version.
	Below string
}

// Share is a part of the boxes, and the version that these take over HTTPS.
type Share struct {
	Percent float64
	Version string // "" for those that stay as they are
}

// String is the share in a sentence: "5% take 1.2.0".
func (s Share) String() string {
	percent := strconv.FormatFloat(s.Percent, 'g', 4, 64) + "%"
	if s.Version == "" {
		return percent + " stay"
	}
	return percent + " take " + s.Version
}

// State says in a sentence how a release goes out over HTTPS at a time.
func (r ReleaseReport) State(at time.Time) string {
	w := r.Waves
	switch {
	case w.Version == "":
		return "by stick only, it has no wave file"
	case w.Paused != "":
		return "paused: " + w.Paused
	}
	text := "not yet over HTTPS"
	for _, wave := range w.Waves {
		share := strconv.FormatFloat(wave.Share, 'g', 4, 64) + "%"
		if at.Before(wave.From) {
			return text + fmt.Sprintf(", %s from %s", share, day(wave.From))
		}
		text = share + " of boxes over HTTPS"
	}
	return text
}

// judgeBoards says what boxes would do.
func judgeBoards(offers []offered, waves map[string]release.Waves, at time.Time) (all []BoardReport) {
	var boards []string
	for _, o := range offers {
		boards = append(boards, o.Boards...)
	}
	slices.Sort(boards)
	for _, board := range slices.Compact(boards) {
		report := BoardReport{Board: board}
		for _, o := range offers {
			if o.For(board) {
				report.Releases = append(report.Releases, ReleaseReport{o.Release, o.of.Length, waves[release.Plain(o.Version)]})
			}
		}
		report.Boxes = judgeBoxes(report.Releases, board, at)
		all = append(all, report)
	}
	return all
}

// judgeBoxes judges a box of each version that is there, and those between which the
// lowest version of a release makes a difference, from one that is older than all on.
func judgeBoxes(releases []ReleaseReport, board string, at time.Time) (boxes []BoxReport) {
	var bounds []string
	released := map[string]bool{}
	for _, r := range releases {
		version := release.Plain(r.Release.Version)
		bounds, released[version] = append(bounds, version), true
		if r.Release.Minimum != "" {
			bounds = append(bounds, release.Plain(r.Release.Minimum))
		}
	}
	slices.SortFunc(bounds, release.Compare)
	bounds = slices.Compact(bounds)
	oldest := judgeBox(releases, board, "", at)
	oldest.Below = bounds[0]
	boxes = append(boxes, oldest)
	for i, version := range bounds {
		box := judgeBox(releases, board, version, at)
		if !released[version] {
			box.Below = bounds[i+1] // a minimum is below the version of its release
		}
		boxes = append(boxes, box)
	}
	return boxes
}

// older is a version below each that is released.
const older = "0.0.0-0"

// judgeBox says what a box of a version takes: the highest version that it may, and
// over HTTPS only what a wave is open for.
func judgeBox(releases []ReleaseReport, board, version string, at time.Time) BoxReport {
	box := release.Box{Compatible: board, Version: version}
	if version == "" {
		box.Version = older
	}
	report := BoxReport{Version: version}
	var permitted []ReleaseReport
	for _, r := range releases {
		if r.Release.Permit(box) == nil {
			permitted = append(permitted, r)
			report.Stick = release.Plain(r.Release.Version)
		}
	}
	// Between two of these bounds all boxes do the same.
	bounds := []float64{0, 100}
	for _, r := range permitted {
		for _, wave := range r.Waves.Waves {
			bounds = append(bounds, wave.Share)
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	for i, from := range bounds[:len(bounds)-1] {
		share := Share{Percent: bounds[i+1] - from}
		for _, r := range permitted {
			if open, _ := r.Waves.Open(from, at); open && r.Waves.Version != "" {
				share.Version = release.Plain(r.Release.Version)
			}
		}
		if last := len(report.HTTPS) - 1; last >= 0 && report.HTTPS[last].Version == share.Version {
			report.HTTPS[last].Percent += share.Percent
			continue
		}
		report.HTTPS = append(report.HTTPS, share)
	}
	return report
}
