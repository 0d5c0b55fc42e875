package repository

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Outcome is what a change has come to.
type Outcome struct {
	// Signed are the roles that got signatures of people's keys.
	Signed []string
	// Published are the files of metadata that were written, in their order.
	Published []string
	// Missing is what the change still waits for: empty where all is published.
	Missing []Missing
	// Notes are for the person who made the change.
	Notes []string
}

// Missing are signatures of one role.
type Missing struct {
	Role       string
	Old        bool // of the keys that boxes know so far, who must agree to new ones
	Have, Need int
	Keys       []string // the names of the keys that could give what is missing
}

// String names the role and the keys.
func (m Missing) String() string {
	of := ""
	if m.Old {
		of = " of the old keys"
	}
	return fmt.Sprintf("%s: %d of %d signatures%s; missing %d of %s", m.Role, m.Have, m.Need, of, m.Need-m.Have, strings.Join(m.Keys, ", "))
}

// MissingError says that none of the keys at hand can sign what a command asks for.
type MissingError struct {
	Missing []Missing
	Dirs    []string // where keys were looked for
	Passed  []string // files there that are no such keys, with the reason
}

func (e *MissingError) Error() string {
	var lines []string
	for _, m := range e.Missing {
		lines = append(lines, m.String())
	}
	text := fmt.Sprintf("no key in %s can sign this: %s: name the directory that has one with --keys",
		strings.Join(e.Dirs, ", "), strings.Join(lines, "; "))
	if len(e.Passed) > 0 {
		text += " (passed over: " + strings.Join(e.Passed, "; ") + ")"
	}
	return text
}

// settle signs what waits with the keys at hand, publishes as much of it as is
// complete, and keeps the rest. Touched are the roles that the command changed:
// where nobody can sign one of them, nothing is done. Fresh makes a new timestamp
// in any case.
func (r *Repository) settle(touched []string, fresh bool) (Outcome, error) {
	signed, err := r.signDraft()
	if err != nil {
		return Outcome{}, err
	}
	if !containsAny(signed, touched) && len(touched) > 0 {
		return Outcome{}, r.missing(touched)
	}
	if err := r.keep(r.draft.changed); err != nil {
		return Outcome{}, err
	}
	set, files, refused := r.complete(fresh)
	if refused != nil && len(files) == 0 {
		return Outcome{}, refused
	}
	for _, f := range files {
		if err := r.write(f); err != nil {
			return Outcome{}, err
		}
	}
	out := Outcome{Signed: signed, Notes: r.notes(set)}
	if refused != nil {
		out.Notes = append(out.Notes, "not all was published: "+refused.Error())
	}
	for _, f := range files {
		out.Published = append(out.Published, f.name)
	}
	rest := slices.DeleteFunc(slices.Clone(r.draft.changed), func(role string) bool { return slices.Contains(set, role) })
	if len(rest) > 0 {
		out.Missing = r.lacking(rest)
	}
	if err := r.keep(rest); err != nil {
		return Outcome{}, err
	}
	return out, r.load()
}

func containsAny(all, some []string) bool {
	return slices.ContainsFunc(some, func(s string) bool { return slices.Contains(all, s) })
}

// write puts one file of metadata where boxes see it.
func (r *Repository) write(f file) error {
	return r.replace(filepath.Join(r.public(), "metadata", f.name), f.data)
}

