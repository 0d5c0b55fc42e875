package senaite

import (
	"context"
	"errors"
	"strings"

	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/uplink"
)

// Confirm implements [uplink.Confirmer]. It works for every format that is
// pushed: what is looked for is the envelope's results.
func (c *Client) Confirm(ctx context.Context, e envelope.Envelope) (uplink.Finding, error) {
	if !ReadsBack(e) {
		return uplink.Finding{Nothing: true}, nil
	}
	id, wanted := strings.TrimSpace(e.SampleID), observations(e)
	samples, err := c.samples(ctx, id)
	if err != nil {
		return uplink.Finding{}, err
	}
	if len(samples) == 0 {
		// To an account whose password was changed SENAITE shows no sample at
		// all, as to anybody who is not logged in.
		if err := c.currentUser(ctx); err != nil {
			return uplink.Finding{}, passing(err)
		}
		return uplink.Finding{Missing: []string{"sample not found"}}, nil
	}
	found, err := c.analyses(ctx, samples)
	if err != nil {
		return uplink.Finding{}, err
	}
	return judge(wanted, found, c.settings.Confirm.Require == requireAll), nil
}

// ReadsBack reports whether a message holds anything that [Client.Confirm] looks
// for: a patient's result, of a sample that it names.
func ReadsBack(e envelope.Envelope) bool {
	return strings.TrimSpace(e.SampleID) != "" && len(observations(e)) > 0
}

// judge compares the results of a message with what was read of a sample. all is
// Confirm.Require.
func judge(wanted []*observation, found []item, all bool) uplink.Finding {
	var analyses, interims []analysis
	for _, one := range found {
		if one.counts() {
			analyses = append(analyses, one.analysis())
			interims = append(interims, one.interims()...)
		}
	}
	return compare(wanted, analyses, interims, all)
}

// passing makes an error one that says nothing about reading back: whatever it
// means for deliveries, they find out by themselves.
func passing(err error) error {
	var f *uplink.Failure
	if errors.As(err, &f) {
		err = f.Err
	}
	return transient(err)
}
