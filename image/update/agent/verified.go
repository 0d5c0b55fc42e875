package agent

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"github.com/assaygate/assaygate/image/update/release"
	"github.com/assaygate/assaygate/image/update/trust"
)

// Verified is a repository of signed files: all that the agent gets to see of it is what
// package trust has verified.
type Verified struct {
	Client *trust.Client
	Source trust.Source
	Rate   int64 // of downloads, bytes a second, 0 for no bound
}

// Offers implements [Repository].
func (v Verified) Offers(ctx context.Context, box release.Box) (Answer, error) {
	repository, err := v.Client.Refresh(ctx, v.Source)
	if err != nil {
		return Answer{}, err
	}
	list, err := repository.Offers(ctx, box)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{Warnings: repository.Warnings}
	for _, one := range list {
		answer.Offers = append(answer.Offers, Offer{
			Release: one.Release, Hash: one.Hash(), Length: one.Length, Refused: one.Refused, Waves: one.Waves, NoWaves: one.NoWaves, Origin: one,
		})
	}
	return answer, nil
}

// Download implements [Repository]. The directory of the file is made where it is not there.
func (v Verified) Download(ctx context.Context, offer Offer, file string, progress func(int64)) error {
	origin, is := offer.Origin.(trust.Offer)
	if !is {
		return errors.New("the offer is of another repository")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if ours, err := os.OpenFile(file, os.O_RDWR, 0); err == nil {
		ours.Close()
	} else if errors.Is(err, fs.ErrPermission) {
		// RAUC makes a bundle its own before it installs it, so that nobody changes it
		// meanwhile. Where that installation has failed, the file is of no more use here.
		if err := os.Remove(file); err != nil {
			return err
		}
	}
	return trust.Download(ctx, v.Source, origin, file, trust.Limits{Rate: v.Rate, Progress: progress})
}

// File is the name of the bundle's file in a [Verified] repository, without its
// folder; empty for an offer of another one.
func (o Offer) File() string {
	origin, is := o.Origin.(trust.Offer)
	if !is {
		return ""
	}
	return o.Hash + "." + path.Base(origin.Path)
}