// keep writes what waits, or takes its file away where nothing does.
func (r *Repository) keep(roles []string) error {
	if len(roles) == 0 {
		if err := os.Remove(r.pendingPath()); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	text, err := r.draft.file(roles)
	if err != nil {
		return err
	}
	return r.replace(r.pendingPath(), append(text, '\n'))
}

// signDraft adds the signatures of the keys at hand to what is changed, and
// returns the roles that got one.
func (r *Repository) signDraft() (signed []string, err error) {
	d := &r.draft
	for _, role := range d.changed {
		var added int
		switch role {
		case Root:
			added, err = sign(&r.keys, d.root, r.signers(Root))
		case Targets:
			added, err = sign(&r.keys, d.targets, r.signers(Targets))
		case Waves:
			added, err = sign(&r.keys, d.waves, r.signers(Waves))
		}
		if err != nil {
			return nil, err
		}
		if added > 0 {
			signed = append(signed, role)
		}
	}
	return signed, nil
}

// signers are the keys that sign a new version of the role: those that it shall
// have, and those that it has in the eyes of boxes so far.
func (r *Repository) signers(role string) []string {
	var ids []string
	for _, l := range r.locks(role) {
		for _, id := range l.ids {
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// requirement is one set of keys of which so many must sign.
type requirement struct {
	ids       []string
	threshold int
	old       bool
	must      bool // else it only spares boxes a moment in which they find nothing
}

// locks are the requirements that a new version of the role has, the new one
// first.
func (r *Repository) locks(role string) []requirement {
	var all []requirement
	add := func(root *metadata.Metadata[metadata.RootType], old bool) {
		if root != nil {
			of := root.Signed.Roles[role]
			all = append(all, requirement{of.KeyIDs, of.Threshold, old, !old || role == Root})
		}
	}
	if role == Waves {
		if of := delegated(r.draft.targets); of != nil {
			all = append(all, requirement{of.KeyIDs, of.Threshold, false, true})
		}
		if of := delegated(r.base.targets); of != nil {
			all = append(all, requirement{of.KeyIDs, of.Threshold, true, false})
		}
		return all
	}
	add(r.draft.root, false)
	add(r.base.root, true)
	return all
}

// sets are the parts of what waits that can be published, the largest first: a
// wave that is paused does not wait for a person who is to sign something else.
var sets = [][]string{
	{Root, Targets, Waves},
	{Targets, Waves},
	{Root, Targets},
	{Root, Waves},
	{Waves},
	{Targets},
	{Root},
	{},
}

// complete finds the largest part of what waits that boxes accept, and the files
// that publish it, in their order. Refused is why it is not all, where that is not
// for want of signatures.
func (r *Repository) complete(fresh bool) (set []string, files []file, refused error) {
	for _, set := range sets {
		if slices.ContainsFunc(set, func(role string) bool { return !slices.Contains(r.draft.changed, role) }) {
			continue
		}
		if len(set) == 0 && !fresh {
			break
		}
		files, err := r.assemble(set, fresh)
		if err == nil {
			return set, files, refused
		}
		if len(set) == 0 {
			return nil, nil, err
		}
		if len(set) == len(r.draft.changed) && len(r.lacking(set)) == 0 {
			refused = fmt.Errorf("%w; to take the change back, remove %s", err, r.pendingPath())
		}
	}
	return nil, nil, refused
}

// assemble makes the files that publish a part of what waits, and shows them to a
// box.
func (r *Repository) assemble(set []string, fresh bool) ([]file, error) {
	root, targets, waves := r.base.root, r.base.targets, r.base.waves
	var files []file
	add := func(f file, err error) error {
		files = append(files, f)
		return err
	}
	if slices.Contains(set, Targets) {
		targets = r.draft.targets
		if err := add(encode(Targets, targets.Signed.Version, targets)); err != nil {
			return nil, err
		}
	}
	if slices.Contains(set, Waves) {
		waves = r.draft.waves
		if err := add(encode(Waves, waves.Signed.Version, waves)); err != nil {
			return nil, err
		}
	}
	if slices.Contains(set, Root) {
		root = r.draft.root
	}
	if root == nil || targets == nil || waves == nil {
		return nil, &MissingError{Missing: r.lacking(r.draft.changed), Dirs: r.keys.dirs, Passed: r.keys.passed}
	}
	follow, err := r.follow(root, targets, waves, files, fresh)
	if err != nil {
		return nil, err
	}
	files = append(files, follow...)
	if err := errors.Join(r.arrived(r.base.targets, targets), r.arrived(r.base.waves, waves)); err != nil {
		return nil, err
	}
	if slices.Contains(set, Root) {
		if err := add(encode(Root, root.Signed.Version, root)); err != nil {
			return nil, err
		}
	}
	read := metadataReader(r.public()).over(files)
	first, err := read(metadataName(Root, 1))
	if err != nil {
		return nil, err
	}
	if _, err := walk(read, first, time.Time{}); err != nil {
		return nil, fmt.Errorf("a box would refuse this: %w", err)
	}
	return files, nil
}

// arrived reports targets that are new, and whose files were left on the computer
// on which they were added.
func (r *Repository) arrived(before, after *metadata.Metadata[metadata.TargetsType]) error {
	var errs []error
	for _, path := range sortedTargets(after) {
		of := after.Signed.Targets[path]
		if before != nil && before.Signed.Targets[path] != nil && sameFile(before.Signed.Targets[path], of) {
			continue
		}
		to := targetFile(r.public(), path, of)
		if there, err := measure(to); err != nil || !sameFile(there, of) {
			errs = append(errs, fmt.Errorf("%s is not there, or not what was signed: bring it from the computer on which it was added", to))
		}
	}
	return errors.Join(errs...)
}

// encode is metadata as a file.
func encode[T metadata.Roles](role string, version int64, m *metadata.Metadata[T]) (file, error) {
	data, err := m.ToBytes(true)
	return file{metadataName(role, version), append(data, '\n')}, err
}

// lacking are the signatures that the roles wait for: with those of the machines,
// where it is these.
func (r *Repository) lacking(roles []string) []Missing {
	var all []Missing
	for _, role := range roles {
		signed := r.draft.signatures(role)
		for _, l := range r.locks(role) {
			if !l.must {
				continue
			}
			have := intersection(l.ids, signed)
			if len(have) >= l.threshold {
				continue
			}
			m := Missing{role, l.old, len(have), l.threshold, r.settings.names(without(l.ids, have))}
			if !slices.ContainsFunc(all, func(other Missing) bool { return other.Role == role && slices.Equal(other.Keys, m.Keys) }) {
				all = append(all, m)
			}
		}
	}
	if !r.needsOnline(roles) {
		return all
	}
	for _, role := range []string{Snapshot, Timestamp} {
		if m, is := r.unable(r.draft.root, role); is {
			all = append(all, m)
		}
	}
	return all
}

// needsOnline reports whether snapshot and timestamp must follow a change of the
// roles. They need not where only people's keys of the root change.
func (r *Repository) needsOnline(roles []string) bool {
	return containsAny(roles, []string{Targets, Waves}) || r.base.root == nil ||
		r.draft.root.VerifyDelegate(Snapshot, r.base.snapshot) != nil || r.draft.root.VerifyDelegate(Timestamp, r.base.timestamp) != nil
}

// require refuses a change for which no key is at hand, before anything is done.
func (r *Repository) require(role string) error {
	if len(r.keys.has(r.signers(role))) > 0 {
		return nil
	}
	var all []Missing
	for _, l := range r.locks(role) {
		if l.must {
			all = append(all, Missing{role, false, 0, l.threshold, r.settings.names(l.ids)})
			break
		}
	}
	return &MissingError{Missing: all, Dirs: r.keys.dirs, Passed: r.keys.passed}
}

// missing is the error of a command for which no key is at hand.
func (r *Repository) missing(roles []string) error {
	var all []Missing
	for _, m := range r.lacking(roles) {
		if slices.Contains(roles, m.Role) {
			all = append(all, m)
		}
	}
	return &MissingError{Missing: all, Dirs: r.keys.dirs, Passed: r.keys.passed}
}

// unable says which keys of an online role are missing here, where some are.
func (r *Repository) unable(root *metadata.Metadata[metadata.RootType], role string) (Missing, bool) {
	of := root.Signed.Roles[role]
	have := r.keys.has(of.KeyIDs)
	if len(have) >= of.Threshold {
		return Missing{}, false
	}
	return Missing{role, false, len(have), of.Threshold, r.settings.names(without(of.KeyIDs, have))}, true
}

// notes tells of old keys that did not sign what follows them.
func (r *Repository) notes(set []string) (all []string) {
	if !slices.Contains(set, Root) || r.base.root == nil {
		return nil
	}
	for _, role := range []string{Targets, Snapshot, Timestamp} {
		before := r.base.root.Signed.Roles[role]
		if slices.Equal(before.KeyIDs, r.draft.root.Signed.Roles[role].KeyIDs) {
			continue
		}
		signed := r.keys.has(before.KeyIDs)
		if role == Targets {
			signed = intersection(before.KeyIDs, r.draft.signatures(Targets))
		}
		if len(signed) < before.Threshold {
			all = append(all, fmt.Sprintf("the old keys of %s did not sign beside the new ones: a box that asks in the moment in which this is uploaded "+
				"finds nothing that it takes, and tries again", role))
		}
	}
	return all
}

// signatures are the key ids that have signed the role in the draft.
func (d *draft) signatures(role string) (ids []string) {
	var of []metadata.Signature
	switch role {
	case Root:
		of = d.root.Signatures
	case Targets:
		of = d.targets.Signatures
	case Waves:
		of = d.waves.Signatures
	}
	for _, s := range of {
		ids = append(ids, s.KeyID)
	}
	return ids
}

func intersection(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}
