package trust

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/image/update/release"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

const maxWaveFile = 64 << 10 // bytes

// Offer is a bundle that the repository has for a board.
type Offer struct {
	Release release.Release
	Path    string // of the target, as the metadata names it
	Length  int64  // bytes
	// Hashes are in hexadecimal, by their algorithm; "sha256" is always there.
	Hashes map[string]string
	// Refused is why the box may not install it, nil where it may. See
	// [release.Release.Permit] for the kinds.
	Refused error
	// Waves say from when boxes may install it by themselves. They are nil for the
	// reason in NoWaves, and not looked for where the offer is refused.
	Waves   *release.Waves
	NoWaves error
}

// Hash is what the bundle is remembered by.
func (o Offer) Hash() string { return o.Hashes["sha256"] }

// file is where the source has the bundle.
func (o Offer) file() string { return targetFile(o.Path, o.Hash()) }

func targetFile(target, hash string) string {
	return path.Join("targets", path.Dir(target), hash+"."+path.Base(target))
}

// Offers are the bundles for the box's board, the highest version first. What the
// repository says of waves is fetched for those that the box may install. Targets
// that are no bundles for boxes are left out; Warnings name those that look like one.
func (r *Repository) Offers(ctx context.Context, box release.Box) ([]Offer, error) {
	var offers []Offer
	var others []string // boards
	for _, target := range slices.Sorted(maps.Keys(r.targets.Signed.Targets)) {
		offer, err := bundle(target, r.targets.Signed.Targets[target])
		if errors.Is(err, release.ErrNoRelease) {
			continue
		}
		if err != nil {
			r.warn(fmt.Sprintf("the repository's entry %.200q is left out: %v", target, err))
			continue
		}
		if !offer.Release.For(box.Compatible) {
			others = append(others, offer.Release.Boards...)
			continue
		}
		offer.Refused = offer.Release.Permit(box)
		offers = append(offers, offer)
	}
	if len(offers) == 0 && len(others) > 0 {
		slices.Sort(others)
		r.warn(fmt.Sprintf("the repository has bundles for %s, and none for this box, which is %s: add the bundle of its board",
			strings.Join(slices.Compact(others), ", "), box.Compatible))
	}
	if err := release.Conflict(releases(offers)); err != nil {
		return nil, &Refusal{ErrDamaged, "the repository contradicts itself, so nothing is installed from it: " + err.Error(), nil}
	}
	slices.SortFunc(offers, func(a, b Offer) int { return release.Compare(b.Release.Version, a.Release.Version) })
	for i := range offers {
		if offers[i].Refused != nil {
			continue
		}
		offers[i].Waves, offers[i].NoWaves = r.wavesOf(ctx, offers[i].Release.Version)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	return offers, nil
}

func (r *Repository) warn(sentence string) {
	if !slices.Contains(r.Warnings, sentence) {
		r.Warnings = append(r.Warnings, sentence)
	}
}

func releases(offers []Offer) []release.Release {
	var all []release.Release
	for _, offer := range offers {
		all = append(all, offer.Release)
	}
	return all
}

// bundle reads what the metadata says of a target.
func bundle(target string, entry *metadata.TargetFiles) (Offer, error) {
	if entry == nil || entry.Custom == nil {
		return Offer{}, release.ErrNoRelease
	}
	said, err := release.ParseRelease(*entry.Custom)
	if err != nil {
		return Offer{}, err
	}
	named := func(board string) bool { return release.BundlePath(board, said.Version) == target }
	if !slices.ContainsFunc(said.Boards, named) {
		return Offer{}, fmt.Errorf("its path must be %s", release.BundlePath(said.Boards[0], said.Version))
	}
	if entry.Length <= 0 {
		return Offer{}, fmt.Errorf("its length of %d bytes cannot be", entry.Length)
	}
	if len(entry.Hashes["sha256"]) != 32 {
		return Offer{}, errors.New("it has no SHA-256 hash")
	}
	offer := Offer{Release: said, Path: target, Length: entry.Length, Hashes: map[string]string{}}
	for algorithm, hash := range entry.Hashes {
		offer.Hashes[algorithm] = hex.EncodeToString(hash)
	}
	return offer, nil
}

// wavesOf fetches the waves of a version, or says why there are none.
func (r *Repository) wavesOf(ctx context.Context, version string) (*release.Waves, error) {
	if r.waves == nil {
		return nil, r.noWaves
	}
	target := release.WavePath(version)
	responsible := r.targets.Signed.Delegations.GetRolesForTarget(target)
	if !slices.ContainsFunc(responsible, func(role metadata.RoleResult) bool { return role.Name == wavesRole }) {
		return nil, fmt.Errorf("the role %s may not sign %s: whoever makes your releases delegates waves/* to it", wavesRole, target)
	}
	entry := r.waves.Signed.Targets[target]
	if entry == nil || len(entry.Hashes["sha256"]) != 32 {
		return nil, fmt.Errorf("version %s has no waves: nobody has said from when boxes may install it by themselves", release.Plain(version))
	}
	data, err := fetch(ctx, r.source, targetFile(target, hex.EncodeToString(entry.Hashes["sha256"])), min(maxWaveFile, max(entry.Length, 0)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the repository at %s is not whole: the file of %s is missing. Copy it again, with all its files (%w)", r.source, target, err)
	}
	if err != nil {
		return nil, err
	}
	if err := entry.VerifyLengthHashes(data); err != nil {
		return nil, &Refusal{ErrDamaged, target + " of the repository is not what was signed: it is damaged, or somebody has changed it", err}
	}
	return parseWaves(data, version)
}

func parseWaves(data []byte, version string) (*release.Waves, error) {
	waves, err := release.ParseWaves(data)
	if err != nil {
		return nil, &Refusal{ErrDamaged, "the waves of version " + release.Plain(version) + " cannot be right: whoever runs the fleet signs them anew", err}
	}
	if release.Compare(waves.Version, version) != 0 {
		return nil, &Refusal{ErrDamaged, fmt.Sprintf("the waves of version %s are those of version %s: whoever runs the fleet signs them anew",
			release.Plain(version), release.Plain(waves.Version)), nil}
	}
	return &waves, nil
}
