package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/assaygate/assaygate/image/update/release"
	"github.com/assaygate/assaygate/image/update/repository"
)

type updateRepoWave struct {
	repoChange
	Version string `arg:"" help:"The version."`
	Steps   string `help:"The shares of all boxes, and how long after the start (default: ${default})." default:"5@0h,25@24h,50@48h,100@72h" placeholder:"S"`
	Start   string `help:"When the first wave begins, such as 2031-05-04T08:00:00Z; default: now." placeholder:"TIME"`
	Pause   string `help:"Let no more boxes take the version, for this reason." placeholder:"REASON"`
	Resume  bool   `help:"Go on with a paused version by the times that it has."`
}

// Run implements a kong command.
func (c *updateRepoWave) Run(s *streams) error {
	if c.Resume && c.Pause != "" {
		return usageError{errors.New("--pause and --resume together: choose one")}
	}
	fresh, err := c.waves(time.Now())
	if err != nil {
		return usageError{err}
	}
	return c.make(s, func(r *repository.Repository) (repository.Outcome, error) {
		w := fresh
		if c.Pause != "" || c.Resume {
			if w, err = c.changed(r); err != nil {
				return repository.Outcome{}, err
			}
		}
		out, err := r.Wave(w)
		if err == nil {
			state := repository.ReleaseReport{Waves: w}.State(time.Now())
			fmt.Fprintf(s.out, "version %s: %s\n", release.Plain(w.Version), state)
		}
		return out, err
	})
}

// changed are the waves that there are, paused or not.
func (c *updateRepoWave) changed(r *repository.Repository) (release.Waves, error) {
	w, is, err := r.Waves(c.Version)
	if err != nil {
		return release.Waves{}, err
	}
	if !is {
		return release.Waves{}, fmt.Errorf("version %s has no waves, so no box takes it over HTTPS: there is nothing to pause or resume", c.Version)
	}
	w.Paused = c.Pause
	return w, nil
}

// waves are those of the flags.
func (c *updateRepoWave) waves(now time.Time) (release.Waves, error) {
	start := now.UTC().Truncate(time.Second)
	if c.Start != "" {
		var err error
		if start, err = time.Parse(time.RFC3339, c.Start); err != nil {
			return release.Waves{}, fmt.Errorf("--start: %q is no time such as 2031-05-04T08:00:00Z", c.Start)
		}
	}
	w := release.Waves{Version: c.Version}
	for step := range strings.SplitSeq(c.Steps, ",") {
		share, after, is := strings.Cut(strings.TrimSpace(step), "@")
		percent, wrongShare := strconv.ParseFloat(strings.TrimSuffix(share, "%"), 64)
		delay, wrongDelay := time.ParseDuration(after)
		if !is || wrongShare != nil || wrongDelay != nil || delay < 0 {
			return release.Waves{}, fmt.Errorf("--steps: %q is no step such as 25@24h: 25 percent of all boxes, 24 hours after the start", step)
		}
		w.Waves = append(w.Waves, release.Wave{Share: percent, From: start.Add(delay)})
	}
	if err := w.Validate(); err != nil {
		return release.Waves{}, err
	}
	return w, nil
}
