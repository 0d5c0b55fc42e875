package repository

import (
	"fmt"
	"slices"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

func containsAny(all, some []string) bool {
	return slices.ContainsFunc(some, func(s string) bool { return slices.Contains(all, s) })
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

// lacking are the signatures that the roles wait for, and the machines' keys that
// publish them.
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
	return append(all, r.lackingOnline(r.draft.root)...)
}

// lackingOnline are the machines' keys that are missing here. Nothing is published
// without them, not even a root that needs no signature of theirs: what an offline
// copy published would stay there, and the machine would make another root of the
// same number.
func (r *Repository) lackingOnline(root *metadata.Metadata[metadata.RootType]) (all []Missing) {
	for _, role := range []string{Snapshot, Timestamp} {
		if m, is := r.unable(root, role); is {
			all = append(all, m)
		}
	}
	return all
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
