package repository

import (
	"fmt"
	"slices"
	"strings"
)

// Refresh makes a new timestamp, so that boxes go on to believe that they are
// told the newest, and publishes what waits and is complete. It signs the roles
// anew that are named, of those that people sign, so that they expire later: where
// the machine's keys are elsewhere, this waits for them, and there is no timestamp.
func (r *Repository) Refresh(renew ...string) (Outcome, error) {
	for _, role := range renew {
		if !slices.Contains([]string{Root, Targets, Waves}, role) {
			return Outcome{}, fmt.Errorf("%s is not signed by people: choose of root, targets, waves", role)
		}
		if err := r.require(role); err != nil {
			return Outcome{}, err
		}
		r.change(role)
	}
	_, elsewhere := r.unable(r.draft.root, Timestamp)
	return r.settle(renew, len(renew) == 0 || !elsewhere)
}

// Sign adds the signatures of the keys at hand to what waits, and publishes what
// is complete then.
func (r *Repository) Sign() (Outcome, error) {
	waits := slices.Clone(r.draft.changed)
	if len(waits) == 0 {
		if len(r.waits.stale) > 0 {
			return Outcome{}, r.errStale()
		}
		return Outcome{}, nil
	}
	out, err := r.settle(nil, false)
	if err == nil && len(out.Signed) == 0 && len(out.Published) == 0 {
		return Outcome{}, &MissingError{Missing: out.Missing, Dirs: r.keys.dirs, Passed: r.keys.passed}
	}
	return out, err
}

// Waiting describes what waits for signatures, in lines: so that people see what
// they are about to sign.
func (r *Repository) Waiting() (lines []string) {
	d := &r.draft
	if slices.Contains(d.changed, Root) {
		lines = append(lines, fmt.Sprintf("root %d, valid until %s", d.root.Signed.Version, day(d.root.Signed.Expires)))
		for _, role := range []string{Root, Targets, Snapshot, Timestamp} {
			of := d.root.Signed.Roles[role]
			lines = append(lines, fmt.Sprintf("  %s: %d of %s", role, of.Threshold, r.identify(of.KeyIDs)))
		}
	}
	if slices.Contains(d.changed, Targets) {
		lines = append(lines, fmt.Sprintf("targets %d, valid until %s", d.targets.Signed.Version, day(d.targets.Signed.Expires)))
		if of := delegated(d.targets); of != nil {
			lines = append(lines, fmt.Sprintf("  %s: %d of %s", Waves, of.Threshold, r.identify(of.KeyIDs)))
		}
		for _, o := range offersOf(d.targets) {
			lines = append(lines, fmt.Sprintf("  %s, SHA-256 %s%s", o.path, o.of.Hashes["sha256"], downgradeMark(o.Downgrade)))
		}
	}
	if slices.Contains(d.changed, Waves) {
		lines = append(lines, fmt.Sprintf("waves %d, valid until %s", d.waves.Signed.Version, day(d.waves.Signed.Expires)))
		for _, path := range sortedTargets(d.waves) {
			lines = append(lines, fmt.Sprintf("  %s, SHA-256 %s", path, d.waves.Signed.Targets[path].Hashes["sha256"]))
		}
	}
	return lines
}

func downgradeMark(is bool) string {
	if is {
		return ", REPLACES HIGHER VERSIONS"
	}
	return ""
}

// identify names keys with their ids, which a holder compares with his own.
func (r *Repository) identify(ids []string) string {
	var all []string
	for _, id := range ids {
		all = append(all, fmt.Sprintf("%s (%s)", r.settings.name(id), short(id)))
	}
	return strings.Join(all, ", ")
}
