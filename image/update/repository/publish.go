package repository

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

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
	aside, err := r.putAside()
	if err != nil {
		return Outcome{}, err
	}
	if err := r.keep(r.draft.changed); err != nil {
		return Outcome{}, err
	}
	set, step, refused := r.complete(fresh)
	if refused != nil && len(step.files) == 0 {
		return Outcome{}, refused
	}
	for _, f := range step.files {
		if err := r.write(f); err != nil {
			return Outcome{}, err
		}
	}
	out := Outcome{Signed: signed, Notes: append(aside, r.notes(set)...)}
	if refused != nil {
		out.Notes = append(out.Notes, "warning: not all was published: "+refused.Error())
	}
	for _, f := range step.files {
		out.Published = append(out.Published, f.name)
	}
	rest := slices.DeleteFunc(slices.Clone(r.draft.changed), func(role string) bool { return slices.Contains(set, role) })
	if len(rest) > 0 {
		out.Missing = r.lacking(rest)
	}
	if len(step.files) > 0 {
		out.Notes = append(out.Notes, r.hasty(r.base, step.after)...)
		r.base = step.after
	}
	r.draft.changed = rest
	return out, r.keep(rest)
}

// publication are files in the order of their writing, and what boxes know then.
type publication struct {
	files []file
	after published
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

// sets are the parts of what waits that can be published, the largest first: a
// wave that is paused does not wait for a person who is to sign something else.
func sets() [][]string {
	return [][]string{
		{Root, Targets, Waves},
		{Targets, Waves},
		{Root, Targets},
		{Root, Waves},
		{Waves},
		{Targets},
		{Root},
		{},
	}
}

// complete finds the largest part of what waits that boxes accept, and the files
// that publish it, in their order. Refused is why it is not all, where that is not
// for want of signatures.
func (r *Repository) complete(fresh bool) (set []string, step publication, refused error) {
	for _, set := range sets() {
		if slices.ContainsFunc(set, func(role string) bool { return !slices.Contains(r.draft.changed, role) }) {
			continue
		}
		if len(set) == 0 && !fresh {
			break
		}
		step, err := r.assemble(set, fresh)
		if err == nil {
			return set, step, refused
		}
		if len(set) == 0 {
			return nil, publication{}, err
		}
		if len(set) == len(r.draft.changed) && len(r.lacking(set)) == 0 {
			refused = fmt.Errorf("%w; to take the change back, remove %s", err, r.pendingPath())
		}
	}
	return nil, publication{}, refused
}

// assemble makes the files that publish a part of what waits, and shows them to a
// box.
func (r *Repository) assemble(set []string, fresh bool) (publication, error) {
	root, targets, waves := r.base.root, r.base.targets, r.base.waves
	var files []file
	add := func(f file, err error) error {
		files = append(files, f)
		return err
	}
	if slices.Contains(set, Targets) {
		targets = r.draft.targets
		if err := add(encode(Targets, targets.Signed.Version, targets)); err != nil {
			return publication{}, err
		}
	}
	if slices.Contains(set, Waves) {
		waves = r.draft.waves
		if err := add(encode(Waves, waves.Signed.Version, waves)); err != nil {
			return publication{}, err
		}
	}
	if slices.Contains(set, Root) {
		root = r.draft.root
	}
	if root == nil || targets == nil || waves == nil {
		return publication{}, &MissingError{Missing: r.lacking(r.draft.changed), Dirs: r.keys.dirs, Passed: r.keys.passed}
	}
	if missing := r.lackingOnline(root); slices.Contains(set, Root) && len(missing) > 0 {
		return publication{}, &MissingError{Missing: missing, Dirs: r.keys.dirs, Passed: r.keys.passed}
	}
	follow, err := r.follow(root, targets, waves, files, fresh)
	if err != nil {
		return publication{}, err
	}
	files = append(files, follow...)
	if err := errors.Join(r.arrived(r.base.targets, targets), r.arrived(r.base.waves, waves)); err != nil {
		return publication{}, err
	}
	if slices.Contains(set, Root) {
		if err := add(encode(Root, root.Signed.Version, root)); err != nil {
			return publication{}, err
		}
	}
	read := metadataReader(r.public()).over(files)
	after, err := readPublished(read)
	if err == nil && after.root == nil {
		err = errors.New("there is no root")
	}
	if err != nil {
		return publication{}, fmt.Errorf("a box would refuse this: %w", err)
	}
	return publication{files, after}, nil
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
